"""A model for one file, trained on the file itself and without any label.

How often attributes agree by chance (u) is counted on random pairs; how often within
one person (m), and how many pairs are one person's, is estimated by expectation
maximisation over the pairs that blocking finds. Pairs are counted by their pattern of
levels, of which there are some thousands, so a pass takes milliseconds.
"""

import duckdb
import numpy as np

from cdp_assets.identity.bench.estimation import (
    Estimate,
    believed_levels,
    estimate_levels,
    housemates,
)
from cdp_assets.identity.bench.levels import (
    count_patterns,
    random_patterns,
    stage_levels,
)
from cdp_assets.identity.bench.profile import Profile, levels_at_home
from cdp_assets.identity.bench.redundant import redundant_texts
from cdp_assets.identity.bench.splink_settings import in_splinks_words
from cdp_assets.identity.candidates import stage_keyed, stage_pairs
from cdp_assets.identity.decided import stage_decided
from cdp_assets.identity.model import MatchModel
from cdp_assets.identity.rules import ObjectRules
from cdp_assets.identity.shared import stage_all_matchable

# As many pairs are counted at most; more would change no third digit.
_CANDIDATES = 1_000_000

# Of fewer values the discount cannot be told; then two people at least are thought to
# have each.
_FEWEST = 200
# However many values are one person's alone, the next may have one of them.
_LARGEST_DISCOUNT = 0.95


def train_on(
    connection: duckdb.DuckDBPyConnection, object_name: str, rules: ObjectRules
) -> MatchModel | None:
    """Train on the staged nodes of one object; None where there is nothing to compare.

    Args:
        connection: The scratch warehouse, with ``staged_node`` built.
        object_name: Whose records.
        rules: Their rules; the model is trained on the pairs its blocking finds.
    """
    stage_all_matchable(connection, object_name, rules, None)
    comparisons = _profile(connection).comparisons(object_name)
    frequencies = _frequencies(connection, ["first_name", "last_name"])
    draft = in_splinks_words(comparisons, frequencies, None, 0)
    stage_all_matchable(connection, object_name, rules, draft)
    stage_decided(connection, object_name)
    stage_keyed(connection, object_name, rules)
    stage_pairs(connection, object_name, rules)
    records = _count(connection, "staged_matchable")
    candidates = _count(connection, "candidate")
    if records < 2 or not comparisons:
        return None
    one_in = max(1, candidates // _CANDIDATES)
    stage_levels(
        connection,
        comparisons,
        f"select * from candidate where hash(node_l, node_r) % {one_in} = 0",
        "candidate_level",
    )
    pairs = records * (records - 1) / 2
    patterns = count_patterns(connection, "candidate_level", candidates)
    estimate = estimate_levels(
        patterns,
        random_patterns(connection, comparisons, records),
        [
            believed_levels(name, len(levels) - 1, levels_at_home(levels))
            for name, levels in comparisons.items()
        ],
        given=[levels_at_home(levels) for levels in comparisons.values()],
        pairs=pairs,
        records=records,
        apart=housemates(patterns, list(comparisons)),
    )
    weighed = draft.weighed_by_frequency()
    _stage_posterior(connection, estimate, estimate.matches / pairs)
    for column in weighed:
        frequencies[column] = bearers(connection, column, records, one_in)
    return in_splinks_words(comparisons, frequencies, estimate, records)


def _profile(connection: duckdb.DuckDBPyConnection) -> Profile:
    """What the staged records hold."""
    shares = connection.execute(
        """
        select
            avg((first_name is not null)::int) as first_name,
            avg((last_name is not null)::int) as last_name,
            avg((middle_name is not null)::int) as middle_name,
            avg((birth_date is not null)::int) as birth_date,
            avg((len(identifiers) > 0)::int) as identifier,
            avg((len(emails) > 0)::int) as email,
            avg((len(phones) > 0)::int) as phone,
            avg((len(streets) > 0)::int) as address,
            avg((len(postal_codes) + len(cities) > 0)::int) as place,
            avg((gender is not null)::int) as gender,
            avg((full_name is not null)::int) as name,
            avg((website_domain is not null)::int) as website
        from staged_matchable
        """
    ).fetchdf()
    texts = connection.execute(
        """
        select entry.key, count(*) / (select count(*) from staged_matchable),
            avg(len(string_split(entry.value, ' '))),
            bool_and(try_cast(entry.value as double) is not null)
        from (select unnest(map_entries(attributes)) as entry from staged_matchable)
        group by entry.key
        """
    ).fetchall()
    redundant = redundant_texts(connection)
    return Profile(
        {str(name): float(share) for name, share in shares.iloc[0].fillna(0).items()},
        {
            name: (share, words, numbers)
            for name, share, words, numbers in texts
            if name not in redundant
        },
    )


def _frequencies(
    connection: duckdb.DuckDBPyConnection, columns: list[str]
) -> dict[str, dict[str, float]]:
    """Per column the share of records with each value."""
    return {
        column: dict(
            connection.execute(
                f"""
                select {column}, round(count(*) / sum(count(*)) over (), 9)
                from staged_matchable where {column} is not null
                group by 1 order by 1
                """
            ).fetchall()
        )
        for column in columns
    }


def bearers(
    connection: duckdb.DuckDBPyConnection, column: str, records: int, one_in: int
) -> dict[str, float]:
    """Per value how many different people seem to have it, as a share of records.

    Ten records of one person make a name no more common than one does: of the pairs
    that agree on the value, those that are one person's are left out. How likely the
    next person has a value is less than how many have it, the less the more values are
    had by one person alone: the absolute discount of Ney, Essen and Kneser (1994).
    """
    return dict(
        connection.execute(
            f"""
            with counted as (
                select {column} as value, count(*) as n
                from staged_matchable where {column} is not null group by 1
            ),
            within as (
                select l.{column} as value, sum(posterior) * $one_in as pairs
                from candidate_posterior as pair
                inner join staged_matchable as l on pair.node_l = l.node_id
                inner join staged_matchable as r on pair.node_r = r.node_id
                where l.{column} = r.{column}
                group by 1
            ),
            borne as (
                select value, (1 + sqrt(1 + 8 * greatest(
                    n * (n - 1) / 2 - coalesce(within.pairs, 0), 0))) / 2 as people
                from counted left join within using (value)
            ),
            discount as (
                select
                    if(singly >= $fewest, least(once / singly, $most), null) as discount
                from (
                    select
                        count(*) filter (where people < 1.5) as once,
                        once + 2 * count(*) filter (where people between 1.5 and 2.5)
                            as singly
                    from borne
                )
            )
            select value,
                coalesce(people - discount, greatest(people, 2)) / $records
            from borne cross join discount
            order by value
            """,
            {
                "one_in": one_in,
                "records": records,
                "fewest": _FEWEST,
                "most": _LARGEST_DISCOUNT,
            },
        ).fetchall()
    )


def _stage_posterior(
    connection: duckdb.DuckDBPyConnection, estimate: Estimate, share: float
) -> None:
    """Build ``candidate_posterior``: how surely each pair is one person's."""
    weights = " + ".join(
        f"(case c{place} "
        + " ".join(
            f"when {level} then {weight:.6f}"
            for level, weight in enumerate(np.log(within / by_chance))
        )
        + " else 0 end)"
        for place, (within, by_chance) in enumerate(
            zip(estimate.m, estimate.u, strict=True)
        )
    )
    connection.execute(
        f"""
        create or replace temp table candidate_posterior as
        select node_l, node_r,
            round(1 / (1 + exp(-({np.log(share / (1 - share)):.6f} + {weights}))), 6)
                as posterior
        from candidate_level
        """
    )


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(connection.execute(f"select count(*) from {table}").fetchall()[0][0])
