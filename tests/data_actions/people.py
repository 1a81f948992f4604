"""People made of records, their facts and events, as the stages before leave them."""

import datetime as dt
from typing import Any

import duckdb

from cdp_assets.activation.handover import hand_over
from cdp_assets.activation.outbox import Outbox
from cdp_assets.data_actions.planning import ActionResult, plan_action
from cdp_assets.data_actions.spec import DataActionSpec
from cdp_assets.paths import Paths
from tests.reachable import PEOPLE

AS_OF = dt.datetime(2026, 6, 1, 12)
TABLES = f"""
    {PEOPLE}
    create table unified.unified_record (
        unified_individual_id varchar, record varchar
    );
    create table unified.unified_engagement_event (
        engagement_event_id varchar, unified_individual_id varchar,
        event_type varchar, event_date timestamp
    );
    create table unified.unified_sales_order (
        sales_order_id varchar, unified_individual_id varchar, order_date timestamp,
        sales_order_status_id varchar, is_counted boolean, currency_code varchar,
        net_amount decimal(18, 2), net_amount_reporting decimal(18, 2)
    );
    create table insights.lifetime_value (
        unified_individual_id varchar, lifetime_value decimal(18, 2)
    );
    create table dmo."case" (
        id varchar, case_number varchar, individual_id varchar, subject varchar,
        case_status_id varchar, case_priority_id varchar, case_origin_id varchar,
        opened_date timestamp, is_open boolean
    );
"""


class People:
    """People, each a set of records; what a person is worth is what the records are."""

    def __init__(self, paths: Paths, connection: duckdb.DuckDBPyConnection) -> None:
        self.paths = paths
        self.connection = connection
        self.outbox = Outbox(paths.outbox)
        self.run = 0
        self.held_by: dict[str, str] = {}
        self.worth: dict[str, int] = {}
        connection.execute(TABLES)

    def record(self, record: str, person: str, worth: int = 0) -> None:
        """A record, new or known, is of this person now, and worth so much."""
        self.held_by[record] = person
        self.worth[record] = worth

    def publish(self) -> None:
        """Write everything as identity and dbt would, with a row per move."""
        self.run += 1
        links = dict(
            self.connection.execute(
                "select record, unified_individual_id "
                "from identity.unified_link_individual"
            ).fetchall()
        )
        for record, person in sorted(self.held_by.items()):
            if links.get(record) != person:
                self.connection.execute(
                    "insert into identity.link_history (object, record, unified_id, "
                    "run) values ('individual', ?, ?, ?)",
                    [record, person, self.run],
                )
        for table in (
            "identity.unified_link_individual",
            "unified.unified_record",
            "unified.unified_individual",
            "insights.lifetime_value",
        ):
            self.connection.execute(f"delete from {table}")
        for record, person in self.held_by.items():
            self.connection.execute(
                "insert into identity.unified_link_individual values (?, ?, 'x', ?)",
                [person, record, self.run],
            )
        self.connection.execute(
            """
            insert into unified.unified_record
            select unified_individual_id, record from identity.unified_link_individual;
            insert into unified.unified_individual
            select distinct unified_individual_id, upper(unified_individual_id)
            from unified.unified_record
            """
        )
        for person in set(self.held_by.values()):
            worth = sum(
                self.worth[r] for r, holder in self.held_by.items() if holder == person
            )
            self.connection.execute(
                "insert into insights.lifetime_value values (?, ?)", [person, worth]
            )

    def event(self, event: str, person: str, at: dt.datetime, kind: str = "X") -> None:
        self.connection.execute(
            "insert into unified.unified_engagement_event values (?, ?, ?, ?)",
            [event, person, kind, at],
        )

    def look(self, spec: DataActionSpec, at: dt.datetime = AS_OF) -> ActionResult:
        """Publish, look, hand over: what a run does before delivery."""
        self.publish()
        result = self.plan(spec, at)
        self.hand_over()
        return result

    def plan(self, spec: DataActionSpec, at: dt.datetime = AS_OF) -> ActionResult:
        return plan_action(self.connection, spec, self.outbox, self.run, at)

    def hand_over(self) -> None:
        hand_over(self.connection, self.outbox)

    def told(self) -> list[str]:
        """The people of every message planned, in order."""
        rows = self.ask(
            "select unified_individual_id from activation.planned order by sequence"
        )
        return [row[0] for row in rows]

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()

    def waiting(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the outbox."""
        with self.outbox.connect() as connection:
            return connection.execute(sql).fetchall()
