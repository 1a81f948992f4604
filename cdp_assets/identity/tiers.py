"""The tier of a record: the strongest reason that holds it in its person.

``decision`` before ``rule:<name>`` before ``model`` before ``single``; of several rules
the one that stands first in the ruleset. Consumers may ask for more certainty than the
profile has: a promotion can go to rule-linked records only.
"""

import duckdb

from cdp_assets.identity.rules import ObjectRules


def stage_tiers(connection: duckdb.DuckDBPyConnection, rules: ObjectRules) -> None:
    """Build ``staged_tier``, one row per record of ``scope_record``."""
    ruled = [f"rule:{name}" for name in rules.match_rules]
    order = ["decision", *ruled, "model", "single"]
    connection.execute(
        """
        create or replace temp table staged_tier as
        with reason as (
            select
                node_l, node_r,
                if(kind = 'rule', 'rule:' || rule, kind) as tier
            from staged_evidence
            semi join link_edge using (node_l, node_r)
            where kind in ('rule', 'model', 'decision')
        )
        select
            node.record,
            $order[min(list_position($order, coalesce(reason.tier, 'single')))] as tier
        from scope_record as node
        left join (
            select node_l as node_id, tier from reason
            union all
            select node_r, tier from reason
        ) as reason using (node_id)
        group by node.record
        """,
        {"order": order},
    )
