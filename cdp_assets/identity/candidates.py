"""Which pairs are looked at: those of match rules, and of the model's blocking keys."""

import math
from dataclasses import replace

import duckdb

from cdp_assets.identity.fields import BLOCKING_ONLY, OBJECTS
from cdp_assets.identity.pairs import PairQuery, query_for
from cdp_assets.identity.rules import ObjectRules
from cdp_assets.identity.sections import Criterion


def pair_queries(object_name: str, rules: ObjectRules) -> dict[str, PairQuery]:
    """What brings pairs together: the match rules, then the model's blocking keys."""
    fields = OBJECTS[object_name]
    most = most_records(rules.gates.pairs_of_one_value)
    queries = {
        name: query_for(
            rule.criteria, fields, at_most=rule.at_most, at_most_of_keys=most
        )
        for name, rule in rules.match_rules.items()
    }
    for block in rules.model.blocking if rules.model else []:
        criteria = [
            Criterion(field=field, method="exact_normalised") for field in block.fields
        ]
        queries[f"blocking {' + '.join(block.fields)}"] = query_for(
            criteria,
            fields | BLOCKING_ONLY,
            at_most=block.at_most,
            at_most_of_keys=most,
        )
    return queries


def most_records(pairs: int) -> int:
    """How many records may share a value for it to make no more than these pairs."""
    return (1 + math.isqrt(1 + 8 * pairs)) // 2


def stage_left_out(
    connection: duckdb.DuckDBPyConnection, object_name: str, rules: ObjectRules
) -> None:
    """Add to ``staged_shared`` what is too common for a rule to link by it."""
    for name, query in pair_queries(object_name, rules).items():
        add_left_out(connection, object_name, rules, name, query)


def add_left_out(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    name: str,
    query: PairQuery,
    keyed: str | None = None,
) -> None:
    """Add what one query leaves out, of all records or of the rows ``keyed``.

    Of a blocking key only what is too much to compare at all: its own ``at_most``
    leaves out every common name, and other keys bring those pairs together.
    """
    if name not in rules.match_rules:
        query = replace(query, at_most=None)
    connection.execute(
        f"""
        insert into staged_shared
        select $object, 'at_most', $field, value, max(records), 1
        from ({query.left_out(keyed)}) group by value
        """,
        {"object": object_name, "field": name},
    )


def stage_keyed(
    connection: duckdb.DuckDBPyConnection, object_name: str, rules: ObjectRules
) -> int:
    """Build ``keyed_<n>`` of every query: the rows that make pairs, of all records.

    Returns:
        How many pairs equal values make, before any is made.
    """
    made = 0
    for number, query in enumerate(pair_queries(object_name, rules).values()):
        connection.execute(
            f"create or replace temp table keyed_{number} as {query.rows()}"
        )
        counted = connection.execute(query.pairs_made(f"keyed_{number}")).fetchall()
        made += int(counted[0][0])
    return made


def stage_pairs(
    connection: duckdb.DuckDBPyConnection, object_name: str, rules: ObjectRules
) -> None:
    """Build ``rule_pair`` and ``candidate``: the pairs of all records to judge.

    Reads what ``stage_keyed`` made. Decided pairs (``staged_decided``) are scored like
    those that a rule holds for.
    """
    create_pairs(connection)
    # One statement per query: DuckDB plans a union of thirty for minutes.
    for number, name in enumerate(queries := pair_queries(object_name, rules)):
        pairs = queries[name].pairs(f"keyed_{number}")
        if name in rules.match_rules:
            connection.execute(
                f"insert into rule_pair select *, ? from ({pairs})", [name]
            )
        else:
            connection.execute(f"insert into candidate {pairs}")
        connection.execute(f"drop table keyed_{number}")
    connection.execute(
        """
        create or replace temp table candidate as
        select node_l, node_r from candidate
        union
        select node_l, node_r from rule_pair
        union
        select node_l, node_r from staged_decided
        """
    )


def create_pairs(connection: duckdb.DuckDBPyConnection) -> None:
    """Create ``rule_pair`` and ``candidate``, empty."""
    connection.execute(
        """
        create or replace temp table rule_pair (
            node_l bigint, node_r bigint, rule varchar
        );
        create or replace temp table candidate (node_l bigint, node_r bigint);
        """
    )
