"""The article's two calculated insights, run as they are printed there."""

import datetime as dt

import duckdb
import pytest

# Character for character; only the line breaks are the printer's.
LIFETIME_VALUE = """
SELECT
UnifiedIndividual.Id,
SUM(SalesOrder.TotalAmount) AS lifetime_value,
COUNT(SalesOrder.Id) AS total_orders,
AVG(SalesOrder.TotalAmount) AS avg_order_value,
DATEDIFF(day, MIN(SalesOrder.OrderDate), CURRENT_DATE) AS customer_tenure_days
FROM UnifiedIndividual
JOIN UnifiedLinkIndividual ON UnifiedIndividual.Id = UnifiedLinkIndividual.UnifiedIndividualId
JOIN SalesOrder ON UnifiedLinkIndividual.SourceRecordId = SalesOrder.CustomerId
GROUP BY UnifiedIndividual.Id
"""  # noqa: E501

ENGAGEMENT_SCORE = """
SELECT
UnifiedIndividual.Id,
SUM(CASE WHEN EngagementEvent.EventType = 'EmailOpen' THEN 2
WHEN EngagementEvent.EventType = 'WebVisit' THEN 1
WHEN EngagementEvent.EventType = 'Purchase' THEN 5
ELSE 0 END) AS engagement_score,
MAX(EngagementEvent.EventDate) AS last_engagement_date
FROM UnifiedIndividual
JOIN EngagementEvent ON UnifiedIndividual.Id = EngagementEvent.UnifiedIndividualId
WHERE EngagementEvent.EventDate >= DATEADD(day, -90, CURRENT_DATE)
GROUP BY UnifiedIndividual.Id
"""


@pytest.fixture
def article(built: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A session that looks for names in schema article, and so reads its calendar."""
    session = built.cursor()
    session.execute("set search_path = 'article'")
    return session


def test_the_articles_lifetime_value_is_ours(
    article: duckdb.DuckDBPyConnection,
) -> None:
    """Whoever comes from the article must find its figures."""
    theirs = article.execute(LIFETIME_VALUE).fetchall()
    ours = article.execute(
        """
        select unified_individual_id, lifetime_value, total_orders, avg_order_value,
            customer_tenure_days
        from insights.lifetime_value
        """
    ).fetchall()
    for their, our in zip(sorted(theirs), sorted(ours), strict=True):
        # Their AVG is a double; ours is money, to the cent.
        assert their[3] == (our[3] and pytest.approx(float(our[3]), abs=0.00501))
        assert their[:3] + their[4:] == our[:3] + our[4:]
    assert len(ours) > 30


def test_the_articles_engagement_score_is_ours(
    article: duckdb.DuckDBPyConnection,
) -> None:
    """Whoever comes from the article must find its figures."""
    theirs = article.execute(ENGAGEMENT_SCORE).fetchall()
    ours = article.execute(
        """
        select unified_individual_id, engagement_score, last_engagement_date
        from insights.engagement_score
        """
    ).fetchall()
    assert sorted(theirs) == sorted(ours)
    assert len(ours) > 30


def test_the_articles_today_is_the_instant_the_run_was_given(
    article: duckdb.DuckDBPyConnection, as_of: dt.datetime
) -> None:
    """A view that reads the clock gives figures that no rebuild gives again."""
    assert article.execute("select CURRENT_DATE").fetchone() == (as_of.date(),)
