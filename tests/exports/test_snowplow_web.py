"""Snowplow web events: the page views, sessions and users its own package expects."""

from pathlib import Path
from typing import Any

import pytest

from tests.exports.overlay import Export, harmonise

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("snowplow_web")]

# Of each expected table the key, and the columns that are no copies of an event's.
EXPECTED = {
    "page_view": """
        page_view_id event_id domain_sessionid domain_userid user_id stitched_user_id
        page_view_in_session_index page_views_in_session start_tstamp end_tstamp
        engaged_time_in_s page_url page_title
    """,
    "session": """
        domain_sessionid domain_userid user_id stitched_user_id start_tstamp end_tstamp
        absolute_time_in_s page_views engaged_time_in_s total_events
    """,
    "user": """
        domain_userid user_id start_tstamp end_tstamp page_views sessions
        engaged_time_in_s
    """,
}


@pytest.fixture(scope="module")
def folder(test_data: Path) -> Path:
    return test_data / "behaviour" / "snowplow_web_apache"


@pytest.fixture(scope="module")
def web(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    events = folder / "source" / "snowplow_web_events.csv"
    # The same bytes twice, as a collector that was restarted delivers them.
    files = {"snowplow_event": {"events.csv": events, "again.csv": events}}
    return harmonise("snowplow_web", tmp_path_factory.mktemp("snowplow_web"), files)


def test_every_receipt_is_loaded_once(web: Export) -> None:
    load = web.loads["snowplow_event"]
    assert (load.inserted, load.unchanged, load.quarantined) == (160, 0, 0)


@pytest.mark.parametrize("table", EXPECTED)
def test_the_expected_rows_come_out(web: Export, folder: Path, table: str) -> None:
    columns = EXPECTED[table].split()
    file = folder / "expected" / f"snowplow_web_{table}s_expected.csv"
    shown = ", ".join(
        f"{column}::timestamp" if column.endswith("tstamp") else f"{column}::varchar"
        for column in columns
    )

    def rows(relation: str) -> dict[Any, dict[str, Any]]:
        found = web.ask(f"select {shown} from {relation}")
        return {row[0]: dict(zip(columns, row, strict=True)) for row in found}

    expected = rows(f"read_csv('{file}', all_varchar = true)")
    found = rows(f"web.web_{table}")
    assert found.keys() == expected.keys()
    assert {key: row for key, row in found.items() if row != expected[key]} == {}


def test_events_become_engagement_and_devices_their_owners(web: Export) -> None:
    """Duplicates, strays without a session and what came too late do not count."""
    assert web.one("select count(*) from dmo.website_engagement") == web.one(
        "select count(distinct id) from dmo.website_engagement"
    )
    assert web.ask(
        """
        select max_by(individual_id, coalesce(active_from_date, '1970-01-01'))
        from dmo.device
        where individual_id like 'snowplow_user:user stitch%' group by device_id
        """
    ) == [("snowplow_user:user stitch - session: 2nd id: 10",)]
