"""A handful of records put as rules and model compare them, from what is published.

``why`` and its kin ask about two records; staging everybody for that would take minutes
where there are millions.
"""

import duckdb

from cdp_assets.identity.fields import OBJECTS
from cdp_assets.identity.folding import define_macros
from cdp_assets.identity.model import MatchModel, read_model
from cdp_assets.identity.nodes import stage_nicknames
from cdp_assets.identity.rules import Ruleset
from cdp_assets.identity.shared import stage_matchable


def stage_compared(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    ruleset: Ruleset,
    records: list[str] | None,
) -> MatchModel | None:
    """Build ``staged_matchable`` of these records alone; None means everybody.

    Values that too many records share are left out, as they were when the published
    people were resolved.

    Returns:
        The model for as many records as there are, as the next run would use it.
    """
    rules = getattr(ruleset, object_name)
    define_macros(connection)
    stage_nicknames(connection)
    kept = [
        _without_shared(connection, object_name, field)
        for field in rules.shared
        if OBJECTS[object_name][field].many
    ]
    connection.execute(
        f"""
        create or replace temp table staged_node as
        select * {f"replace ({', '.join(kept)})" if kept else ""}
        from identity.node
        where object = $object and (
            $records is null or record in (select unnest($records::varchar[]))
        )
        """,
        {"object": object_name, "records": records},
    )
    model = None
    if rules.model:
        (count,) = connection.execute(
            "select count(*) from identity.node where object = ?", [object_name]
        ).fetchall()[0]
        model = read_model(rules.model.file).for_records(count)
    stage_matchable(connection, object_name, rules, model)
    return model


def _without_shared(
    connection: duckdb.DuckDBPyConnection, object_name: str, field: str
) -> str:
    column = OBJECTS[object_name][field].column
    connection.execute(
        f"""
        set variable published_shared_{field} = (
            select coalesce(list(value), []) from identity.shared_identifier
            where object = '{object_name}' and field = '{field}'
        )
        """
    )
    shared = f"list_contains(getvariable('published_shared_{field}'), item)"
    return f"list_filter({column}, lambda item: not {shared}) as {column}"


def compared_values(
    connection: duckdb.DuckDBPyConnection, object_name: str, records: list[str]
) -> dict[str, dict[str, str]]:
    """Per attribute what each record says of it, folded as it is compared."""
    fields = OBJECTS[object_name]
    columns = ", ".join(
        f"array_to_string({field.column}, ', ')"
        if field.many
        else f"{field.column}::varchar"
        for field in fields.values()
    )
    rows = connection.execute(
        f"select record, {columns} from staged_matchable "
        "where record in (select unnest($records::varchar[]))",
        {"records": records},
    ).fetchall()
    found: dict[str, dict[str, str]] = {name: {} for name in fields}
    for record, *values in rows:
        for name, value in zip(fields, values, strict=True):
            found[name][record] = value or ""
    return {name: values for name, values in found.items() if any(values.values())}
