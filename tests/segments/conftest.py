"""A small world that segments look at: people, their worth, what they did."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from cdp_assets.segments.membership import MembershipResult, update_membership
from cdp_assets.segments.spec import SegmentSpec
from cdp_assets.warehouse import migrate

DAY_1 = dt.datetime(2026, 6, 1)


class World:
    """People as identity and insights leave them, one run a day."""

    def __init__(self, connection: duckdb.DuckDBPyConnection | None = None) -> None:
        """In memory, unless a warehouse is given."""
        self.connection = connection or duckdb.connect()
        migrate(self.connection)
        self.connection.execute(
            """
            create table unified.unified_individual (
                unified_individual_id varchar, country varchar
            );
            create table insights.lifetime_value (
                unified_individual_id varchar, lifetime_value decimal(18,2)
            );
            create table unified.unified_engagement_event (
                engagement_event_id varchar, unified_individual_id varchar,
                event_type varchar, event_date timestamp
            );
            create table unified.unified_sales_order (
                sales_order_id varchar, unified_individual_id varchar,
                order_date timestamp, is_counted boolean,
                net_amount_reporting decimal(18,2)
            )
            """
        )
        self.run = 0

    def close(self) -> None:
        self.connection.close()

    def person(
        self,
        name: str,
        value: float | None = None,
        *,
        country: str | None = None,
        records: tuple[str, ...] | None = None,
    ) -> None:
        """A person with their records, linked in the run to come."""
        self.connection.execute(
            "insert into unified.unified_individual values (?, ?)", [name, country]
        )
        if value is not None:
            self.connection.execute(
                "insert into insights.lifetime_value values (?, ?)", [name, value]
            )
        for record in records if records is not None else (f"crm:{name}",):
            self.link(record, name)

    def link(self, record: str, name: str) -> None:
        found = self.connection.execute(
            "delete from identity.unified_link_individual where record = ? "
            "returning unified_individual_id, linked_at_run",
            [record],
        ).fetchone()
        run = found[1] if found and found[0] == name else self.run + 1
        self.connection.execute(
            "insert into identity.unified_link_individual values (?, ?, 'exact', ?)",
            [name, record, run],
        )
        if run == self.run + 1:
            self.connection.execute(
                "insert into identity.link_history (object, record, unified_id, run) "
                "values ('individual', ?, ?, ?)",
                [record, name, run],
            )

    def vanishes(self, name: str) -> None:
        for table in ("unified.unified_individual", "insights.lifetime_value"):
            self.connection.execute(
                f"delete from {table} where unified_individual_id = ?", [name]
            )

    def worth(self, name: str, value: float) -> None:
        self.connection.execute(
            "update insights.lifetime_value set lifetime_value = ? "
            "where unified_individual_id = ?",
            [value, name],
        )

    def erase(self, record: str) -> None:
        """The record is gone, and so is who has no other."""
        self.connection.execute(
            "delete from identity.unified_link_individual where record = ?", [record]
        )
        self.connection.execute(
            "insert into identity.link_history (object, record, unified_id, run) "
            "values ('individual', ?, null, ?)",
            [record, self.run + 1],
        )

    def did(self, name: str, event: str, when: dt.datetime) -> None:
        self.connection.execute(
            "insert into unified.unified_engagement_event values (uuid(), ?, ?, ?)",
            [name, event, when],
        )

    def bought(
        self, name: str, amount: float | None, when: dt.datetime, counted: bool = True
    ) -> None:
        self.connection.execute(
            "insert into unified.unified_sales_order values (uuid(), ?, ?, ?, ?)",
            [name, when, counted, amount],
        )

    def update(
        self, *specs: SegmentSpec, at: dt.datetime | None = None
    ) -> dict[str, MembershipResult]:
        """One run over the segments, inner ones first."""
        self.run += 1
        at = at or DAY_1 + dt.timedelta(days=self.run - 1)
        return {
            spec.name: update_membership(self.connection, spec, self.run, at)
            for spec in specs
        }

    def members(self, segment: str = "vip") -> list[str]:
        rows = self.connection.execute(
            "select unified_individual_id from segments.membership "
            "where segment = ? and left_at is null order by 1",
            [segment],
        ).fetchall()
        return [person for (person,) in rows]

    def stays(self, segment: str = "vip") -> list[tuple[str, int, int | None]]:
        """Every stay: who, the day of entry, the day of leaving."""
        rows = self.connection.execute(
            "select unified_individual_id, entered_at, left_at "
            "from segments.membership where segment = ? order by all",
            [segment],
        ).fetchall()
        return [
            (who, (came - DAY_1).days + 1, went and (went - DAY_1).days + 1)
            for who, came, went in rows
        ]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


@pytest.fixture
def new_world() -> type[World]:
    """For a property, which needs a world per example."""
    return World


@pytest.fixture
def segment() -> Any:
    """Declares a segment; by default those worth 100 or more."""

    def declare(**changes: Any) -> SegmentSpec:
        return SegmentSpec.model_validate(
            {
                "name": "vip",
                "label": "VIP",
                "description": "…",
                "owner": "team:crm",
                "condition": "lifetime_value.lifetime_value >= 100",
            }
            | changes
        )

    return declare
