"""Schema drift: what becomes of a column that a source sends and nobody declared.

``on_drift`` decides per stream. ``evolve`` (the default) keeps the values in the column
``_undeclared``, a map from name to text, so nothing is lost until an analyst declares
the field; its values then move into its own column. ``freeze`` refuses the file.
``quarantine_row`` refuses the rows that hold a value there, ``quarantine_file`` every
row of the file, each with its record, to be replayed when the declaration is mended.
What is named under ``ignored_fields`` is known, left out, and no drift.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.streams import casting
from cdp_assets.streams.declared import SQL_TYPES
from cdp_assets.streams.spec import StreamSpec

NOTHING = "null::map(varchar, varchar)"
_BECOMES = {
    "evolve": "kept in _undeclared",
    "freeze": "refused",
    "quarantine_row": "rows that fill them quarantined",
    "quarantine_file": "all rows quarantined",
}
# A constant list of pointers is five times as fast as looking at each record's keys,
# until records share few of their keys.
_FEW_KEYS = 100
_REMEDY = "declare it, or name it under ignored_fields"


def undeclared(spec: StreamSpec, names: Iterable[str]) -> list[str]:
    """Those of a file's names that are neither declared nor known to be left out.

    A column without a name, as a delimiter at the end of each line makes it, is none.
    """
    declared = (spec.sent_as(name) for name in spec.fields)
    known = {name.lower() for name in (*declared, *spec.ignored_fields)}
    return [
        name for name in names if (name.strip().lower() or None) not in known | {None}
    ]


def note(spec: StreamSpec, names: Sequence[str]) -> str:
    """What an operator should know about columns that are not declared."""
    return f"columns not declared, {_BECOMES[spec.on_drift]}: {listed(names)}"


def refusal(names: Sequence[str]) -> str:
    """Why a file with these columns is refused where the declaration is frozen."""
    return (
        f"columns not declared: {listed(names)}; on_drift is freeze, so declare them, "
        "name them under ignored_fields, or choose another"
    )


def reason(spec: StreamSpec) -> str:
    """Why a row with a column that is not declared is refused."""
    if spec.on_drift == "quarantine_file":
        return f"its file has this column, which is not declared; {_REMEDY}"
    return f"the column is not declared; {_REMEDY}"


def listed(names: Sequence[str]) -> str:
    """At most 30 names, and how many more there are."""
    shown = ", ".join(name.strip() or "(no name)" for name in names[:30])
    return shown if len(names) <= 30 else f"{shown} and {len(names) - 30} more"


@dataclass(frozen=True)
class Strange:
    """What a reader hands over of columns that are not declared, as expressions."""

    undeclared: str = NOTHING
    drifted: str = "null::varchar"
    parameters: dict[str, Any] = field(default_factory=dict)


def strange_columns(spec: StreamSpec, cells: Mapping[str, str]) -> Strange:
    """For files of one header: the undeclared columns' names, and how to read them."""
    if not cells:
        return Strange()
    names = sorted(cells)
    values = ", ".join(cells[name] for name in names)
    # A partial row that empties a cell may say null by it, also of a later field.
    says_null = spec.is_partial and spec.connection.empty_cell == "clears"
    found = _packed("$strange::varchar[]", f"[{values}]", all_said=says_null)
    drifted = "$strange[1]" if spec.on_drift == "quarantine_file" else None
    return _strange(spec, found, drifted, {"strange": names})


def strange_keys(
    spec: StreamSpec,
    keys: Collection[str],
    files: Collection[int],
    *,
    says_null: bool = False,
) -> Strange:
    """For JSON records in a column ``document``.

    Args:
        spec: The stream.
        keys: The undeclared keys that occur.
        files: The numbers of the files in which they do.
        says_null: Whether a null that is there says something, as in partial updates.
    """
    if not keys:
        return Strange()
    names = sorted(keys)
    parameters: dict[str, Any] = {"strange": names}
    if len(names) <= _FEW_KEYS and not says_null:
        parameters["pointers"] = [_pointer(name) for name in names]
        values = "try(json_extract_string(document, $pointers::varchar[]))"
        found = _packed("$strange::varchar[]", values)
    else:
        own = """list_filter(list_sort(list_distinct(try(json_keys(document)))),
            lambda key: list_contains($strange::varchar[], key))"""
        values = f"""list_transform({own}, lambda key: json_extract_string(document,
            '/' || replace(replace(key, '~', '~0'), '/', '~1')))"""
        found = _packed(own, values, all_said=says_null)
    drifted = None
    if spec.on_drift == "quarantine_file":
        drifted = "case when list_contains($drifting, file_no) then $strange[1] end"
        parameters["drifting"] = sorted(files)
    return _strange(spec, found, drifted, parameters)


def _strange(
    spec: StreamSpec, found: str, drifted: str | None, parameters: dict[str, Any]
) -> Strange:
    if drifted is None:
        keeps = spec.on_drift == "evolve"
        filled = f"list_filter(map_entries({found}), lambda e: e.value is not null)"
        drifted = "null::varchar" if keeps else f"{filled}[1].key"
    return Strange(found, drifted, parameters)


def _pointer(key: str) -> str:
    # A JSON path cannot name a key with a quotation mark in it, a pointer can.
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _packed(names: str, values: str, *, all_said: bool = False) -> str:
    """A map from two lists, without the nulls unless those are said; null if empty."""
    kept = f"list_zip({names}, {values})"
    if not all_said:
        kept = f"list_filter({kept}, lambda pair: pair[2] is not null)"
    return f"case when len({kept}) > 0 then map_from_entries({kept}) end"


def adopt_declared(connection: duckdb.DuckDBPyConnection, spec: StreamSpec) -> None:
    """Move kept values into the columns of fields that were declared since.

    The rows are then what they would be had the field been declared from the start. A
    value that does not fit the declared type stays where it is. ``_load_seq`` does not
    change: a model that reads the new column has new SQL, which rebuilds it in full.
    """
    table = f"dlo.{quoted(spec.name)}"
    sent = connection.execute(
        f"select distinct unnest(map_keys(_undeclared)) from {table}"
    ).fetchall()
    names = {spec.sent_as(name).lower(): name for name in spec.fields}
    for (key,) in sorted(sent):
        if (name := names.get(key.strip().lower())) is None:
            continue
        type_ = spec.fields[name].type
        value = casting.value(type_, casting.cleaned(type_, "_undeclared[$key]"))
        moved = f"({value})::{SQL_TYPES[type_]}"
        left = _without_key()
        typed = {other: quoted(other) for other in spec.fields} | {name: moved}
        renamed = (
            f"""_fields_at = map_from_entries(list_sort(list_transform(
                list_filter(map_entries(_fields_at),
                    lambda entry: entry.key <> '{name}'),
                lambda entry: {{
                    'key': if(entry.key = $key, '{name}', entry.key),
                    'value': entry.value
                }}))),"""
            if spec.is_partial and name != key
            else ""
        )
        connection.execute(
            f"""
            update {table} set {quoted(name)} = {moved}, {renamed}
                _undeclared = {left}, _row_hash = {casting.row_hash(spec, typed, left)}
            where map_contains(_undeclared, $key) and {quoted(name)} is null
                and (({value}) is not null or _undeclared[$key] is null)
            """,
            {"key": key},
        )


def _without_key() -> str:
    left = "list_filter(map_entries(_undeclared), lambda entry: entry.key <> $key)"
    return f"case when len({left}) > 0 then map_from_entries({left}) end"
