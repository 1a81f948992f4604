"""How many people two segments share, for every two of them."""

from collections.abc import Mapping

import duckdb


def overlap(
    connection: duckdb.DuckDBPyConnection,
) -> dict[str, dict[str, int]]:
    """Per segment and segment the members they share; of itself, its members.

    Reading the warehouse is enough. Segments without members are not named.
    """
    rows = connection.execute(
        """
        with member as (
            select segment, unified_individual_id
            from segments.membership where left_at is null
        ),
        shared as (
            select one.segment, other.segment as with_segment, count(*) as people
            from member as one join member as other using (unified_individual_id)
            group by all
        ),
        named as (select distinct segment from member)
        select one.segment, other.segment, coalesce(people, 0)
        from named as one cross join named as other
        left join shared
            on shared.segment = one.segment and shared.with_segment = other.segment
        order by 1, 2
        """
    ).fetchall()
    found: dict[str, dict[str, int]] = {}
    for segment, other, people in rows:
        found.setdefault(segment, {})[other] = people
    return found


def as_markdown(matrix: Mapping[str, Mapping[str, int]]) -> str:
    """The matrix for Dagster's page of an asset: people, and share of the row."""
    names = list(matrix)
    lines = [
        "| shares with | " + " | ".join(names) + " |",
        "|---" * len(names) + "|---|",
    ]
    for name, row in matrix.items():
        cells = [f"{row[other]:,} ({row[other] / row[name]:.0%})" for other in names]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
