"""A handful of records as rules and model compared them, from what is published.

``why`` and its kin ask about two records; staging everybody for that would take minutes
where there are millions.
"""

import duckdb

from cdp_assets.errors import OperatorError
from cdp_assets.identity.compared import is_made
from cdp_assets.identity.fields import OBJECTS
from cdp_assets.identity.folding import define_macros
from cdp_assets.identity.model import MatchModel, read_model
from cdp_assets.identity.nodes import stage_nicknames
from cdp_assets.identity.rules import Ruleset


def stage_compared(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    ruleset: Ruleset,
    records: list[str] | None,
) -> MatchModel | None:
    """Build ``staged_matchable`` of these records alone; None means everybody.

    Returns:
        The model for as many records as there are, as the next run would use it.

    Raises:
        OperatorError: The people were resolved by a version that kept no such thing.
    """
    rules = getattr(ruleset, object_name)
    define_macros(connection)
    stage_nicknames(connection)
    stage_published(connection, object_name, records)
    if not (rules.model and rules.model.file):
        return None
    (count,) = connection.execute(
        "select count(*) from identity.node where object = ?", [object_name]
    ).fetchall()[0]
    return read_model(rules.model.file).for_records(count)


def stage_published(
    connection: duckdb.DuckDBPyConnection, object_name: str, records: list[str] | None
) -> None:
    """Build ``staged_matchable`` from what is published of these records, or of all.

    Raises:
        OperatorError: The people were resolved by a version that kept no such thing.
    """
    if not is_made(connection, object_name):
        raise OperatorError(
            "what records were compared by is not kept yet; the next `cdp run` keeps it"
        )
    connection.execute(
        f"""
        create or replace temp table staged_matchable as
        from identity.matchable_{object_name}
        where $records is null or record in (select unnest($records::varchar[]))
        """,
        {"records": records},
    )


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
