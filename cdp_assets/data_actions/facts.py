"""The from clauses behind an action's condition and payload, one row per person.

As ``segments.namespace`` has them, with three more: whether the person is in a segment,
the contact point that a message goes to, and the event that arrived.
"""

from collections.abc import Collection

from cdp_assets.activation.spec import CONTACT, ContactPoint
from cdp_assets.data_actions.sources import EVENT
from cdp_assets.data_actions.spec import SEGMENT, DataActionSpec, segments_of
from cdp_assets.declarations import quoted
from cdp_assets.segments.namespace import GRAIN, RUN, people_with

# The table that arriving events are read from, one row per event.
ARRIVED = "action_event_now"


def people(spec: DataActionSpec, aliases: Collection[str]) -> str:
    """The from clause with the tables named; ``run`` needs the parameter ``$as_of``."""
    parts = [people_with(set(aliases) - {SEGMENT, CONTACT, EVENT})]
    if SEGMENT in aliases:
        parts.append(_memberships(segments_of(spec)))
    if CONTACT in aliases and spec.contact_point is not None:
        parts.append(_contact(spec.contact_point))
    if EVENT in aliases:
        parts.append(f"join {ARRIVED} as {EVENT} on {EVENT}.{GRAIN} = profile.{GRAIN}")
    return "\n".join(parts)


def needs_time(aliases: Collection[str]) -> bool:
    """Whether the from clause needs the parameter ``$as_of``."""
    return RUN in aliases


def _memberships(segments: Collection[str]) -> str:
    """Who is no member has a row that says so: unknown would make ``not`` unknown."""
    flags = ", ".join(
        f"coalesce(bool_or(m.segment = '{name}'), false) as {quoted(name)}"
        for name in segments
    )
    return f"""
        left join (
            select p.{GRAIN}, {flags}
            from unified.unified_individual as p
            left join segments.membership as m
                on m.{GRAIN} = p.{GRAIN} and m.left_at is null
            group by p.{GRAIN}
        ) as {SEGMENT} on {SEGMENT}.{GRAIN} = profile.{GRAIN}
    """


def _contact(point: ContactPoint) -> str:
    return f"""
        left join (
            select {GRAIN}, {point.column} from unified.{point.table}
            where {point.usable}
            qualify row_number() over (partition by {GRAIN} order by rank, id) = 1
        ) as {CONTACT} on {CONTACT}.{GRAIN} = profile.{GRAIN}
    """
