"""A model for one file, trained on the file itself and without any label.

How often attributes agree by chance (u) is counted on random pairs; how often within
one person (m), and how many pairs are one person's, is estimated by expectation
maximisation over the pairs that blocking finds. Pairs are counted by their pattern of
levels, of which there are some thousands, so a pass takes milliseconds.
"""

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from cdp_assets.identity.bench.comparisons import Levels, Profile, frequency_column
from cdp_assets.identity.decided import stage_decided
from cdp_assets.identity.evidence import stage_keyed, stage_pairs
from cdp_assets.identity.model import MatchModel
from cdp_assets.identity.rules import ObjectRules
from cdp_assets.identity.shared import stage_all_matchable
from cdp_assets.identity.vetoes import sided

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# As many pairs are counted at most, of each kind; more would change no third digit.
_CANDIDATES = 1_000_000
_RANDOM = 600_000

_PASSES = 100
_SETTLED = 1e-6

# What is believed before the file is looked at, which counts as much as this many pairs
# of one person: how often two records of one person are at the last resort. A first
# name or a birth date hardly ever changes, addresses do.
_BELIEF = 1000.0
_BELIEVED_DIFFERENT = {
    "first_name": 0.03, "last_name": 0.08, "middle_name": 0.1, "birth_date": 0.03,
    "identifier": 0.03, "email": 0.2, "phone": 0.25, "address": 0.2, "place": 0.2,
    "gender": 0.03, "name": 0.05, "website": 0.1,
}  # fmt: skip
_BELIEVED_DIFFERENT_TEXT = 0.15

# Of the pairs that are not at the last resort, how many are at the best level.
_BELIEVED_BEST = 0.75
# Of the levels between, each better one is seen so many times as often.
_BELIEVED_STEP = 1.6

# Every record has one other of its person, before the file is looked at.
_BELIEVED_MATCHES = 1.0

# What has never been seen by chance is taken to be seen half a time.
_UNSEEN = 0.5


@dataclass(frozen=True)
class Patterns:
    """Pairs counted by the levels they have: -1 missing, else as in evidence."""

    levels: Ints
    counts: Floats


@dataclass(frozen=True)
class Estimate:
    """What expectation maximisation came to."""

    matches: float
    m: list[Floats]
    u: list[Floats]


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
    draft = _model(comparisons, frequencies, None, 0)
    stage_all_matchable(connection, object_name, rules, draft)
    stage_decided(connection, object_name)
    stage_keyed(connection, object_name, rules)
    stage_pairs(connection, object_name, rules)
    records = _count(connection, "staged_matchable")
    candidates = _count(connection, "candidate")
    if records < 2 or not comparisons:
        return None
    one_in = max(1, candidates // _CANDIDATES)
    _stage_levels(
        connection,
        comparisons,
        f"select * from candidate where hash(node_l, node_r) % {one_in} = 0",
        "candidate_level",
    )
    pairs = records * (records - 1) / 2
    patterns = _patterns(connection, "candidate_level", candidates)
    estimate = estimate_levels(
        patterns,
        _random_patterns(connection, comparisons, records),
        [_believed(name, len(levels) - 1) for name, levels in comparisons.items()],
        pairs=pairs,
        records=records,
        apart=_housemates(patterns, list(comparisons)),
    )
    weighed = draft.weighed_by_frequency()
    _stage_posterior(connection, estimate, estimate.matches / pairs)
    for column in weighed:
        frequencies[column] = _bearers(connection, column, records, one_in)
    return _model(comparisons, frequencies, estimate, records)


def estimate_levels(
    candidates: Patterns,
    random: Patterns,
    believed: list[Floats],
    *,
    pairs: float,
    records: int,
    apart: npt.NDArray[np.bool_] | None = None,
) -> Estimate:
    """Estimate m, u and the number of pairs that are one person's.

    Args:
        candidates: The pairs that blocking finds, scaled to all of them.
        random: Pairs drawn at random, scaled to all pairs of the file.
        believed: Per comparison the m to begin with, from the last resort to the best.
        pairs: How many pairs the file has.
        records: How many records it has.
        apart: The candidate patterns that are taken for two people while learning.
    """
    sizes = [len(shares) for shares in believed]
    seen = [_counted(random, random.counts, place, n) for place, n in enumerate(sizes)]
    m = [shares.copy() for shares in believed]
    u = [_shares(counts) for counts in seen]
    matches = min(records * _BELIEVED_MATCHES, pairs) / 2
    for _ in range(_PASSES):
        posterior = _posterior(candidates, m, u, matches / pairs)
        if apart is not None:
            posterior[apart] = 0.0
        before, matches = matches, min(float(posterior.sum()) + 1, pairs / 2)
        for place, size in enumerate(sizes):
            same = _counted(candidates, posterior, place, size)
            other = _counted(candidates, candidates.counts - posterior, place, size)
            m[place] = _shares(same + _BELIEF * believed[place])
            # What agrees by chance but rarely is among the candidates, so that they
            # bound from below what few random pairs cannot show.
            u[place] = _shares(np.maximum(seen[place] - same, other))
        if abs(matches - before) < _SETTLED * matches:
            break
    return Estimate(matches, m, u)


def _housemates(patterns: Patterns, names: list[str]) -> npt.NDArray[np.bool_]:
    """The patterns of pairs whose first names differ and whom nothing personal joins.

    A file of households has as many of them as of real pairs, all alike, and would be
    learnt from as if a person were a household.
    """
    if "first_name" not in names:
        return np.zeros(len(patterns.counts), dtype=bool)
    found = patterns.levels[:, names.index("first_name")] == 0
    for name in ("birth_date", "identifier"):
        if name in names:
            found &= patterns.levels[:, names.index(name)] <= 0
    return np.asarray(found)


def _posterior(
    patterns: Patterns, m: list[Floats], u: list[Floats], share: float
) -> Floats:
    """How many pairs of each pattern are one person's."""
    log_odds = np.full(len(patterns.counts), np.log(share / (1 - share)))
    for place, (within, by_chance) in enumerate(zip(m, u, strict=True)):
        weights = np.append(np.log(within / by_chance), 0.0)
        log_odds += weights[patterns.levels[:, place]]
    return np.asarray(patterns.counts / (1 + np.exp(-log_odds)))


def _believed(name: str, size: int) -> Floats:
    """How often the levels are believed to be seen within one person."""
    different = _BELIEVED_DIFFERENT.get(name, _BELIEVED_DIFFERENT_TEXT)
    shares = _BELIEVED_STEP ** np.arange(size, dtype=np.float64)
    shares[1:-1] *= (1 - different) * (1 - _BELIEVED_BEST) / max(shares[1:-1].sum(), 1)
    shares[0], shares[-1] = different, (1 - different) * _BELIEVED_BEST
    return np.asarray(shares / shares.sum())


def _counted(patterns: Patterns, counts: Floats, place: int, size: int) -> Floats:
    known = patterns.levels[:, place] >= 0
    found = np.bincount(patterns.levels[known, place], counts[known], minlength=size)
    return np.asarray(found, dtype=np.float64)


def _shares(counts: Floats) -> Floats:
    counts = np.maximum(counts, _UNSEEN)
    return np.asarray(counts / counts.sum())


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
    return Profile(
        {str(name): float(share) for name, share in shares.iloc[0].fillna(0).items()},
        {name: (share, words, numbers) for name, share, words, numbers in texts},
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


def _bearers(
    connection: duckdb.DuckDBPyConnection, column: str, records: int, one_in: int
) -> dict[str, float]:
    """Per value how many different people seem to have it, as a share of records.

    Ten records of one person make a name no more common than one does: of the pairs
    that agree on the value, those that are one person's are left out.
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
            )
            select value, round((1 + sqrt(1 + 8 * greatest(
                n * (n - 1) / 2 - coalesce(within.pairs, 0), 0))) / 2 / $records, 9)
            from counted left join within using (value)
            order by value
            """,
            {"one_in": one_in, "records": records},
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


def _level(levels: Levels) -> str:
    """SQL for a pair's level, numbered as in evidence: 0 the last resort."""
    numbers = [-1, *range(len(levels) - 2, -1, -1)]
    cases = " ".join(
        f"when {sided(condition)} then {number}"
        for (_, condition), number in zip(levels, numbers, strict=True)
        if condition != "else"
    )
    return f"case {cases} else 0 end"


def _stage_levels(
    connection: duckdb.DuckDBPyConnection,
    comparisons: dict[str, Levels],
    pairs: str,
    into: str,
) -> None:
    """Build a table of pairs with their level per comparison, ``c0`` and on."""
    columns = ", ".join(
        f"{_level(levels)} as c{place}"
        for place, levels in enumerate(comparisons.values())
    )
    connection.execute(
        f"""
        create or replace temp table {into} as
        select pair.node_l, pair.node_r, {columns}
        from ({pairs}) as pair
        inner join staged_matchable as l on pair.node_l = l.node_id
        inner join staged_matchable as r on pair.node_r = r.node_id
        """
    )


def _patterns(
    connection: duckdb.DuckDBPyConnection, table: str, total: float
) -> Patterns:
    """Count the pairs of a table by pattern, scaled to ``total`` of them."""
    found = connection.execute(
        f"""
        select * exclude (node_l, node_r), count(*)::double as pairs
        from {table} group by all order by all
        """
    ).fetchnumpy()
    counts = np.asarray(found.pop("pairs"), dtype=np.float64)
    levels = np.stack([np.asarray(column, dtype=np.int64) for column in found.values()])
    return Patterns(levels.T, counts * (total / max(counts.sum(), 1.0)))


def _random_patterns(
    connection: duckdb.DuckDBPyConnection,
    comparisons: dict[str, Levels],
    records: int,
) -> Patterns:
    """All pairs of a small file; of a large one each record with some of the others."""
    pairs = records * (records - 1) / 2
    if pairs <= _RANDOM:
        drawn = """
            select l.node_id as node_l, r.node_id as node_r
            from staged_matchable as l
            inner join staged_matchable as r on l.node_id < r.node_id
        """
    else:
        _draw(connection, records)
        drawn = "select node_l, node_r from random_pair"
    _stage_levels(connection, comparisons, drawn, "random_level")
    return _patterns(connection, "random_level", pairs)


def _draw(connection: duckdb.DuckDBPyConnection, records: int) -> None:
    """Build ``random_pair``: each record beside as many others as make enough pairs.

    In tables of their own: in one statement DuckDB compares all records with all.
    """
    connection.execute(
        """
        create or replace temp table numbered as
        select node_id, (row_number() over (order by hash(record), record)) - 1 as place
        from staged_matchable
        """
    )
    connection.execute(
        """
        create or replace temp table random_place as
        select numbered.node_id as node_l,
            cast((place + 1 + hash(i) % ($records - 1)) % $records as bigint) as place
        from numbered cross join range($times) as step(i)
        """,
        {"records": records, "times": max(1, _RANDOM // records)},
    )
    connection.execute(
        """
        create or replace temp table random_pair as
        select node_l, numbered.node_id as node_r
        from random_place inner join numbered using (place)
        """
    )


def _model(
    comparisons: dict[str, Levels],
    frequencies: dict[str, dict[str, float]],
    estimate: Estimate | None,
    records: int,
) -> MatchModel:
    """The model in Splink's words."""
    settings: dict[str, Any] = {
        "link_type": "dedupe_only",
        "unique_id_column_name": "node_id",
        "blocking_rules_to_generate_predictions": [],
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": True,
        "comparisons": [
            {
                "output_column_name": name,
                "comparison_levels": [
                    _splink_level(name, levels, number, place, estimate, records)
                    for number, _ in enumerate(levels)
                ],
            }
            for place, (name, levels) in enumerate(comparisons.items())
        ],
    }
    matches = 0.0
    if estimate:
        matches = estimate.matches
        settings["probability_two_random_records_match"] = matches / (
            records * (records - 1) / 2
        )
    return MatchModel("bench", settings, matches, frequencies, one_size=True)


def _splink_level(
    name: str,
    levels: Levels,
    number: int,
    place: int,
    estimate: Estimate | None,
    records: int,
) -> dict[str, Any]:
    label, condition = levels[number]
    level: dict[str, Any] = {
        "sql_condition": "ELSE" if condition == "else" else condition,
        "label_for_charts": label,
    }
    if number == 0:
        return level | {"is_null_level": True}
    column = frequency_column(name, label)
    if column:
        level["tf_adjustment_column"] = column
        level["tf_minimum_u_value"] = 2.0 / max(records, 2)
    if estimate:
        rank = len(levels) - 1 - number
        level["m_probability"] = float(f"{estimate.m[place][rank]:.6g}")
        level["u_probability"] = float(f"{estimate.u[place][rank]:.6g}")
    return level


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(connection.execute(f"select count(*) from {table}").fetchall()[0][0])
