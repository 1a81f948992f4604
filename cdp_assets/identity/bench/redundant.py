"""Text attributes that say again what another one says: an age beside a birth year.

Both would count in full, and two strangers of one age would be one person.
"""

import duckdb

# Values that join more pairs than this per record are shared by strangers.
_STRANGERS = 3
# Of the strangers that share the one, as many share the other.
_IMPLIED = 0.5


def redundant_texts(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The attributes of ``staged_matchable`` that another, kept one implies."""
    found = connection.execute(
        """
        with entry as (
            select node_id, unnest(map_entries(attributes)) as entry
            from staged_matchable
        ),
        value as (
            select node_id, entry.key as name, entry.value as value from entry
        ),
        alike as (
            select l.name as kept, r.name as implied, l.value as value, count(*) as n
            from value as l
            inner join value as r on l.node_id = r.node_id and l.name != r.name
            group by l.name, r.name, l.value, r.value
        ),
        shared as (
            select kept, implied, sum(n) as n, sum(n * (n - 1)) as in_both
            from alike group by kept, implied, value
        )
        select kept, implied from shared group by kept, implied
        having sum(n * (n - 1)) / 2 > $strangers * sum(n)
            and sum(in_both) > $share * sum(n * (n - 1))
        order by kept, implied
        """,
        {"strangers": _STRANGERS, "share": _IMPLIED},
    ).fetchall()
    redundant: set[str] = set()
    for kept, implied in found:
        if kept not in redundant:
            redundant.add(implied)
    return redundant
