"""The empty canonical model of a labelled file, and the file's cells, cleaned."""

import duckdb
import yaml

from cdp_assets.declarations import quoted
from cdp_assets.identity.bench.declared import BenchMap
from cdp_assets.identity.bench.macros import seeds
from cdp_assets.identity.bench.records import STREAM
from cdp_assets.identity.bench.values import cell, date_of
from cdp_assets.paths import DBT_PROJECT

_TABLES = (
    "individual", "contact_point_email", "contact_point_phone", "lead",
    "contact_point_address", "party_identification", "account",
)  # fmt: skip


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the tables by the dbt project's contracts, and load its seeds."""
    for name, file in seeds(("country", "state_province", "mail_provider", "nickname")):
        connection.execute(
            f"create or replace table reference.{name} as "
            "from read_csv(?, all_varchar = true, header = true)",
            [file],
        )
    for name in _TABLES:
        _create(connection, name)
    connection.execute(
        """
        create or replace table dmo.party_attribute (
            party_id varchar, attribute_name varchar, attribute_value varchar,
            data_source_id varchar, data_source_object_id varchar,
            source_record_id varchar, created_date timestamp,
            last_modified_date timestamp, _load_seq bigint
        )
        """
    )


def stage_cells(
    connection: duckdb.DuckDBPyConnection, declared: BenchMap, fields: dict[str, str]
) -> None:
    """``bench_cell``: one row per record, one column per attribute."""
    taken = {"source": declared.source, "key": declared.key}
    columns = [
        f"coalesce({fields[column]}, '') as {name}" for name, column in taken.items()
    ]
    for name, source in declared.attributes.items():
        parts = ", ".join(cell(fields[column]) for column in source.columns)
        columns.append(f"nullif(concat_ws(' ', {parts}), '') as {name}")
    columns += [f"{field} as {field}" for field in fields.values()]
    connection.execute(
        f"""
        create or replace table map.bench_cell as
        select _record_id as id, _load_seq, {", ".join(columns)}
        from dlo.{STREAM} where not _is_deleted
        """
    )
    born = declared.attributes.get("birth_date")
    if born:
        date = date_of(connection, "map.bench_cell", "birth_date", born.format)
        connection.execute(
            f"""
            create or replace table map.bench_cell as
            select * replace ({date} as birth_date) from map.bench_cell
            """
        )


def _create(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    contract = yaml.safe_load(
        (DBT_PROJECT / "models" / "dmo" / f"{name}.yml").read_text("utf-8")
    )
    columns = ", ".join(
        f"{quoted(column['name'])} {column['data_type']}"
        for column in contract["models"][0]["columns"]
    )
    connection.execute(f"create or replace table dmo.{quoted(name)} ({columns})")
