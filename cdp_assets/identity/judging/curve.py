"""What another link weight would make of the evidence that is kept.

At each threshold people are the groups that hang together by rules, decisions and
model weights from there on. Vetoes stand as the run in force left them, and nothing is
refined anew: at its threshold the curve is the published people exactly, farther below
it is a little too pessimistic about precision. From the top down groups only grow
together, so each step joins the last one's groups instead of starting again.
"""

from dataclasses import dataclass

import duckdb

from cdp_assets.identity.components import stage_components
from cdp_assets.identity.sections import ModelUse

# Bits between two thresholds, and how far above the one in force the curve goes: at
# 20 bits more, a million times likelier, only rules are left to link anything.
_STEP, _ABOVE = 1.0, 20.0

# A pair that a rule or a person links whatever the model's threshold is.
_ALWAYS = 1e9


@dataclass(frozen=True)
class Point:
    """The people at one threshold, counted over unordered pairs of records."""

    threshold: float
    right: int
    """Pairs together that belong together."""
    false: int
    missed: int
    largest: int

    @property
    def precision(self) -> float:
        """The share of pairs together that are right."""
        return _share(self.right, self.right + self.false)

    @property
    def recall(self) -> float:
        """The share of true pairs that are together."""
        return _share(self.right, self.right + self.missed)

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        return _share(2 * self.right, 2 * self.right + self.false + self.missed)


def thresholds(use: ModelUse) -> list[float]:
    """The thresholds to look at, from the lowest weight kept, the one in force too."""
    count = int((use.link_weight + _ABOVE - use.keep_weight) / _STEP) + 1
    steps = {use.keep_weight + _STEP * n for n in range(count)}
    return sorted(steps | {use.link_weight})


def stage_open_pairs(connection: duckdb.DuckDBPyConnection, object_name: str) -> None:
    """Build ``open_pair``: the pairs that may link, and ``opens_at``, up to where."""
    connection.execute(
        f"""
        create or replace temp table open_pair as
        select
            node_l, node_r,
            if(bool_or(kind in ('rule', 'decision')), {_ALWAYS}, max(match_weight))
                as opens_at
        from identity.evidence where object = $object
        group by node_l, node_r
        having bool_or(kind = 'decision' and rule = 'same')
            or not bool_or(kind in ('veto', 'decision'))
        """,
        {"object": object_name},
    )


def curve(
    connection: duckdb.DuckDBPyConnection,
    truth: str,
    use: ModelUse,
    object_name: str = "individual",
) -> list[Point]:
    """The points of the curve, by rising threshold.

    Args:
        connection: The warehouse; reading is enough.
        truth: A table of ``record``, ``entity``.
        use: How the ruleset uses its model.
        object_name: Whose records.
    """
    stage_open_pairs(connection, object_name)
    connection.execute(
        f"""
        create or replace temp table curve_cell as
        select entity, coalesce(node_id, -row_number() over ()) as label, 1 as n
        from {truth} left join (
            from identity.node where object = $object
        ) using (record)
        """,
        {"object": object_name},
    )
    connection.execute(
        """
        create or replace temp table curve_label as
        select node_l as node_id, node_l as label from open_pair
        union
        select node_r, node_r from open_pair
        """
    )
    points = []
    below = 2 * _ALWAYS
    for threshold in reversed(thresholds(use)):
        _join_from(connection, threshold, below)
        points.append(_point(connection, threshold))
        below = threshold
    return points[::-1]


def _join_from(
    connection: duckdb.DuckDBPyConnection, threshold: float, below: float
) -> None:
    """Join the groups that pairs opening between two thresholds tie."""
    connection.execute(
        """
        create or replace temp table curve_edge as
        select distinct
            least(l.label, r.label) as node_l, greatest(l.label, r.label) as node_r
        from open_pair as pair
        inner join curve_label as l on pair.node_l = l.node_id
        inner join curve_label as r on pair.node_r = r.node_id
        where opens_at >= ? and opens_at < ? and l.label <> r.label
        """,
        [threshold, below],
    )
    stage_components(connection, "curve_edge", "curve_joined")
    connection.execute(
        """
        create or replace temp table curve_label as
        select old.node_id, coalesce(component, label) as label
        from curve_label as old
        left join curve_joined as joined on joined.node_id = label;
        create or replace temp table curve_cell as
        select entity, coalesce(component, label) as label, sum(n)::bigint as n
        from curve_cell left join curve_joined on node_id = label
        group by all
        """
    )


def _point(connection: duckdb.DuckDBPyConnection, threshold: float) -> Point:
    right, asserted, actual, largest = connection.execute(
        """
        select
            (select sum(n * (n - 1) // 2) from curve_cell),
            (select sum(n * (n - 1) // 2) from (
                select sum(n) as n from curve_cell group by label)),
            (select sum(n * (n - 1) // 2) from (
                select sum(n) as n from curve_cell group by entity)),
            (select max(n) from (select sum(n) as n from curve_cell group by label))
        """
    ).fetchall()[0]
    right, asserted, actual = (int(each or 0) for each in (right, asserted, actual))
    return Point(threshold, right, asserted - right, actual - right, int(largest or 0))


def _share(part: float, whole: float) -> float:
    """A share of nothing is one: whoever asserts nothing is never wrong."""
    return part / whole if whole else 1.0
