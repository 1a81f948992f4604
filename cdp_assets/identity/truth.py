"""The truth that people are judged by, beside the person each of its records is in."""

from pathlib import Path

import duckdb


def stage_truth(connection: duckdb.DuckDBPyConnection, truth: Path) -> None:
    """Build ``truth_record``, and ``truth_people`` from the links that stand."""
    connection.execute(
        """
        create or replace temp table truth_record as
        select source || ':' || record_id as record, entity_id as entity
        from read_csv(?, all_varchar = true)
        """,
        [str(truth)],
    )
    group_by_person(
        connection,
        "truth_people",
        "select record, unified_individual_id as person "
        "from identity.unified_link_individual",
    )


def group_by_person(
    connection: duckdb.DuckDBPyConnection, name: str, people: str
) -> None:
    """Every true record with its entity and its person, alone where it has none."""
    connection.execute(
        f"""
        create or replace temp table {name} as
        select record, entity, coalesce(person, 'alone ' || record) as person
        from truth_record left join ({people}) using (record)
        """
    )
