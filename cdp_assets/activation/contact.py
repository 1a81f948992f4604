"""Which of a person's contact points an activation reaches them at.

Only usable ones are looked at: an address that bounced for good reaches nobody. They
stand in order of the activation's ``contact_sources``, then of their rank in the
profile; the first whose consent allows is taken. Where none does, the first is named,
so that a receipt says of which one consent was missing.
"""

import datetime as dt

import duckdb

from cdp_assets.activation.spec import ActivationSpec
from cdp_assets.governance.answers import gather_answers
from cdp_assets.governance.consent import decisions

# Those that members have now, and those that the destination was told: an opt-out from
# one of these takes it back, whatever else its person is reached at by now.
_ASKED = """(
    select contact_point_type, contact_point_value from activation_point
    union
    select contact_point_type, contact_point_value from activation.sent_state
    where activation = $activation and contact_point_value is not null
)"""


def fill_contacts(
    connection: duckdb.DuckDBPyConnection, spec: ActivationSpec, as_of: dt.datetime
) -> None:
    """Fill ``activation_consent`` per contact point, ``activation_contact`` per person.

    Args:
        connection: The warehouse; ``gather_answers`` is called on it.
        spec: The activation.
        as_of: The instant consent is looked at (UTC).
    """
    gather_answers(connection)
    _fill_points(connection, spec)
    connection.execute(
        f"""
        create or replace temp table activation_consent as
        {decisions(_ASKED)}
        """,
        {
            "purpose": spec.purpose,
            "channel": spec.channel,
            "at": as_of,
            "activation": spec.name,
        },
    )
    connection.execute(
        """
        create or replace temp table activation_contact as
        select point.unified_individual_id, point.contact_point_value
        from activation_point as point
        left join activation_consent as consent
            using (contact_point_type, contact_point_value)
        qualify row_number() over (
            partition by point.unified_individual_id
            order by coalesce(consent.allowed, false) desc, point.place
        ) = 1
        """
    )
    connection.execute("drop table activation_point")


def _fill_points(connection: duckdb.DuckDBPyConnection, spec: ActivationSpec) -> None:
    """Every usable contact point of a member, with its place among theirs."""
    point = spec.contact_point
    source = (
        "coalesce(list_position($sources, split_part(source_record_id, ':', 1)), "
        "len($sources) + 1), "
        if spec.contact_sources
        else ""
    )
    parameters: dict[str, object] = {"segment": spec.segment, "type": point.type}
    if spec.contact_sources:
        parameters["sources"] = list(spec.contact_sources)
    connection.execute(
        f"""
        create or replace temp table activation_point as
        select unified_individual_id, $type as contact_point_type,
            {point.column} as contact_point_value,
            row_number() over (
                partition by unified_individual_id order by {source}rank, id
            ) as place
        from unified.{point.table}
        where {point.usable} and unified_individual_id in (
            select unified_individual_id from segments.membership
            where segment = $segment and left_at is null
        )
        """,
        parameters,
    )
