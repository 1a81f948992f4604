"""How one ruleset's people compare with those published, and with the truth."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_assets.identity.evaluation import Quality, quality_of
from cdp_assets.identity.outcome import ResolutionResult
from cdp_assets.identity.truth import stage_truth
from cdp_assets.rulesets.resolving import WAREHOUSE
from cdp_assets.rulesets.spec import PUBLISHED
from cdp_assets.what_if.people import compare_links

OBJECTS = ("individual", "account")


@dataclass(frozen=True)
class Standing:
    """One ruleset's people, or companies."""

    ruleset: str
    object: str
    ruleset_version: str | None
    model_version: str | None
    held_by: str | None
    """The gate that the last result failed; what is told is the one before."""
    records: int
    people: int
    largest: int
    unmatched: int
    merges: int | None
    """Its people that the published ruleset takes for several; None of that itself."""
    splits: int | None
    """Published people that it takes for several."""
    quality: Quality | None
    """Of people, where a truth is known."""

    @property
    def consolidation_rate(self) -> float:
        """One minus people per record, as Data Cloud counts it."""
        return 1 - self.people / self.records if self.records else 0.0


def standings_beside(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    result: ResolutionResult,
    truth: Path,
) -> list[Standing]:
    """The standings of a ruleset just resolved.

    Args:
        connection: From ``opened``, with the result in it.
        name: The ruleset.
        result: Says which gates held it.
        truth: CSV of ``source, record_id, entity_id``; may be absent.
    """
    found = []
    for object_name in OBJECTS:
        moves = compare_links(
            connection,
            object_name,
            0,
            earlier=f"select record, unified_{object_name}_id as id "
            f"from {WAREHOUSE}.identity.unified_link_{object_name}",
        )
        failures = result.outcomes[object_name].failures
        found.append(
            _standing(
                connection,
                name,
                object_name,
                truth,
                held_by="; ".join(map(str, failures)) or None,
                merges=moves.merges,
                splits=moves.splits,
            )
        )
    return found


def published_standings(
    connection: duckdb.DuckDBPyConnection, truth: Path
) -> list[Standing]:
    """The standings of the people that profiles follow, from the warehouse."""
    return [
        _standing(connection, PUBLISHED, object_name, truth) for object_name in OBJECTS
    ]


def _standing(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    object_name: str,
    truth: Path,
    *,
    held_by: str | None = None,
    merges: int | None = None,
    splits: int | None = None,
) -> Standing:
    records, people, largest, unmatched = connection.execute(
        f"""
        select coalesce(sum(n), 0)::bigint, count(*), coalesce(max(n), 0),
            count(*) filter (where n = 1)
        from (select count(*) as n from identity.unified_link_{object_name}
            group by unified_{object_name}_id)
        """
    ).fetchall()[0]
    last = connection.execute(
        """
        select ruleset_version, model_version from identity.run
        where object = ? and status = 'promoted' order by run desc limit 1
        """,
        [object_name],
    ).fetchone() or (None, None)
    quality = None
    if object_name == "individual" and records and truth.exists():
        stage_truth(connection, truth)
        quality = quality_of(connection, "truth_people")
    return Standing(
        ruleset=name,
        object=object_name,
        ruleset_version=last[0],
        model_version=last[1],
        held_by=held_by,
        records=records,
        people=people,
        largest=largest,
        unmatched=unmatched,
        merges=merges,
        splits=splits,
        quality=quality,
    )
