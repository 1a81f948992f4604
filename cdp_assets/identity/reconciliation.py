"""Reconciliation rules: compiled from the ruleset to the table that dbt reads."""

import duckdb

from cdp_assets.identity.rules import Ruleset


def compile_reconciliation(
    connection: duckdb.DuckDBPyConnection, ruleset: Ruleset
) -> None:
    """Make ``identity.reconciliation_rule`` say what the ruleset says.

    One row per object and field, and one per source where sources are ordered; empty
    values never win and need no row.
    """
    rows: list[tuple[str, str, str, str | None, int | None]] = []
    for object_name, fields in ruleset.reconciliation.items():
        for field, rule in fields.items():
            if not rule.sources:
                rows.append((object_name, field, rule.method, None, None))
            rows.extend(
                (object_name, field, rule.method, source, priority)
                for priority, source in enumerate(rule.sources, start=1)
            )
    published = connection.execute(
        "select object, field, method, source, priority "
        "from identity.reconciliation_rule"
    ).fetchall()
    if sorted(published, key=repr) == sorted(rows, key=repr):
        return
    connection.execute("delete from identity.reconciliation_rule")
    connection.executemany(
        "insert into identity.reconciliation_rule values (?, ?, ?, ?, ?)", rows
    )
