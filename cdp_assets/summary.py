"""The summary that ends ``cdp run``: what came in, who it is, what left.

Reads only; every figure is a query that anybody may repeat in the warehouse.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

import duckdb

from cdp_assets.activation.dead_letters import count_states
from cdp_assets.activation.destination_spec import variables
from cdp_assets.activation.outbox import Outbox
from cdp_assets.data_actions.spec import load_senders
from cdp_assets.declarations import quoted
from cdp_assets.governance.consent_words import NO_ROW, REASONS
from cdp_assets.identity.evaluation import Evaluation, Quality, evaluate
from cdp_assets.paths import Paths

WIDTH = 18
PERSON_INSIGHTS = [
    "lifetime_value",
    "engagement_score",
    "churn_risk",
    "service_status",
    "cart_status",
    "lifecycle_stage",
    "propensity_tier",
    "account_health",
]


# What to do about a check that warns, where the check itself cannot say.
REMEDIES = {
    "nothing_is_quarantined": "`cdp quarantine list` shows the rows and why",
}


def summary(
    connection: duckdb.DuckDBPyConnection,
    paths: Paths,
    warnings: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Lay the whole state out as text.

    Args:
        connection: The warehouse.
        paths: The runtime folder.
        warnings: By check, the assets for which it warned in the run just ended.
    """
    sections = [
        _section("Streams", _streams(connection)),
        _section("People", _people(connection)),
        _section("Insights", _insights(connection)),
        _section("Segments", _segments(connection)),
        _section("Activations", _activations(connection, waiting(paths))),
        *_unset(paths),
    ]
    truth = paths.samples / "truth.csv"
    if truth.exists():
        found = evaluate(connection, truth, paths.samples / "traps.csv")
        sections.insert(2, _section("Against the samples' truth", _quality(found)))
    if warnings:
        sections.append(_section("Checks that warn", _warnings(warnings)))
        if truth.exists():
            sections.append(
                "  The samples contain faults on purpose, which these find."
            )
    return "\n".join(sections)


def _warnings(warnings: Mapping[str, Sequence[str]]) -> Iterator[Sequence[object]]:
    for check, assets in sorted(warnings.items()):
        remedy = REMEDIES.get(check)
        yield (f"{check}: {', '.join(assets)}" + (f" ({remedy})" if remedy else ""),)


def waiting(paths: Paths) -> dict[str, int]:
    """How many changes of each activation wait in the outbox."""
    if not paths.outbox.exists():
        return {}
    found = count_states(Outbox(paths.outbox))
    waits: dict[str, int] = {}
    for activation, state, changes in found:
        if state in ("pending", "delivering"):
            waits[activation] = waits.get(activation, 0) + changes
    return waits


def _unset(paths: Paths) -> Iterator[str]:
    """The settings without which changes wait."""
    waits, declared = waiting(paths), load_senders()
    for name in waits:
        destination = declared[name].destination if name in declared else None
        needed = variables(destination) if destination else ()
        if unset := [each for each in needed if not os.environ.get(each)]:
            yield f"  {name} waits for the environment's {' and '.join(unset)}"


def examples(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Commands to go on with, about the person of most systems in this very data."""
    found = connection.execute(
        """
        select min(record), max(record) from identity.unified_link_individual
        group by unified_individual_id having count(*) between 2 and 12
        order by count(distinct split_part(record, ':', 1)) desc, count(*), 1 limit 1
        """
    ).fetchone()
    if found is None:
        return []
    one, other = found
    return [f"cdp profile {one}", f"cdp why {one} {other}", "cdp catalog"]


def _streams(connection: duckdb.DuckDBPyConnection) -> Iterator[Sequence[object]]:
    yield "stream", "rows in", "loaded", "superseded", "quarantined", "live records"
    for stream, *figures in connection.execute(
        """
        select stream, sum(rows_in)::bigint,
            (sum(inserted) + sum(updated) + sum(deleted))::bigint,
            (sum(superseded) + sum(unchanged))::bigint, sum(quarantined)::bigint
        from ops.load group by stream order by stream
        """
    ).fetchall():
        yield (
            stream,
            *figures,
            _count(connection, f"{_dlo(stream)} where not _is_deleted"),
        )


def _dlo(stream: str) -> str:
    return f"dlo.{quoted(stream)}"


def _people(connection: duckdb.DuckDBPyConnection) -> Iterator[Sequence[object]]:
    row = connection.execute(
        """
        select records, people, largest_person, unmatched_records, evidence_rows
        from identity.run where object = 'individual' and status = 'promoted'
        order by run desc limit 1
        """
    ).fetchone()
    if row is None:
        yield ("no identity run was promoted yet",)
        return
    records, people, largest, unmatched, evidence = row
    yield "records", records
    yield "people", people
    yield "consolidation rate", f"{1 - people / records if records else 0:.1%}"
    yield "unmatched rate", f"{unmatched / records if records else 0:.1%}"
    yield "largest person", f"{largest} records"
    yield "evidence", evidence


def _quality(found: Evaluation) -> Iterator[Sequence[object]]:
    yield "", "precision", "recall", "F1"
    yield "people", *_scores(found.people)
    yield "exact rules alone", *_scores(found.exact_rules)
    for trap, quality in sorted(found.traps.items()):
        yield f"  {trap}", *_scores(quality)


def _scores(quality: Quality) -> tuple[str, str, str]:
    return f"{quality.precision:.3f}", f"{quality.recall:.3f}", f"{quality.f1:.3f}"


def _insights(connection: duckdb.DuckDBPyConnection) -> Iterator[Sequence[object]]:
    for name in PERSON_INSIGHTS:
        yield name, _count(connection, f"insights.{name}")


def _segments(connection: duckdb.DuckDBPyConnection) -> Iterator[Sequence[object]]:
    yield "segment", "members", "left"
    yield from connection.execute(
        """
        select segment, count(*) filter (where left_at is null),
            count(*) filter (where left_at is not null)
        from segments.membership group by segment order by segment
        """
    ).fetchall()


def _activations(
    connection: duckdb.DuckDBPyConnection, waits: Mapping[str, int]
) -> Iterator[Sequence[object]]:
    yield (
        "activation",
        *("delivered", "no consent", "no contact point", "other", "dead", "waiting"),
    )
    found = connection.execute(
        """
        select activation,
            count(*) filter (where outcome = 'delivered'),
            count(*) filter (where is_withheld and list_contains($consent, reason)),
            count(*) filter (where is_withheld and reason = 'no contact point'),
            count(*) filter (
                where is_withheld and reason <> 'no contact point'
                    and not list_contains($consent, reason)
            ),
            count(*) filter (where outcome = 'dead')
        from (from dlo.system_receipt select *, outcome = 'withheld' as is_withheld)
        group by activation
        """,
        {"consent": [NO_ROW, *REASONS.values()]},
    ).fetchall()
    figures: dict[str, Sequence[int]] = {name: counts for name, *counts in found}
    for name in sorted({*figures, *waits, *load_senders()}):
        yield name, *figures.get(name, [0] * 5), waits.get(name, 0)


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0


def _section(title: str, rows: Iterable[Sequence[object]]) -> str:
    lines = [f"\n{title}"]
    for first, *rest in rows:
        cells = "".join(f"{_cell(value):>{WIDTH}}" for value in rest)
        lines.append(f"  {first!s:<28}{cells}".rstrip())
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
