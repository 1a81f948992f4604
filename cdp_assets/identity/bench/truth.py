"""The truth of a labelled file: whose each record is."""

import csv
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd

from cdp_assets.errors import OperatorError
from cdp_assets.identity.bench.records import layout_of

_COLUMNS = ("source", "record_id", "entity_id")


def check_truth(path: Path) -> None:
    """Look through the file before anything is resolved, and keep nothing of it.

    Raises:
        OperatorError: It cannot be read, or does not say one entity per record.
    """
    entities: dict[tuple[str, str], str] = {}
    for line, (source, record, entity) in _rows(path):
        if not entity:
            raise OperatorError(
                f"{path.name}: line {line}: no entity_id; give one, or leave out the "
                "row of a record of which it is not known"
            )
        if entities.setdefault((source, record), entity) != entity:
            raise OperatorError(
                f"{path.name}: line {line}: record {record!r} of source {source!r} "
                "belongs to another entity in a line before; expected one"
            )


def stage_truth(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Build ``truth_record``: source, record_id and entity, a row per record."""
    rows = dict.fromkeys(row for _, row in _rows(path))
    labels = pd.DataFrame(list(rows), columns=list(_COLUMNS), dtype="str")
    connection.register("label", labels)
    connection.execute(
        """
        create or replace temp table truth_record as
        select source::varchar as source, record_id::varchar as record_id,
            entity_id::varchar as entity
        from label
        """
    )
    connection.unregister("label")


def _rows(path: Path) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """Source, key and entity of every row, with its line."""
    layout = layout_of(path)
    missing = sorted(set(_COLUMNS) - set(layout.columns))
    if missing:
        raise OperatorError(
            f"{path.name}: line 1: no column {missing[0]!r}; expected "
            f"{', '.join(_COLUMNS)}, found {', '.join(layout.columns)}"
        )
    places = [layout.columns.index(name) for name in _COLUMNS]
    with path.open(encoding=layout.encoding, newline="") as file:
        reader = csv.reader(file, delimiter=layout.delimiter)
        next(reader)
        for row in reader:
            if not any(row):
                continue
            if len(row) <= max(places):
                raise OperatorError(
                    f"{path.name}: line {reader.line_num}: {len(row)} values, expected "
                    f"{len(layout.columns)}"
                )
            source, record, entity = (row[place] for place in places)
            yield reader.line_num, (source, record, entity)
