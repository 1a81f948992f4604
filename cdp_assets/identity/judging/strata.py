"""The pairs that can be judged without a truth, in strata by side and match weight.

All pairs of records that are together in a person, by whatever chain, and all that are
apart in spite of evidence. Pairs that were never compared are in none of them: what
blocking does not reach only a truth can tell. Decided pairs are left out, because a run
keeps decisions whatever its rules are worth.
"""

import duckdb

# Bits from the link weight where one stratum ends and the next begins. Few and wide:
# each must get labels enough to say something, and answers differ most near the
# threshold. Two pairs 12 bits above it are 4,096 times likelier one person.
_NEAR, _FAR = 4.0, 12.0

# What the strata are called, in the order of a report.
STRATA = (
    "together, never compared or kept",
    "together, below the link weight",
    "together, just above the link weight",
    "together, well above the link weight",
    "together, far above the link weight",
    "apart, above the link weight",
    "apart, just below the link weight",
    "apart, well below the link weight",
)


def is_together(stratum: str) -> bool:
    """Whether the pairs of a stratum are in one person."""
    return stratum.startswith("together")


def stage_strata(connection: duckdb.DuckDBPyConnection, link_weight: float) -> None:
    """Build ``judged_pair``: ``record_l < record_r``, ``weight`` and ``stratum``."""
    connection.execute(
        f"""
        create or replace temp table judged_pair as
        with together as (
            select l.record as record_l, r.record as record_r
            from identity.unified_link_individual as l
            inner join identity.unified_link_individual as r
                on l.unified_individual_id = r.unified_individual_id
                and l.record < r.record
        ),
        weighed as (
            select
                least(l.record, r.record) as record_l,
                greatest(l.record, r.record) as record_r, max(match_weight) as weight
            from identity.evidence as evidence
            inner join identity.node as l on node_l = l.node_id
            inner join identity.node as r on node_r = r.node_id
            where evidence.object = 'individual'
            group by node_l, node_r, l.record, r.record
        )
        select
            record_l, record_r, weight,
            case
                when together.record_l is null then case
                    when weight >= $link then 'apart, above'
                    when weight >= $link - {_NEAR} then 'apart, just below'
                    else 'apart, well below'
                end
                when weight is null then 'together, never compared or kept'
                when weight < $link then 'together, below'
                when weight < $link + {_NEAR} then 'together, just above'
                when weight < $link + {_FAR} then 'together, well above'
                else 'together, far above'
            end || if(
                weight is null and together.record_l is not null, '', ' the link weight'
            ) as stratum
        from together full outer join weighed using (record_l, record_r)
        anti join (
            select record_l, record_r from identity.decision where undone_at is null
        ) using (record_l, record_r)
        """,
        {"link": link_weight},
    )


def sizes(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """How many pairs of ``judged_pair`` each stratum holds; empty ones are absent."""
    counted = dict(
        connection.execute(
            "select stratum, count(*) from judged_pair group by stratum"
        ).fetchall()
    )
    return {name: counted[name] for name in STRATA if name in counted}
