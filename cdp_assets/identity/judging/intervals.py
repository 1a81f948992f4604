"""Precision, recall and F1, pairwise and B-cubed, with intervals of 95 %.

Pairs are not independent, and neither are true entities where one wrong person spans
two of them: what is drawn at random is an island, the entities and people that touch
each other and nothing else. Every figure is a ratio of sums over islands, so its
variance follows from one more pass over them (linearisation), in one statement, without
a seed; a bootstrap over 100,000 islands would add 200 passes for the same digits. The
interval is Wilson's over as many independent trials as that variance is worth, which
stays within 0 and 1 and does not vanish where no error was seen.
"""

from dataclasses import dataclass

import duckdb

from cdp_assets.identity.components import stage_components
from cdp_assets.identity.labels import wilson


@dataclass(frozen=True)
class Figure:
    """A share, and between which bounds it lies nineteen times of twenty."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """The share and its interval, to three places."""
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Figures:
    """The six figures of one grouping of records."""

    islands: int
    """How many independent draws there are to judge by."""
    precision: Figure
    recall: Figure
    f1: Figure
    b_cubed_precision: Figure
    b_cubed_recall: Figure
    b_cubed_f1: Figure


# Numerator and denominator of each ratio, per island.
_RATIOS = {
    "precision": ("together", "asserted"),
    "recall": ("together", "actual"),
    "f1": ("2 * together", "(asserted + actual)"),
    "b_cubed_precision": ("right_share", "records"),
    "b_cubed_recall": ("found_share", "records"),
}


def figures_of(connection: duckdb.DuckDBPyConnection, grouped: str) -> Figures:
    """The figures of a table of ``entity`` and ``person``, one row per record.

    Builds temporary tables ``island_*``; 100,000 records take half a second.
    """
    _stage_islands(connection, grouped)
    sums = ", ".join(
        f"coalesce(sum({x}) / nullif(sum({y}), 0), 1) as {name}"
        for name, (x, y) in _RATIOS.items()
    )
    columns = ", ".join(
        f"{name}, sum(({x} - {name} * {y}) ** 2) / nullif(sum({y}) ** 2, 0), "
        f"count(*) filter (where {y} > 0)"
        for name, (x, y) in _RATIOS.items()
    )
    connection.execute(
        f"create or replace temp table island_sum as select {sums} from island"
    )
    row = connection.execute(
        f"""
        select count(*), {columns},
            -- F1 is no ratio of sums here: its gradient weighs the residuals of both.
            sum((
                (found ** 2 * (right_share - right_rate * records)
                    + right_rate ** 2 * (found_share - found * records))
                * 2 / (right_rate + found) ** 2
            ) ** 2) / sum(records) ** 2
        from island cross join (
            select *, b_cubed_precision as right_rate, b_cubed_recall as found
            from island_sum
        )
        group by {", ".join(_RATIOS)}
        """
    ).fetchall()
    if not row:
        return Figures(0, *[Figure(1.0, 0.0, 1.0)] * 6)
    islands, *rest = row[0]
    found = [_figure(*rest[at : at + 3]) for at in range(0, 3 * len(_RATIOS), 3)]
    right, caught = found[3].value, found[4].value
    found.append(_figure(2 * right * caught / (right + caught), rest[-1], islands))
    return Figures(islands, *found)


def _figure(value: float, variance: float | None, islands: int) -> Figure:
    """The interval that a variance amounts to.

    Where no island disagrees the variance is 0, and each counts as one trial.
    """
    trials: float = islands
    if variance and 0 < value < 1:
        small = islands / max(islands - 1, 1)
        trials = value * (1 - value) / (variance * small)
    return Figure(value, *wilson(value, trials))


def _stage_islands(connection: duckdb.DuckDBPyConnection, grouped: str) -> None:
    """Build ``island``: the sums of each, over ordered pairs and over records.

    Entities are tied by the people that span them, each to the first of its person.
    """
    connection.execute(
        f"""
        create or replace temp table island_cell as
        select
            person, entity, count(*) as n,
            dense_rank() over (order by entity) as entity_id
        from {grouped} group by person, entity;
        create or replace temp table island_edge as
        select distinct first_id as node_l, entity_id as node_r from (
            select entity_id, min(entity_id) over (partition by person) as first_id
            from island_cell
        ) where first_id < entity_id
        """
    )
    stage_components(connection, "island_edge", "island_component")
    connection.execute(
        """
        create or replace temp table island as
        with cell as (
            select
                coalesce(component, entity_id) as island, n, person, entity,
                sum(n) over (partition by person) as person_n,
                sum(n) over (partition by entity) as entity_n
            from island_cell
            left join island_component on node_id = entity_id
        )
        select
            sum(n * (n - 1))::double as together,
            -- A pair of a record counts at that record: (n - 1) of each of its person.
            sum(n * (person_n - 1))::double as asserted,
            sum(n * (entity_n - 1))::double as actual,
            sum(n * n / person_n) as right_share,
            sum(n * n / entity_n) as found_share,
            sum(n)::double as records
        from cell group by island
        """
    )
