"""Identifiers that belong to too many: kept on the profile, not used for matching.

One switchboard number on 500 records would make 125,000 pairs and, by a rule, one
person. ``staged_matchable`` is ``staged_node`` without such values, and the only table
that rules and model compare; ``staged_shared`` names what was left out.
"""

import duckdb

from cdp_assets.identity.derived import OVER_ALL_RECORDS, derive
from cdp_assets.identity.fields import BLOCKING_ONLY, OBJECTS
from cdp_assets.identity.model import MatchModel
from cdp_assets.identity.names import stage_names
from cdp_assets.identity.rules import ObjectRules
from cdp_assets.identity.sections import SharedCap

# What tells that an identifier's records are different people, or companies.
_NAME = {"individual": "last_name", "account": "full_name"}

# Put right by names.py.
_NAMES = ("first_name", "first_name_canonical", "last_name")

# Mailboxes with a number of three digits or more: the rest are names and roles, which
# exist at every provider.
_MAILBOXES = """
    list_distinct(list_filter(
        list_transform(emails, lambda email: split_part(email, '@', 1)),
        lambda box: regexp_matches(box, '[0-9]{3}')
    ))
"""

# The year of birth that many write behind their name: ada.lovelace85, ada1985. A number
# behind a family's name is none, so the mailbox must hold the first name.
_YEAR = """
    if(
        contains(fold_name(split_part(node.emails[1], '@', 1)), name.first_name)
        or contains(
            fold_name(split_part(node.emails[1], '@', 1)), name.first_name_canonical
        ),
        try_cast(right(regexp_extract(
            split_part(node.emails[1], '@', 1),
            '[a-z]((19[3-9]|20[01])?[0-9]{2})$', 1
        ), 2) as integer),
        null
    )
"""


def create_staged_shared(connection: duckdb.DuckDBPyConnection) -> None:
    """Create ``staged_shared``, empty."""
    connection.execute(
        """
        create or replace temp table staged_shared (
            object varchar, cap varchar, field varchar, value varchar, records bigint,
            last_names bigint
        )
        """
    )


def stage_shared(
    connection: duckdb.DuckDBPyConnection, object_name: str, rules: ObjectRules
) -> None:
    """Build ``staged_shared`` from all records of one object, and name its values."""
    create_staged_shared(connection)
    for field, cap in rules.shared.items():
        connection.execute(
            f"""
            insert into staged_shared
            select $object, 'shared', $field, value, count(*), count(distinct name)
            from ({carried(object_name, field, "compared_node")})
            group by value
            having {too_many("count(*)", "count(distinct name)", cap)}
            """,
            {"object": object_name, "field": field},
        )
        name_shared(connection, field, "select value, field, cap from staged_shared")


def stage_all_matchable(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    model: MatchModel | None,
) -> None:
    """Build ``staged_shared`` and ``staged_matchable`` of all nodes staged."""
    connection.execute("create or replace temp view compared_node as from staged_node")
    stage_shared(connection, object_name, rules)
    stage_matchable(connection, object_name, rules, model)


def stage_matchable(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    model: MatchModel | None,
) -> None:
    """Build ``staged_matchable`` from the records of ``compared_node``.

    Which values are shared must have been named, field by field.
    """
    stage_names(connection, model)
    replaced = [_without_shared(object_name, field) for field in rules.shared]
    names = ", ".join(f"name.{column} as {column}" for column in _NAMES)
    connection.execute(
        f"""
        create or replace temp table staged_matchable as
        select
            node.* exclude (full_name, feature_hash, content_hash, {", ".join(_NAMES)})
                {f"replace ({', '.join(replaced)})" if replaced else ""},
            {names},
            coalesce(name.full_name, node.full_name) as full_name,
            name.first_name_forms,
            name.first_name_sound,
            coalesce(name.first_name_known, false) as first_name_known,
            name.last_name_words,
            {_MAILBOXES} as mailboxes,
            coalesce(year(node.birth_date) % 100, {_YEAR}) as birth_year
        from compared_node as node
        left join staged_name as name on node.node_id = name.node_id
        """
    )
    connection.execute(
        "drop table staged_name; drop table name_ordered; drop table mailbox_word"
    )
    derive(connection, _asked_for(rules, model))


def counts_over_all(rules: ObjectRules, model: MatchModel | None) -> bool:
    """Whether what is compared of a record depends on others: no increment can tell."""
    return not _asked_for(rules, model).isdisjoint(OVER_ALL_RECORDS)


def _asked_for(rules: ObjectRules, model: MatchModel | None) -> set[str]:
    """The derived columns that the ruleset blocks by, or the model compares."""
    blocking = rules.model.blocking if rules.model else []
    return {
        BLOCKING_ONLY[field].column
        for block in blocking
        for field in block.fields
        if field in BLOCKING_ONLY
    }.union(model.columns() if model and model.settings else ())


def carried(object_name: str, field: str, nodes: str) -> str:
    """SELECT of each node's values of a field: ``node_id``, ``value``, ``name``."""
    found = OBJECTS[object_name][field]
    value = f"unnest({found.column})" if found.many else found.column
    return (
        f"select node_id, value, name from (select node_id, {value} as value, "
        f"{_NAME[object_name]} as name from {nodes}) where value is not null"
    )


def too_many(records: str, names: str, cap: SharedCap) -> str:
    """The condition under which a value belongs to too many."""
    return (
        f"(({records} > {cap.records} and {names} > {cap.names}) "
        f"or {records} > {cap.records_in_any_case})"
    )


def name_shared(connection: duckdb.DuckDBPyConnection, field: str, source: str) -> None:
    """Put a field's shared values into a session variable, a constant to the plan.

    DuckDB has no subqueries within lambdas.
    """
    connection.execute(
        f"""
        set variable shared_{field} = (
            select coalesce(list(distinct value order by value), []) from ({source})
            where cap = 'shared' and field = '{field}'
        )
        """
    )


def _without_shared(object_name: str, field: str) -> str:
    """The column of a field, emptied of shared values."""
    found = OBJECTS[object_name][field]
    shared = f"list_contains(getvariable('shared_{field}'), item)"
    if found.many:
        kept = f"list_filter({found.column}, lambda item: not {shared})"
    else:
        kept = f"list_filter([{found.column}], lambda item: not {shared})[1]"
    return f"{kept} as {found.column}"
