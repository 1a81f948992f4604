"""Whether a message may go to a contact point: the one decision, made two ways.

``decide`` looks at the rows of one contact point at the moment of sending;
``decisions`` is the same rule over many contact points in the warehouse, for planning
and counts. A test holds them equal. The rule fails closed:

1.  Rows count whose purpose is the one asked for or ``all``, and whose channel is the
    one asked for or ``all``, for exactly this contact point. Purpose ``service`` needs
    a row like any other.
2.  A row counts while it is in effect: from ``effective_from`` (none: from when it was
    captured) until before ``effective_to`` (none: for good). An opt-in must have been
    captured by then. Anything else counts as soon as we hold it, whatever its clock
    said, unless it was announced for later (``effective_from`` after the capture).
3.  Of each source the latest such row stands; at the same instant the most restrictive.
4.  Any opt-out among them withholds, and names itself. Otherwise any opt-in allows, and
    names itself. An unconfirmed double opt-in (``pending``) allows nothing. Of several
    the latest is named. No row: withheld.

Consent belongs to a contact point, not to a record, so a merged person is bound by what
was said for the address whichever record it came from. An answer is taken back at the
source that gave it: an opt-in elsewhere does not lift an opt-out here.
"""

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

NO_ROW = "no consent row"
REASONS = {
    "opt_in": "consent given",
    "opt_out": "opted out",
    "pending": "double opt-in not confirmed",
}

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - the warehouse's instants are UTC
# Lower is more restrictive; whatever is neither an opt-in nor an opt-out is pending.
_RESTRICTION = {"opt_out": 0, "opt_in": 2}
_PENDING = 1
# Which row is named first: what forbids, then what allows.
_NAMED = {"opt_out": 0, "opt_in": 1}
_UNNAMED = 2


class ConsentRow(NamedTuple):
    """One answer for a contact point, as ``dmo.contact_point_consent`` keeps it."""

    id: str
    purpose: str
    channel: str
    status: str
    source: str | None
    captured_at: dt.datetime | None
    effective_from: dt.datetime | None
    effective_to: dt.datetime | None


class Decision(NamedTuple):
    """May it be sent, by which row of consent, and why in words."""

    allowed: bool
    consent_record: str | None
    reason: str


def decide(
    rows: Iterable[ConsentRow], purpose: str, channel: str, at: dt.datetime
) -> Decision:
    """Decide over the rows of one contact point.

    Args:
        rows: Every row of the contact point, in any order.
        purpose: What the message is for.
        channel: What carries it.
        at: The instant of sending (UTC).
    """
    standing: dict[str, ConsentRow] = {}
    for row in rows:
        if (
            row.purpose in (purpose, "all")
            and row.channel in (channel, "all")
            and _in_effect(row, at)
        ):
            source = row.source or ""
            rival = standing.get(source)
            if rival is None or _recency(row) < _recency(rival):
                standing[source] = row
    if not standing:
        return Decision(False, None, NO_ROW)
    named = min(
        standing.values(),
        key=lambda row: (_NAMED.get(row.status, _UNNAMED), _latest(row), row.id),
    )
    reason = REASONS.get(named.status, REASONS["pending"])
    return Decision(named.status == "opt_in", named.id, reason)


def decisions(points: str) -> str:
    """The query that decides for every contact point of the relation ``points``.

    Args:
        points: A table or subquery with contact_point_type and contact_point_value.

    Returns:
        A query with these two columns, allowed, consent_record and reason, one row per
        distinct contact point. It needs $purpose, $channel and $at.
    """
    return f"""
        with point as (
            select distinct contact_point_type, contact_point_value from {points}
            where contact_point_value is not null
        ),
        standing as (
            select point.*, c.id, c.consent_status_id as status,
                c.consent_captured_date_time as captured_at
            from point join dmo.contact_point_consent as c
                on c.contact_point_type_id = point.contact_point_type
                and c.contact_point_value = point.contact_point_value
            where c.data_use_purpose_id in ($purpose, 'all')
                and c.engagement_channel_type_id in ($channel, 'all')
                and ($at < c.effective_to_date or c.effective_to_date is null)
                and case when c.consent_status_id = 'opt_in'
                    then c.consent_captured_date_time <= $at
                        and coalesce(c.effective_from_date <= $at, true)
                    else coalesce(c.effective_from_date <= $at, true)
                        or coalesce(
                            c.effective_from_date <= c.consent_captured_date_time, false
                        )
                    end
            qualify row_number() over (
                partition by point.contact_point_type, point.contact_point_value,
                    coalesce(c.consent_captured_source_name, '')
                order by captured_at desc nulls last,
                    case status when 'opt_out' then 0 when 'opt_in' then 2 else 1 end,
                    c.id
            ) = 1
        ),
        named as (
            select * from standing
            qualify row_number() over (
                partition by contact_point_type, contact_point_value
                order by
                    case status when 'opt_out' then 0 when 'opt_in' then 1 else 2 end,
                    captured_at desc nulls last, id
            ) = 1
        )
        select point.contact_point_type, point.contact_point_value,
            coalesce(named.status = 'opt_in', false) as allowed,
            named.id as consent_record,
            case when named.id is null then '{NO_ROW}'
                when named.status = 'opt_in' then '{REASONS["opt_in"]}'
                when named.status = 'opt_out' then '{REASONS["opt_out"]}'
                else '{REASONS["pending"]}' end as reason
        from point left join named using (contact_point_type, contact_point_value)
    """


def _in_effect(row: ConsentRow, at: dt.datetime) -> bool:
    if row.effective_to is not None and at >= row.effective_to:
        return False
    begun = row.effective_from is None or row.effective_from <= at
    if row.status == "opt_in":
        return begun and row.captured_at is not None and row.captured_at <= at
    announced = (
        row.effective_from is None
        or row.captured_at is None
        or row.effective_from > row.captured_at
    )
    return begun or not announced


def _latest(row: ConsentRow) -> tuple[bool, dt.timedelta]:
    """Sorts the latest capture first, and rows without one last."""
    if row.captured_at is None:
        return True, dt.timedelta()
    return False, _EPOCH - row.captured_at


def _recency(row: ConsentRow) -> tuple[tuple[bool, dt.timedelta], int, str]:
    return _latest(row), _RESTRICTION.get(row.status, _PENDING), row.id
