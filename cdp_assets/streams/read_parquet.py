"""Reading Parquet: whatever types a file has, as the declared ones.

Files with the same columns and types are read in one pass. A column that has the
declared type already is taken as it is, lists and structures become JSON, anything else
goes through its text and the same casts as CSV.
"""

from dataclasses import dataclass, replace
from typing import Any

import duckdb

from cdp_assets.streams import drift
from cdp_assets.streams.columns import match_columns
from cdp_assets.streams.declared import SQL_TYPES, FieldType
from cdp_assets.streams.scan import Scan, UnreadableError
from cdp_assets.streams.sources import Column, Source, Stager
from cdp_assets.streams.spec import StreamSpec

_WHOLE = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
)
_INSTANTS = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")


@dataclass(frozen=True)
class Schema:
    """The columns of a file and the types that DuckDB gives them."""

    names: tuple[str, ...]
    types: tuple[str, ...]


def schema_of(connection: duckdb.DuckDBPyConnection, scan: Scan) -> Schema:
    """Read a file's schema from its footer.

    Raises:
        UnreadableError: It is no complete Parquet file.
    """
    try:
        columns = connection.execute(
            "select column_name, column_type from (describe from read_parquet(?))",
            [str(scan.text)],
        ).fetchall()
    except duckdb.Error as error:
        raise UnreadableError(
            f"not a complete Parquet file: {first_line(error, scan)}"
        ) from error
    return Schema(
        tuple(name for name, _ in columns), tuple(type_ for _, type_ in columns)
    )


class Schemas:
    """The schemas of many files, each distinct one asked for once.

    DuckDB takes a millisecond to describe a file, Arrow a tenth of that to say that its
    schema is one seen before.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._seen: dict[str, Schema] = {}

    def of(self, scan: Scan) -> Schema:
        """The schema of a file.

        Raises:
            UnreadableError: It is no complete Parquet file.
        """
        import pyarrow as pa
        from pyarrow import parquet

        try:
            footer = parquet.read_metadata(scan.text)  # type: ignore[no-untyped-call]
            known = str(footer.schema)
        except (pa.ArrowException, OSError):
            # Whether that is so, and in which words, is for DuckDB to say.
            return schema_of(self._connection, scan)
        if known not in self._seen:
            self._seen[known] = schema_of(self._connection, scan)
        return self._seen[known]


def stage_parquet(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    schema: Schema,
    scans: dict[int, Scan],
    into: Stager,
) -> None:
    """Stage files that share a schema.

    Raises:
        UnreadableError: A column that the record cannot do without is missing.
        duckdb.Error: A file is damaged; nothing is staged.
    """
    renamed = ", ".join(f"c{position}" for position in range(len(schema.names)))
    relation = f"""(
        select * exclude (file_index), $numbers[file_index::bigint + 1] as file_no
        from (select *, file_index from read_parquet($files))
            as columns_of_file({renamed}, file_index)
    )"""
    parameters = {
        "numbers": list(scans),
        "files": [str(scan.text) for scan in scans.values()],
    }
    into(connection, spec, source_of_parquet(spec, schema, relation, parameters))


def source_of_parquet(
    spec: StreamSpec,
    schema: Schema,
    relation: str,
    parameters: dict[str, Any],
    **more: str,
) -> Source:
    """How to read records from a relation with columns ``c0``, ``c1``, … of a schema.

    Raises:
        UnreadableError: A column that the record cannot do without is missing.
    """
    packed = ", ".join(
        f'"{name.replace(chr(34), chr(34) * 2)}" := c{position}'
        for position, name in enumerate(schema.names)
    )
    matched = match_columns(spec, schema.names)
    strange = drift.strange_columns(
        spec,
        {
            name: _column("string", f"c{at}", schema.types[at]).sql
            for name, at in matched.undeclared.items()
        },
    )
    keeps = spec.connection.empty_cell == "keeps"
    return Source(
        sql=relation,
        columns={
            name: replace(
                _column(spec.fields[name].type, f"c{at}", schema.types[at]),
                said=f"c{at} is not null" if keeps else "true",
            )
            for name, at in matched.positions.items()
        },
        undeclared=strange.undeclared,
        drifted=strange.drifted,
        record=f"to_json(struct_pack({packed}))::varchar",
        parameters=strange.parameters | parameters,
        **more,
    )


def first_line(error: Exception, scan: Scan) -> str:
    """What DuckDB says of a file, without the folder it lies in."""
    lines = str(error).strip().splitlines() or ["no reason given"]
    return lines[0].replace(str(scan.text), scan.path.name)[:300]


def _column(declared: FieldType, cell: str, physical: str) -> Column:
    exact = _exact(declared, cell, physical)
    if exact:
        return Column(exact, is_exact=True)
    if physical in ("DOUBLE", "FLOAT"):
        # pandas writes a missing number as NaN.
        return Column(f"case when not isnan({cell}) then {cell}::varchar end")
    if physical == "BLOB":
        # Older writers leave texts unmarked.
        return Column(f"try(decode({cell}))")
    if physical == "TIMESTAMP WITH TIME ZONE":
        return Column(f"({cell} at time zone 'UTC')::varchar")
    if physical.endswith("]") or physical.startswith(("STRUCT", "MAP", "UNION")):
        return Column(f"to_json({cell})::varchar")
    return Column(f"{cell}::varchar")


def _exact(declared: FieldType, cell: str, physical: str) -> str | None:
    """The column as the declared type, where nothing can be lost or fail."""
    if physical.lower() == SQL_TYPES[declared]:
        return cell if declared != "json" else None
    if declared == "integer" and physical in _WHOLE:
        return f"{cell}::bigint"
    if declared == "timestamp":
        if physical == "TIMESTAMP WITH TIME ZONE":
            return f"({cell} at time zone 'UTC')"
        if physical in (*_INSTANTS, "DATE"):
            return f"{cell}::timestamp"
    if declared == "json" and (
        physical.endswith("]") or physical.startswith(("STRUCT", "MAP"))
    ):
        return f"to_json({cell})"
    return None
