"""Reading JSON: one record per line, as sent or as split out of a document.

DuckDB's own JSON reader gives no line numbers and drops what it cannot parse. Its CSV
reader with no delimiter and no quote gives exactly one row per line, in parallel; the
JSON functions then read the fields of whole columns. Names match whatever their case,
record by record.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from cdp_assets.streams import drift
from cdp_assets.streams.scan import Scan, rewritten
from cdp_assets.streams.sources import Column, Source, Stager
from cdp_assets.streams.spec import StreamSpec

# No record is larger; DuckDB's JSON reader draws the same line.
_LINE_BYTES = 16 << 20
# DuckDB would take sixteen times the longest line for each thread: 256 MiB.
_BUFFER_BYTES = 2 * _LINE_BYTES

# What stands in the place of a longer line: a mark that no JSON begins with, then its
# beginning, enough to find where it came from.
_TOO_LONG = b"\x01"
_BEGINNING = 10_000

_LINES = f"""(
    select
        $numbers[file_index::bigint + 1] as file_no, line,
        case when starts_with(ltrim(line), '{{') then line end as document
    from read_csv(
        $files, columns = {{line: 'varchar'}}, header = false, auto_detect = false,
        delim = '', quote = '', escape = '', new_line = '\\n', strict_mode = false,
        max_line_size = {_LINE_BYTES}, buffer_size = {_BUFFER_BYTES}
    )
)"""

_FAULT = r"""
    case
        when starts_with(line, chr(1))
            then 'longer than 16 MiB, only its beginning is kept; expected one record'
        when contains(line, '\u0000')
            then 'holds the character U+0000, which no text has; is it damaged?'
        when texts is not null or coalesce(trim(line), '') = '' then null
        when json_valid(line) then 'a JSON value but no object; expected an object'
        else 'not valid JSON; expected one object per line. Is the line cut off?'
    end
"""

_EXPRESSIONS = {
    "record": "case when texts is null then to_json(line)::varchar else line end",
    "blank": "coalesce(trim(line), '') = ''",
    "fault": _FAULT,
}


def plain_lines(scan: Scan, work: Path) -> Path:
    """The file as DuckDB reads it to its end.

    With line feeds only, since a reader that meets both kinds miscounts, and with a
    short stand-in for a line that no reader takes, since it would refuse the whole.
    """
    if not scan.has_carriage_returns and scan.longest_line < _LINE_BYTES:
        return scan.text
    target = rewritten(work, scan.path)
    with scan.text.open("rb") as source, target.open("wb") as sink:
        # Outside of strings a carriage return is white space, inside there is none.
        while line := source.readline(_LINE_BYTES):
            if len(line) == _LINE_BYTES and not line.endswith(b"\n"):
                line = _TOO_LONG + line[:_BEGINNING].decode(errors="ignore").encode()
                while rest := source.readline(_LINE_BYTES):
                    if rest.endswith(b"\n"):
                        break
                line += b"\n"
            sink.write(line.replace(b"\r", b" "))
    return target


def stage_lines(
    connection: duckdb.DuckDBPyConnection,
    spec: StreamSpec,
    files: Mapping[int, Path],
    into: Stager,
) -> dict[int, list[str]]:
    """Stage files that hold one JSON object per line.

    Returns:
        The keys that are not declared, for the files that have any. Where the
        declaration is frozen nothing of these files is staged.

    Raises:
        duckdb.Error: The reader gave up; nothing is staged.
    """
    parameters = {
        "numbers": list(files),
        "files": [str(path) for path in files.values()],
    }
    keys = keys_of(connection, _LINES, parameters)
    strange = {
        number: found
        for number, names in keys.items()
        if (found := sorted(drift.undeclared(spec, names)))
    }
    if strange and spec.on_drift == "freeze":
        left = {number: files[number] for number in files.keys() - strange.keys()}
        if left:
            stage_lines(connection, spec, left, into)
        return strange
    into(connection, spec, source_of_lines(spec, _LINES, keys, parameters))
    return strange


def short_files(
    connection: duckdb.DuckDBPyConnection, expected: Mapping[int, int]
) -> dict[int, str]:
    """Files that were not read to their end, with how many lines were.

    Args:
        connection: With a filled stage.
        expected: How many lines each file has.
    """
    read = dict(
        connection.execute(
            "select file_no, count(*) from stage group by file_no"
        ).fetchall()
    )
    return {
        number: f"{read.get(number, 0)} lines were read of {lines}"
        for number, lines in expected.items()
        if read.get(number, 0) != lines
    }


def keys_of(
    connection: duckdb.DuckDBPyConnection, relation: str, parameters: dict[str, Any]
) -> dict[int, set[str]]:
    """Every key that the documents of a relation have at their top, by file."""
    found = connection.execute(
        f"""
        select distinct file_no, unnest(try(json_keys(document))) from {relation}
        """,
        parameters,
    )
    keys: dict[int, set[str]] = defaultdict(set)
    for number, key in found.fetchall():
        keys[number].add(key)
    return keys


def source_of_lines(
    spec: StreamSpec,
    relation: str,
    keys: Mapping[int, Iterable[str]],
    parameters: dict[str, Any],
    *,
    nested_as_text: bool = False,
    **more: str,
) -> Source:
    """How to read records from ``line`` and ``document`` columns.

    Args:
        spec: The stream.
        relation: What has the columns.
        keys: The keys that occur in each file; those that differ from a field's name
            in case only are that field.
        parameters: Of the relation.
        nested_as_text: Whether a json field holds its JSON as a text, as CSV has it.
        more: Other expressions of the source.
    """
    columns, texts, nested = _columns(
        spec, set().union(*keys.values()), nested_as_text=nested_as_text
    )
    strange = {
        number: found
        for number, names in keys.items()
        if (found := drift.undeclared(spec, names))
    }
    drifted = drift.strange_keys(
        spec,
        set().union(*strange.values()),
        strange,
        says_null=spec.is_partial and not (nested_as_text and _keeps(spec)),
    )
    return Source(
        sql=f"""(
            select *, try(json_extract_string(document, $texts::varchar[])) as texts,
                try(json_extract(document, $nested::varchar[])) as nested
            from {relation}
        )""",
        columns=columns,
        parameters=parameters | drifted.parameters | {"texts": texts, "nested": nested},
        **(_EXPRESSIONS | more),
        undeclared=drifted.undeclared,
        drifted=drifted.drifted,
    )


def _columns(
    spec: StreamSpec, keys: set[str], *, nested_as_text: bool
) -> tuple[dict[str, Column], list[str], list[str]]:
    """The declared fields, and the paths of the texts and of the nested values."""
    spellings: dict[str, list[str]] = {}
    for key in sorted(keys):
        spellings.setdefault(key.lower(), []).append(key)
    texts: list[str] = []
    nested: list[str] = []
    columns: dict[str, Column] = {}
    for name, field in spec.fields.items():
        paths = [
            f"$.{_quoted(key)}" for key in spellings.get(spec.sent_as(name).lower(), [])
        ]
        is_nested = field.type == "json" and not nested_as_text
        taken = nested if is_nested else texts
        column = "nested" if is_nested else "texts"
        cells = [f"{column}[{len(taken) + at + 1}]" for at in range(len(paths))]
        taken.extend(paths)
        if cells and is_nested:
            cells = [
                f"case when {cell}::varchar <> 'null' then {cell} end" for cell in cells
            ]
        if cells:
            spelt = ", ".join(
                f"'{key.replace(chr(39), chr(39) * 2)}'"
                for key in spellings[spec.sent_as(name).lower()]
            )
            said = f"list_has_any(try(json_keys(document)), [{spelt}])"
            value = f"coalesce({', '.join(cells)})"
            if nested_as_text and _keeps(spec):
                said += f" and {value} is not null"
            columns[name] = Column(value, is_exact=is_nested, said=said)
    return columns, texts, nested


def _keeps(spec: StreamSpec) -> bool:
    """Whether an empty cell of a record that came as CSV or Parquet says nothing."""
    return spec.connection.empty_cell == "keeps"


def _quoted(key: str) -> str:
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
