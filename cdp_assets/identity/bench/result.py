"""What came of a labelled file: written down, and compared with its truth."""

from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from cdp_assets.errors import OperatorError
from cdp_assets.identity.bench.declared import BenchMap
from cdp_assets.identity.bench.misses import Misses
from cdp_assets.identity.bench.records import STREAM, column_fields
from cdp_assets.identity.bench.truth import stage_truth
from cdp_assets.identity.evaluation import Quality, quality_of
from cdp_assets.identity.judging.curve import Point, curve
from cdp_assets.identity.judging.intervals import Figures, figures_of
from cdp_assets.identity.sections import ModelUse
from cdp_assets.identity.verdict import Verdict


@dataclass
class BenchResult:
    """What came of a file."""

    quality: Quality
    figures: Figures
    """The same with intervals of 95 %."""
    curve: list[Point]
    """What other link weights would have made; empty without a model."""
    link_weight: float
    records: int
    refused: int
    entities: int
    clusters: int
    largest: int
    true_pairs: int
    ceiling: float
    """The share of true pairs that blocking brings together directly."""
    verdicts: list[Verdict]
    unknown: int = 0
    """Rows of the truth that name no record of the file."""
    unlabelled: int = 0
    """Records of which the truth says nothing, and which count for nothing."""
    refusal: str = ""
    """Where and why the first row that could not be loaded was refused."""
    seconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: int = 0
    misses: Misses | None = None
    """Where they were asked for."""


def export_clusters(
    connection: duckdb.DuckDBPyConnection, declared: BenchMap, file: Path
) -> None:
    """Write ``clusters.csv``: every record under the source and key of the file."""
    fields = column_fields(declared)
    connection.execute(
        f"""
        create or replace temp table cluster as
        select
            cell.{fields[declared.source]} as source,
            cell.{fields[declared.key]} as record_id,
            link.unified_{declared.object}_id as cluster_id,
            cell._record_id as record
        from dlo.{STREAM} as cell
        inner join identity.unified_link_{declared.object} as link
            on link.record = cell._record_id
        """
    )
    connection.execute(
        f"""
        copy (select source, record_id, cluster_id from cluster order by all)
        to '{str(file).replace("'", "''")}' (header, delimiter ',')
        """
    )


def compare(
    connection: duckdb.DuckDBPyConnection,
    declared: BenchMap,
    truth: Path,
    use: ModelUse | None,
) -> BenchResult:
    """Read the truth, for the first time, and count."""
    stage_truth(connection, truth)
    connection.execute(
        """
        create or replace temp table truth_cluster as
        select
            truth.entity, cluster.record,
            coalesce(cluster.cluster_id,
                'alone ' || truth.source || ':' || truth.record_id) as person
        from truth_record as truth left join cluster using (source, record_id)
        """
    )
    unknown, unlabelled = _unmatched(connection, truth)
    true_pairs, entities = connection.execute(
        """
        select coalesce(sum(n * (n - 1) // 2), 0), count(*)
        from (select count(*) as n from truth_cluster group by entity)
        """
    ).fetchall()[0]
    count, people, largest = connection.execute(
        """
        select coalesce(sum(n), 0), count(*), coalesce(max(n), 0)
        from (select count(*) as n from cluster group by cluster_id)
        """
    ).fetchall()[0]
    return BenchResult(
        quality=quality_of(connection, "truth_cluster"),
        figures=figures_of(connection, "truth_cluster"),
        curve=curve(connection, "truth_cluster", use, declared.object) if use else [],
        link_weight=use.link_weight if use else 0.0,
        records=int(count),
        refused=0,
        entities=entities,
        clusters=people,
        largest=largest,
        true_pairs=int(true_pairs),
        ceiling=_ceiling(connection, int(true_pairs)),
        verdicts=[],
        unknown=unknown,
        unlabelled=unlabelled,
    )


def _unmatched(connection: duckdb.DuckDBPyConnection, truth: Path) -> tuple[int, int]:
    """Rows of the truth without a record, and records without a row of the truth.

    Raises:
        OperatorError: No row of the truth names a record.
    """
    rows, unknown, unlabelled, named, there = connection.execute(
        """
        select
            (select count(*) from truth_record),
            (select count(*) from truth_record
                anti join cluster using (source, record_id)),
            (select count(*) from cluster
                anti join truth_record using (source, record_id)),
            (select min((source, record_id)) from truth_record),
            (select min((source, record_id)) from cluster)
        """
    ).fetchall()[0]
    if rows and unknown == rows:
        raise OperatorError(
            f"{truth.name}: none of its {rows:,} rows names a record of the file; "
            f"source and record_id are {named} there and {there} in the file"
        )
    return unknown, unlabelled


def _ceiling(connection: duckdb.DuckDBPyConnection, true_pairs: int) -> float:
    """The share of true pairs that are among those compared at first."""
    if not true_pairs:
        return 1.0
    found = connection.execute(
        """
        with node as (
            select node_id, entity
            from truth_cluster inner join identity.node using (record)
        )
        select count(*) from bench_candidate as pair
        inner join node as l on pair.node_l = l.node_id
        inner join node as r on pair.node_r = r.node_id
        where l.entity = r.entity
        """
    ).fetchall()[0][0]
    return float(found) / true_pairs
