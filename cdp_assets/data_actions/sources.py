"""The events a data action may wait for: where they are, and whose.

Every source gives the event's id, when it happened and the person, whatever else of it
a condition may name. An event of nobody we know has no row until somebody is found.
"""

from collections.abc import Mapping
from dataclasses import dataclass

EVENT = "event"
_KEYS = {"event_id": "varchar", "happened_at": "timestamp"}


@dataclass(frozen=True)
class Source:
    """A kind of event: the query for all of them, and what may be named of one."""

    query: str
    columns: Mapping[str, str]
    reads: tuple[tuple[str, str], ...]
    """Schema and name of the models it reads."""


SOURCES = {
    "engagement": Source(
        query="""
            select engagement_event_id as event_id, event_date as happened_at,
                unified_individual_id, event_type
            from unified.unified_engagement_event
        """,
        columns={**_KEYS, "event_type": "varchar"},
        reads=(("unified", "unified_engagement_event"),),
    ),
    "case": Source(
        query="""
            select c.id as event_id, c.opened_date as happened_at,
                l.unified_individual_id, c.case_number, c.subject, c.case_status_id,
                c.case_priority_id, c.case_origin_id, c.is_open
            from dmo."case" as c
            join unified.unified_record as l on l.record = c.individual_id
        """,
        columns={
            **_KEYS,
            "case_number": "varchar",
            "subject": "varchar",
            "case_status_id": "varchar",
            "case_priority_id": "varchar",
            "case_origin_id": "varchar",
            "is_open": "boolean",
        },
        reads=(("dmo", "case"), ("unified", "unified_record")),
    ),
    "order": Source(
        query="""
            select sales_order_id as event_id, order_date as happened_at,
                unified_individual_id, sales_order_status_id, is_counted,
                currency_code, net_amount, net_amount_reporting
            from unified.unified_sales_order
        """,
        columns={
            **_KEYS,
            "sales_order_status_id": "varchar",
            "is_counted": "boolean",
            "currency_code": "varchar",
            "net_amount": "decimal(18,2)",
            "net_amount_reporting": "decimal(18,2)",
        },
        reads=(("unified", "unified_sales_order"),),
    ),
}
