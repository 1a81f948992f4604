"""Group, rank, limit: of those who satisfy a condition, the first so many per group.

Ties go to whoever has the smallest record name, not the smallest id: which id survives
a merge depends on history, and a person who keeps their records must keep their place.
A person without the figure comes last; people without a group are one group.
"""

import pydantic

from cdp_assets.declarations import Declaration
from cdp_assets.segments.expression import Expression, Sql, read_expression
from cdp_assets.segments.namespace import GRAIN


class Limit(Declaration):
    """How many stay, by which figure, per which group."""

    top: int = pydantic.Field(gt=0)
    highest: Sql | None = None
    lowest: Sql | None = None
    per: Sql | None = None

    @pydantic.model_validator(mode="after")
    def _one_figure_ranks(self) -> "Limit":
        if (self.highest is None) == (self.lowest is None):
            raise ValueError(
                "write what people are ranked by: either highest or lowest, one of them"
            )
        return self

    @property
    def figure(self) -> str:
        """What ranks."""
        return self.highest or self.lowest or ""

    def expressions(self) -> dict[str, Expression]:
        """Its expressions by the key they stand under."""
        return {
            key: read_expression(sql)
            for key in ("highest", "lowest", "per")
            if (sql := getattr(self, key)) is not None
        }


def ranked(limit: Limit, people: str, condition: str) -> str:
    """The query that yields the ids of the first ``limit.top`` per group.

    Args:
        limit: The declaration.
        people: The from clause with every alias that the expressions name.
        condition: Who is ranked at all, as SQL.
    """
    direction = "desc" if limit.highest is not None else "asc"
    group = read_expression(limit.per).enclosed if limit.per else "null"
    return f"""
        with candidate as (
            select profile.{GRAIN},
                {read_expression(limit.figure).enclosed} as figure,
                {group} as its_group
            {people}
            where {condition}
        ),
        named as (
            select {GRAIN}, min(record) as first_record
            from identity.unified_link_individual
            where {GRAIN} in (select {GRAIN} from candidate)
            group by {GRAIN}
        )
        select candidate.{GRAIN}
        from candidate left join named using ({GRAIN})
        qualify row_number() over (
            partition by its_group
            order by figure {direction} nulls last, first_record nulls last, {GRAIN}
        ) <= {limit.top}
    """
