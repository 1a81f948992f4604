"""The pairs of the records that changed, and of whom else their values concern.

The same joins as for all records, with one side narrowed to those that changed. A value
that crosses what a rule or a blocking key may bring together, up or down, makes every
record that carries it dirty, as if it had changed itself.

    recompared   nodes whose compared form may differ, those gone included
    dirty_extra  other nodes of which pairs came or went, or that decisions name
"""

import duckdb

from cdp_assets.identity.candidates import add_left_out, create_pairs, pair_queries
from cdp_assets.identity.pairs import PairQuery, in_words
from cdp_assets.identity.rules import ObjectRules


def stage_dirty_pairs(
    connection: duckdb.DuckDBPyConnection, object_name: str, rules: ObjectRules
) -> int:
    """Build ``rule_pair`` and ``candidate`` of all dirty nodes, and ``dirty_extra``.

    Reads ``recompared``, ``matchable_old``, ``matchable_new`` and ``dirty_extra``,
    which may hold nodes already; adds to ``staged_shared`` and ``touched_value``.

    Returns:
        How many pairs equal values made; above the gate it stops, with pairs missing.
    """
    create_pairs(connection)
    made = 0
    queries = pair_queries(object_name, rules)
    if _any(connection, "recompared"):
        for name, query in queries.items():
            _stage_rows(connection, query, "recompared")
            _recount_left_out(connection, object_name, rules, name, query)
            _stage_kept(connection, query)
            made += _count_pairs(connection, query, "recompared")
            if made > rules.gates.pairs:
                return made
            _add_pairs(connection, name, query, rules, "recompared")
    if _any(connection, "dirty_extra"):
        connection.execute("create or replace temp table extra as from dirty_extra")
        for name, query in queries.items():
            _stage_rows(connection, query, "extra")
            _stage_kept(connection, query)
            made += _count_pairs(connection, query, "extra")
            if made > rules.gates.pairs:
                return made
            _add_pairs(connection, name, query, rules, "extra")
    return made


def stage_pairs_within(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    nodes: str,
) -> None:
    """Build ``rule_pair`` and ``candidate`` anew: the pairs among some nodes alone.

    Args:
        connection: The warehouse, as for ``stage_dirty_pairs``.
        object_name: ``individual`` or ``account``.
        rules: Its rules.
        nodes: A table of ``node_id``, none of them gone.
    """
    create_pairs(connection)
    connection.execute(f"create or replace temp table extra as from {nodes}")
    for name, query in pair_queries(object_name, rules).items():
        _stage_rows(connection, query, "extra")
        _stage_kept(connection, query)
        connection.execute("delete from key_kept where node_id not in (from extra)")
        _add_pairs(connection, name, query, rules, "extra")


def _stage_rows(
    connection: duckdb.DuckDBPyConnection, query: PairQuery, seeds: str
) -> None:
    """Build ``key_row``: every row with a key that one of the seeds has or had."""
    keys = ", ".join(query.keys)
    connection.execute(
        f"""
        create or replace temp table key_seen as
        select distinct {keys} from ({query.keyed("matchable_old")})
        where node_id in (from {seeds})
        union
        select distinct {keys} from ({query.keyed("matchable_new")})
        where node_id in (from {seeds})
        """
    )
    connection.execute(
        f"""
        create or replace temp table key_row as
        select *, true as before, node_id not in (from recompared) as now
        from ({query.keyed("matchable_old")}) semi join key_seen using ({keys})
        union all
        select *, false, true
        from ({query.keyed("matchable_new")}) semi join key_seen using ({keys})
        """
    )


def _recount_left_out(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    rules: ObjectRules,
    name: str,
    query: PairQuery,
) -> None:
    """What the query leaves out now, of the values that may have changed."""
    add_left_out(
        connection, object_name, rules, name, query, "select * from key_row where now"
    )
    connection.execute(
        f"""
        insert into touched_value
        select distinct 'at_most', field, value
        from identity.shared_identifier
        semi join (
            select {in_words(query.values)} as value from key_row
            union all
            select {in_words(query.keys)} from key_row
        ) as touched using (value)
        where object = $object and cap = 'at_most' and field = $field
        """,
        {"object": object_name, "field": name},
    )


def _stage_kept(connection: duckdb.DuckDBPyConnection, query: PairQuery) -> None:
    """Build ``key_kept``: the rows that the caps leave, before or now."""
    keys = ", ".join(query.keys)
    rows = "key_row"
    limits = [most for most in (query.at_most, query.at_most_of_keys) if most]
    if limits and query.values == query.keys:
        # Common names are most of the rows, and bring no pairs before or now.
        rows = f"""
            key_row semi join (
                select {keys} from key_row group by {keys}
                having least(
                    count(*) filter (where before), count(*) filter (where now)
                ) <= {min(limits)}
            ) using ({keys})
        """
    within = f"select * from {rows}"
    for names, most in (
        (query.values, query.at_most),
        (query.keys, query.at_most_of_keys),
    ):
        if most is not None:
            window = f"over (partition by {', '.join(names)}) <= {most}"
            within = f"""
                select
                    * exclude (before, now),
                    before and count(*) filter (where before) {window} as before,
                    now and count(*) filter (where now) {window} as now
                from ({within})
            """
    connection.execute(f"create or replace temp table key_kept as {within}")
    connection.execute(
        """
        insert into dirty_extra
        select distinct node_id from key_kept
        where before <> now and node_id not in (from recompared)
            and node_id not in (from dirty_extra)
        """
    )


def _count_pairs(
    connection: duckdb.DuckDBPyConnection, query: PairQuery, seeds: str
) -> int:
    found = connection.execute(
        f"""
        select coalesce(sum(seeds * records), 0) from (
            select count(*) filter (where node_id in (from {seeds})) as seeds,
                count(*) as records
            from key_kept where now group by {", ".join(query.keys)}
        )
        """
    ).fetchall()
    return int(found[0][0])


def _add_pairs(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    query: PairQuery,
    rules: ObjectRules,
    seeds: str,
) -> None:
    connection.execute(
        f"""
        create or replace temp table key_pair as
        select distinct
            least(l.node_id, r.node_id) as node_l,
            greatest(l.node_id, r.node_id) as node_r
        from (from key_kept where now and node_id in (from {seeds})) as l
        inner join (from key_kept where now) as r
            on {query.alike()} and l.node_id <> r.node_id
        """
    )
    connection.execute("insert into candidate from key_pair")
    if name in rules.match_rules:
        connection.execute("insert into rule_pair select *, ? from key_pair", [name])


def _any(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    return bool(connection.execute(f"select count(*) from {table}").fetchall()[0][0])
