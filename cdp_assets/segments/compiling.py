"""From a segment's declaration to the one query that yields its members.

Only what the expressions name is joined. A person for whom the condition is unknown (a
missing insight) is not a member.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from cdp_assets.segments.expression import read_expression
from cdp_assets.segments.namespace import GRAIN, RUN, people_with
from cdp_assets.segments.nesting import SEGMENT, membership_relation
from cdp_assets.segments.ranking import ranked
from cdp_assets.segments.spec import SegmentSpec
from cdp_assets.segments.windows import ENGAGEMENT, Window, engagement_relation


@dataclass(frozen=True)
class Compiled:
    """A query, and what its parameters are."""

    sql: str
    parameters: dict[str, object]


def compile_members(spec: SegmentSpec, as_of: dt.datetime) -> Compiled:
    """The query that yields the ids of the segment's people.

    Args:
        spec: The segment.
        as_of: The instant that is now (UTC).
    """
    people = compile_people(spec, spec.aliases, as_of)
    condition = f"coalesce({read_expression(spec.condition).enclosed}, false)"
    if spec.limit is None:
        sql = f"select profile.{GRAIN}\n{people.sql}\nwhere {condition}"
    else:
        sql = ranked(spec.limit, people.sql, condition)
    return Compiled(sql, people.parameters)


def compile_people(
    spec: SegmentSpec, aliases: frozenset[str], as_of: dt.datetime
) -> Compiled:
    """The from clause with ``aliases``, which may be any that ``spec`` may name."""
    relations: dict[str, str] = {}
    parameters: dict[str, object] = {}
    if SEGMENT in aliases:
        relations[SEGMENT] = membership_relation(spec.inner)
    if ENGAGEMENT in aliases:
        relations[ENGAGEMENT], parameters = engagement_relation(_used(spec))
    if RUN in aliases or ENGAGEMENT in aliases:
        parameters["as_of"] = as_of
    return Compiled(people_with(aliases, relations), parameters)


def _used(spec: SegmentSpec) -> Mapping[str, Window]:
    """The windows that some expression names; another one need not be worked out."""
    named = {
        names[1]
        for expression in spec.expressions().values()
        for names in expression.columns
        if names[0] == ENGAGEMENT
    }
    return {name: w for name, w in spec.engagement.items() if name.lower() in named}
