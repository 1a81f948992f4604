"""Compacted files: one Parquet file that holds the rows of many landed ones.

Beside each row stand its original file and line. Rows of text files are kept as the
record that quarantine would show, so that what is no record at all is kept too; rows of
Parquet files keep their columns and types. The footer names every original with its
hash and size, so a warehouse that was lost or restored loads a compacted file as it
would have loaded the originals.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from cdp_assets.streams.arrivals import COMPACTED
from cdp_assets.streams.read_json import keys_of, source_of_lines
from cdp_assets.streams.read_parquet import Schema, schema_of, source_of_parquet
from cdp_assets.streams.scan import Scan, UnreadableError
from cdp_assets.streams.sources import Source
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.streams.staging import stage

KEY = "cdp_originals"
# Our columns in a compacted file; a Parquet file that has one of these is left alone.
FILE, LINE, NUMBER = "_file", "_line", "_file_no"
OURS = (FILE, LINE, NUMBER)


@dataclass(frozen=True)
class Original:
    """One landed file, as the ledger knows it."""

    file: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class Manifest:
    """What a compacted file says of itself."""

    stream: str
    format: str
    """Of the originals: csv, json, ndjson or parquet."""
    originals: tuple[Original, ...]
    """In the order of arrival; ``_file_no`` counts them from 0."""

    def to_text(self) -> str:
        """As the footer holds it."""
        return json.dumps(asdict(self))

    def scans(self, path: Path) -> dict[int, Scan]:
        """The originals, as if each had been looked at."""
        return {
            number: Scan(
                path.parents[1] / original.file,
                original.bytes,
                0,
                original.sha256,
                path,
                is_blank=original.rows == 0,
            )
            for number, original in enumerate(self.originals)
        }


def manifest_of(connection: duckdb.DuckDBPyConnection, path: Path) -> Manifest:
    """Read a compacted file's footer.

    Raises:
        UnreadableError: It is damaged, or not one of ours.
        FileNotFoundError: It vanished.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        row = connection.execute(
            "select decode(value) from parquet_kv_metadata(?) where decode(key) = ?",
            [str(path), KEY],
        ).fetchone()
    except duckdb.Error as error:
        raise UnreadableError(f"{path.name}: damaged: {error}") from error
    if row is None:
        raise UnreadableError(
            f"{path.name}: its footer names no original files; only compaction writes "
            f"to {COMPACTED}/, so move it to the stream's own folder"
        )
    found = json.loads(row[0])
    return Manifest(
        found["stream"],
        found["format"],
        tuple(Original(**original) for original in found["originals"]),
    )


def stage_compacted(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    path: Path,
    format_: str,
    wanted: Sequence[bool],
) -> None:
    """Stage the rows of some of a compacted file's originals.

    Args:
        connection: With an empty stage.
        spec: The stream.
        path: The compacted file.
        format_: Of its originals.
        wanted: For each original whether its rows are.

    Raises:
        UnreadableError: A column that the record cannot do without is missing.
        duckdb.Error: The file is damaged; nothing is staged.
    """
    relation = f"""(
        select * from read_parquet($file) where $wanted[{NUMBER}::bigint + 1]
        {f"order by {NUMBER}, {LINE}" if spec.is_arrival_ordered else ""}
    )"""
    parameters = {"file": str(path), "wanted": list(wanted)}
    if format_ == "parquet":
        schema = schema_of(connection, Scan(path, 0, 0, "", path))
        source = _columns_source(spec, schema, relation, parameters)
    else:
        relation = f"""(
            select {NUMBER} as file_no, {LINE} as position, _fault, record as line,
                case when starts_with(ltrim(record), '{{') then record end as document
            from {relation}
        )"""
        source = source_of_lines(
            spec,
            relation,
            keys_of(connection, relation, parameters),
            parameters,
            nested_as_text=format_ == "csv",
            line="position",
            fault="_fault",
            record="line",
        )
    stage(connection, spec, source)


def _columns_source(
    spec: StreamSpec, schema: Schema, relation: str, parameters: dict[str, Any]
) -> Source:
    own = [
        (name, type_)
        for name, type_ in zip(schema.names, schema.types, strict=True)
        if name not in OURS
    ]
    names, types = zip(*own, strict=True)
    listed = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in names)
    columns = ", ".join(f"c{position}" for position in range(len(names)))
    renamed = f"""(
        select * from (select {listed}, {NUMBER}, {LINE} from {relation})
            as columns_of_file({columns}, file_no, line)
    )"""
    return source_of_parquet(
        spec, Schema(names, types), renamed, parameters, line="line"
    )


def register(
    connection: duckdb.DuckDBPyConnection, path: Path, manifest: Manifest
) -> None:
    """Note in the ledger that a compacted file holds its originals' rows."""
    connection.execute(
        """
        update ops.landed_file set compacted_into = $name
        where stream = $stream and list_contains($hashes, content_sha256)
        """,
        {
            "name": path.name,
            "stream": manifest.stream,
            "hashes": [original.sha256 for original in manifest.originals],
        },
    )
