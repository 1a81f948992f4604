"""Views of the warehouse that can be views over the snapshot's files.

A copy of a view says nothing that its tables do not say. Of 100,000 records' 4.4
million rows in the snapshot half were copies, and every wave worked out the views three
times to find what had changed in them.
"""

import contextlib
import json
import re
from collections.abc import Iterable
from typing import Any

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.publication.table_files import dotted, in_quotes

_VIEW = re.compile(r"CREATE VIEW (?P<name>\S+) AS (?P<query>.+);\s*", re.DOTALL)


def portable_views(
    connection: duckdb.DuckDBPyConnection, tables: Iterable[str]
) -> dict[str, str]:
    """Those of ``tables`` that are views of others of them alone, and as which SELECT.

    Each is tried in an empty database that has the others: a view that reads what is
    not in the snapshot, or calls a macro of the warehouse, does not bind there.

    Returns:
        Names (``schema.table``) and queries, each after what it reads.
    """
    names = list(tables)
    waiting = _views(connection, names)
    with contextlib.closing(duckdb.connect()) as scratch:
        for name in names:
            scratch.execute(f"create schema if not exists {quoted(name.split('.')[0])}")
            if name not in waiting:
                _imitate(connection, scratch, name)
        found: dict[str, str] = {}
        while bound := [
            name for name, query in waiting.items() if _binds(scratch, name, query)
        ]:
            found.update((name, waiting.pop(name)) for name in bound)
    return found


def _views(connection: duckdb.DuckDBPyConnection, names: list[str]) -> dict[str, str]:
    """Views with the queries they are, whose names do not say which database."""
    rows = connection.execute(
        """
        select schema_name || '.' || view_name as name, sql, database_name
        from duckdb_views()
        where database_name = current_catalog() and list_contains($names, name)
        order by name
        """,
        {"names": names},
    ).fetchall()
    found: dict[str, str] = {}
    for name, sql, database in rows:
        # One that gives its columns other names is copied.
        if (view := _VIEW.fullmatch(sql)) is not None:
            query = _without_database(connection, view["query"], database)
            if query is not None:
                found[name] = query
    return found


def _without_database(
    connection: duckdb.DuckDBPyConnection, query: str, database: str
) -> str | None:
    """The query as it reads in a database of another name; None: DuckDB cannot say."""
    (text,) = connection.execute(
        "select json_serialize_sql($query::varchar)", {"query": query}
    ).fetchone() or (None,)
    tree = json.loads(text or "{}")
    if tree.get("error", True):
        return None
    _forget(tree, database)
    (said,) = connection.execute(
        "select json_deserialize_sql($tree::json)", {"tree": json.dumps(tree)}
    ).fetchone() or (None,)
    return None if said is None else str(said)


def _forget(node: Any, database: str) -> None:
    if isinstance(node, dict):
        if node.get("catalog_name") == database:
            node["catalog_name"] = ""
        for each in node.values():
            _forget(each, database)
    elif isinstance(node, list):
        for each in node:
            _forget(each, database)


def _imitate(
    connection: duckdb.DuckDBPyConnection,
    scratch: duckdb.DuckDBPyConnection,
    name: str,
) -> None:
    """An empty table with the same columns."""
    columns = connection.execute(f"describe {dotted(name)}").fetchall()
    described = ", ".join(f"{in_quotes(column)} {kind}" for column, kind, *_ in columns)
    scratch.execute(f"create table {dotted(name)} ({described})")


def _binds(scratch: duckdb.DuckDBPyConnection, name: str, query: str) -> bool:
    try:
        scratch.execute(f"create view {dotted(name)} as {query}")
    except duckdb.Error:
        return False
    return True
