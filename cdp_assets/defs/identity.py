"""Identity resolution as assets: evidence, people and their ids."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import duckdb

from cdp_assets.defs.jobs import FULL_TAG
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.identity.decided import contradicting, not_kept
from cdp_assets.identity.decision_listing import commands
from cdp_assets.identity.outcome import ObjectOutcome, ResolutionResult
from cdp_assets.identity.resolve import resolve
from cdp_assets.identity.rules import read_ruleset

# Read when the code location loads: one that cannot work is refused then, with the
# rule and the remedy, and not minutes into a run.
RULESET = read_ruleset()
GROUP = "identity"
OWNER = "team:data-platform"
TABLES = {
    "match_model": "One row per version of the Splink model: settings and parameters.",
    "node": "One row per record as matching sees it: folded names, contact points.",
    "evidence": "One row per pair of records and reason: a rule's name, or a match "
    "weight with the level of each comparison.",
    "unified_link_individual": "One row per record of a person, saying which person "
    "it belongs to, singletons too, and by what kind of evidence.",
    "unified_link_account": "One row per record of a company, saying which company.",
    "redirect": "One row per retired id, always one hop to the living.",
    "change": "One row per person created, changed or retired: what consumers catch "
    "up from.",
    "run": "One row per resolution: its figures, and whether it was promoted.",
    "decision": "One row per pair of records that a person called the same, or "
    "different: who, when, why, and since which run it holds.",
    "labelled_pair": "One row per pair of records that a person was asked about, and "
    "the answer: to judge and train by; it moves nobody.",
    "reconciliation_rule": "The ruleset's reconciliation, as the dbt macro reads it.",
}
READS = [
    "individual",
    "contact_point_email",
    "contact_point_phone",
    "contact_point_address",
    "account",
]
LINKS = dg.AssetKey(["identity", "unified_link_individual"])


@dg.multi_asset(
    name="identity_resolution",
    specs=[
        dg.AssetSpec(
            ["identity", table],
            description=description,
            group_name=GROUP,
            kinds={"duckdb", "splink"},
            owners=[OWNER],
            tags={"cdp/layer": "identity"},
            deps=[dg.AssetKey(["dmo", name]) for name in READS]
            + [dg.AssetKey(["reference", "nickname"])],
        )
        for table, description in TABLES.items()
    ],
    check_specs=[
        dg.AssetCheckSpec(
            "gates_are_passed",
            asset=LINKS,
            description="All limits of the ruleset are kept; else the run is held.",
            blocking=True,
        ),
        dg.AssetCheckSpec(
            "every_record_is_linked_once",
            asset=LINKS,
            description="No record is lost, or counted as two people.",
            blocking=True,
        ),
        dg.AssetCheckSpec(
            "decisions_are_kept",
            asset=LINKS,
            description="Records that a person called the same are one person, those "
            "called different are two, and no two decisions contradict each other.",
            blocking=True,
        ),
    ],
)
def identity_resolution(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> Iterator[Any]:
    """Which records are the same person: rules, a Splink model, stable ids, gates."""
    with warehouse.get_connection("identity resolution") as connection:
        run = warehouse.run(connection, context.run)
        result = resolve(
            connection,
            ruleset=RULESET,
            run=run.number,
            as_of=run.as_of,
            say=context.log.info,
            full=True if FULL_TAG in context.run.tags else None,
        )
        rows = {table: _count(connection, table) for table in TABLES}
        decisions = _decisions_are_kept(connection)
        missing, repeated = connection.execute(
            """
            select count(*) filter (where links = 0), count(*) filter (where links > 1)
            from (
                select count(l.record) as links
                from dmo.individual as i
                left join identity.unified_link_individual as l on l.record = i.id
                group by i.id
            )
            """
        ).fetchone() or (0, 0)
    figures = _figures(result)
    for table in TABLES:
        yield dg.MaterializeResult(
            asset_key=["identity", table],
            metadata={"dagster/row_count": rows[table], **figures.get(table, {})},
        )
    yield dg.AssetCheckResult(
        check_name="gates_are_passed",
        asset_key=LINKS,
        passed=result.status == "promoted",
        description="; ".join(str(failure) for failure in result.failures) or None,
        metadata={
            f"{name}: {verdict.gate}": f"{verdict.value:g} (limit {verdict.limit:g})"
            for name, outcome in result.outcomes.items()
            for verdict in outcome.verdicts
        },
    )
    yield dg.AssetCheckResult(
        check_name="every_record_is_linked_once",
        asset_key=LINKS,
        passed=missing == repeated == 0,
        metadata={"missing": missing, "repeated": repeated},
    )
    yield decisions
    result.raise_if_held()


def _decisions_are_kept(connection: duckdb.DuckDBPyConnection) -> dg.AssetCheckResult:
    broken = contradicting(connection) + not_kept(connection)
    standing = [
        each for each in commands(connection) if not each.state.startswith("undone")
    ]
    return dg.AssetCheckResult(
        check_name="decisions_are_kept",
        asset_key=LINKS,
        passed=not broken,
        description="; ".join(broken[:10]) or None,
        metadata={
            "decisions": len(standing),
            "broken": len(broken),
            "dormant": sum(each.state.startswith("dormant") for each in standing),
        },
    )


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    found = connection.execute(f"select count(*) from identity.{table}").fetchone()
    return int(found[0]) if found else 0


def _figures(result: ResolutionResult) -> dict[str, dict[str, float | str]]:
    return {
        "unified_link_individual": _numbers(result.individual),
        "unified_link_account": _numbers(result.account),
        "evidence": {
            f"seconds_{step.replace(' ', '_')}": round(seconds, 2)
            for step, seconds in result.seconds.items()
        },
        "change": {
            "created": result.individual.changes.created,
            "changed": result.individual.changes.changed,
            "retired": result.individual.changes.retired,
        },
    }


def _numbers(outcome: ObjectOutcome) -> dict[str, float | str]:
    return {
        "way": f"{outcome.way.name}: {outcome.way.reason}",
        "changed_records": outcome.way.changed,
        "resolved_records": outcome.resolved,
        "records": outcome.records,
        "people": outcome.people,
        "consolidation_rate": round(outcome.consolidation_rate, 4),
        "largest": outcome.largest,
        "unmatched_rate": round(outcome.unmatched_rate, 4),
        "shared_identifiers": outcome.shared_identifiers,
        "groups_refined": outcome.groups_refined,
    }


@dg.definitions
def identity_definitions() -> dg.Definitions:
    """The resolution."""
    return dg.Definitions(assets=[identity_resolution])
