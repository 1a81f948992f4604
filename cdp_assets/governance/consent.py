"""Whether a message may go to a contact point: the one decision, made two ways.

``decide`` looks at the rows of one contact point at the moment of sending;
``decisions`` is the same rule over many contact points in the warehouse, for planning
and counts. A test holds them equal. Which rows there are for a contact point, and which
spellings of it are one, is in ``governance.answers``. The rule fails closed:

1.  Rows count whose purpose is the one asked for or ``all``, and whose channel is the
    one asked for or ``all``. Purpose ``service`` needs a row like any other. A purpose
    or channel that we do not know may be any: it forbids all and allows nothing.
2.  A row counts while it is in effect: from ``effective_from`` (none: from when it was
    captured) until before ``effective_to`` (none: for good). An opt-in must have been
    captured by then. Anything else counts as soon as we hold it, whatever its clock
    said, unless it was announced for later (``effective_from`` after the capture).
3.  Of each source the latest such row stands; at the same instant the most restrictive.
    A ``pending`` lifts no opt-out: nobody has confirmed anything yet.
4.  Any opt-out among them withholds, and names itself. Otherwise any opt-in allows, and
    names itself. An unconfirmed double opt-in (``pending``) allows nothing. Of several
    the latest is named. No row: withheld. A status that we do not know is an opt-out.

Consent belongs to a contact point, not to a record, so a merged person is bound by what
was said for the address whichever record it came from. An answer is taken back at the
source that gave it: an opt-in elsewhere does not lift an opt-out here.
"""

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

from cdp_assets.governance.consent_words import (
    CHANNELS,
    NO_ROW,
    PURPOSES,
    REASONS,
    UNKNOWN,
    bare,
)

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - the warehouse's instants are UTC
# Which row is named first, and of one instant stands: what forbids, then what allows.
_FORBIDS, _PENDING, _ALLOWS = 0, 1, 2


# Per source the place of each row among all, and among those that are answers.
_RANKED = f"""
    select *,
        row_number() over (
            partition by contact_point_type, contact_point_value, source
            order by captured_at desc nulls last, restriction, id
        ) as place,
        row_number() over (
            partition by contact_point_type, contact_point_value, source,
                restriction = {_PENDING}
            order by captured_at desc nulls last, restriction, id
        ) as place_of_answers
    from in_effect
"""


class ConsentRow(NamedTuple):
    """One answer for a contact point, as ``governance.answers`` finds it."""

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
    latest: dict[str, ConsentRow] = {}
    answered: dict[str, ConsentRow] = {}
    for row in map(_understood, rows):
        if (
            _is_about(row.purpose, purpose, row.status)
            and _is_about(row.channel, channel, row.status)
            and _in_effect(row, at)
        ):
            source = row.source or ""
            _keep_later(latest, source, row)
            if row.status != "pending":
                _keep_later(answered, source, row)
    refused = [row for row in answered.values() if _restriction(row) == _FORBIDS]
    standing = [*latest.values(), *refused]
    if not standing:
        return Decision(False, None, NO_ROW)
    named = min(standing, key=lambda row: (_named(row), _latest(row), row.id))
    return Decision(named.status == "opt_in", named.id, REASONS[named.status])


# What allows begins when it was given; what forbids needs no time of its own.
_HAS_BEGUN = """case when status = 'opt_in'
    then captured_at <= $at and coalesce(effective_from <= $at, true)
    else coalesce(effective_from <= $at, true)
        or coalesce(effective_from <= captured_at, false)
    end"""


def decisions(points: str) -> str:
    """The query that decides for every contact point of the relation ``points``.

    Args:
        points: A table or subquery with contact_point_type and contact_point_value.

    Returns:
        A query with these two columns, allowed, consent_record and reason, one row per
        distinct contact point. It needs $purpose, $channel and $at, and the tables of
        ``governance.answers.gather_answers``.
    """
    reasons = " ".join(f"when '{name}' then '{why}'" for name, why in REASONS.items())
    return f"""
        with point as (
            select distinct contact_point_type, contact_point_value,
                consent_key(contact_point_type, contact_point_value) as key
            from {points} where contact_point_value is not null
        ),
        in_effect as (
            select point.contact_point_type, point.contact_point_value,
                answer.id, answer.status, answer.captured_at,
                coalesce(answer.source, '') as source,
                case answer.status when 'opt_in' then {_ALLOWS}
                    when 'pending' then {_PENDING} else {_FORBIDS} end as restriction
            from point join consent_answer as answer
                on answer.contact_point_type = point.contact_point_type
                and answer.contact_point_key = point.key
            where {_about("purpose")} and {_about("channel")}
                and ($at < effective_to or effective_to is null)
                and {_HAS_BEGUN}
        ),
        ranked as ({_RANKED}),
        named as (
            select * from ranked
            where place = 1 or (place_of_answers = 1 and restriction = {_FORBIDS})
            qualify row_number() over (
                partition by contact_point_type, contact_point_value
                order by case restriction when {_FORBIDS} then 0 when {_ALLOWS} then 1
                    else 2 end, captured_at desc nulls last, id
            ) = 1
        )
        select point.contact_point_type, point.contact_point_value,
            coalesce(named.status = 'opt_in', false) as allowed,
            named.id as consent_record,
            case named.status {reasons} else '{NO_ROW}' end as reason
        from point left join named using (contact_point_type, contact_point_value)
    """


def _understood(row: ConsentRow) -> ConsentRow:
    """The row with status, purpose and channel in the words we know."""
    status, purpose = bare(row.status), bare(row.purpose)
    channel = bare(row.channel)
    return row._replace(
        status=status if status in REASONS else "opt_out",
        purpose=purpose if purpose in PURPOSES else UNKNOWN,
        channel=channel if channel in CHANNELS else UNKNOWN,
    )


def _is_about(said: str, asked: str, status: str) -> bool:
    return said in (asked, "all") or (said == UNKNOWN and status != "opt_in")


def _about(aim: str) -> str:
    return f"({aim} in (${aim}, 'all') or ({aim} = '{UNKNOWN}' and status <> 'opt_in'))"


def _keep_later(rows: dict[str, ConsentRow], source: str, row: ConsentRow) -> None:
    rival = rows.get(source)
    if rival is None or _recency(row) < _recency(rival):
        rows[source] = row


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
    return _latest(row), _restriction(row), row.id


def _restriction(row: ConsentRow) -> int:
    return {"opt_in": _ALLOWS, "pending": _PENDING}.get(row.status, _FORBIDS)


def _named(row: ConsentRow) -> int:
    """What forbids is named before what allows, and that before what is pending."""
    return (_FORBIDS, _ALLOWS, _PENDING).index(_restriction(row))
