"""A warehouse with a few people in it, an outbox, and a receiver to deliver to."""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cdp_assets.activation.delivery import deliver
from cdp_assets.activation.destinations.protocol import Destination
from cdp_assets.activation.handover import HandOver, hand_over
from cdp_assets.activation.outbox import Outbox
from cdp_assets.activation.planning import PlanResult, plan
from cdp_assets.activation.receiver import Receiver, receiving
from cdp_assets.activation.settlement import settle
from cdp_assets.activation.spec import ActivationSpec
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse, transaction
from tests.activation.audience import AUDIENCE, PHONE
from tests.reachable import PEOPLE

AS_OF = dt.datetime(2026, 6, 1, 12)
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
WEBHOOK = {"kind": "webhook", "url_env": "HOOK_URL", "secret_env": "HOOK_SECRET"}

TABLES = f"""
    {PEOPLE}
    create table insights.lifetime_value (
        unified_individual_id varchar, lifetime_value decimal(18,2),
        last_order_date date
    );
"""


class World:
    """People, their consent and their membership, as the stages before leave them."""

    def __init__(self, paths: Paths, connection: duckdb.DuckDBPyConnection) -> None:
        self.paths = paths
        self.connection = connection
        self.outbox = Outbox(paths.outbox)
        self.run = 0
        connection.execute(TABLES)

    def person(
        self,
        name: str,
        *,
        email: str | None = "",
        consent: str | None = "opt_in",
        value: int = 100,
    ) -> str:
        """A member of segment vip: an address and consent for it, unless told not."""
        address = f"{name}@example.test" if email == "" else email
        self.connection.execute(
            "insert into unified.unified_individual values (?, ?)",
            [name, name.title()],
        )
        self.connection.execute(
            "insert into insights.lifetime_value values (?, ?, date '2026-05-01')",
            [name, value],
        )
        self.connection.execute(
            "insert into segments.membership values ('vip', ?, ?, null, 1)",
            [name, AS_OF],
        )
        if address is not None:
            self.email(name, address)
            if consent is not None:
                self.consent(address, consent)
        return name

    def email(
        self, name: str, address: str, *, rank: int = 1, undeliverable: bool = False
    ) -> None:
        self.connection.execute(
            "insert into unified.unified_contact_point_email values (?, ?, ?, ?, ?)",
            [f"{name}-{address}", name, address, undeliverable, rank],
        )

    def consent(self, address: str, status: str, **columns: Any) -> str:
        """A consent row for marketing by e-mail; the latest of its source."""
        (count,) = self.row("select count(*) from dmo.contact_point_consent")
        columns = {
            "id": f"consent_log:{count + 1}",
            "contact_point_type_id": "email",
            "contact_point_value": address,
            "data_use_purpose_id": "marketing",
            "engagement_channel_type_id": "email",
            "consent_status_id": status,
            "consent_captured_source_name": "shop",
            "consent_captured_date_time": AS_OF
            - dt.timedelta(days=30)
            + dt.timedelta(hours=count),
        } | columns
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))
        self.connection.execute(
            f"insert into dmo.contact_point_consent ({names}) values ({marks})",
            list(columns.values()),
        )
        return str(columns["id"])

    def leaves(self, name: str) -> None:
        self.connection.execute(
            "update segments.membership set left_at = ? "
            "where unified_individual_id = ? and left_at is null",
            [AS_OF, name],
        )

    def enters(self, name: str) -> None:
        self.connection.execute(
            "insert into segments.membership values ('vip', ?, ?, null, 1)",
            [name, AS_OF],
        )

    def moves(self, name: str, address: str, *, consent: str | None = None) -> None:
        """The person has this address and no other."""
        self.connection.execute(
            "delete from unified.unified_contact_point_email "
            "where unified_individual_id = ?",
            [name],
        )
        self.email(name, address)
        if consent is not None:
            self.consent(address, consent)

    def wakes(self) -> None:
        """What waits for another try is due, and no destination is left alone."""
        with self.outbox.connect() as connection:
            connection.execute("delete from breaker")
            connection.execute("update outbox set next_attempt_at = ''")

    def vanishes(self, name: str) -> None:
        """As the loser of a merge does."""
        for table in (
            "unified.unified_individual",
            "unified.unified_contact_point_email",
            "insights.lifetime_value",
        ):
            self.connection.execute(
                f"delete from {table} where unified_individual_id = ?", [name]
            )
        self.leaves(name)

    def merges(self, name: str, into: str) -> None:
        """As identity says it: the one is the other now."""
        self.vanishes(name)
        self.leads(name, into)

    def leads(self, name: str, *living: str) -> None:
        """Where a retired id leads to."""
        self.connection.execute(
            "delete from identity.redirect where retired_id = ?", [name]
        )
        self.connection.execute(
            "insert into identity.redirect values (?, ?, ?, 1)",
            [name, "merged" if len(living) == 1 else "split", list(living)],
        )

    def worth(self, name: str, value: int) -> None:
        self.connection.execute(
            "update insights.lifetime_value set lifetime_value = ? "
            "where unified_individual_id = ?",
            [value, name],
        )

    def plan(self, spec: ActivationSpec, as_of: dt.datetime = AS_OF) -> PlanResult:
        self.run += 1
        return plan(self.connection, spec, self.outbox, self.run, as_of)

    def plan_released(self, spec: ActivationSpec, most: int) -> PlanResult:
        """As an operator who looked at a held plan does."""
        self.run += 1
        return plan(self.connection, spec, self.outbox, self.run, AS_OF, most=most)

    def hand_over(self) -> HandOver:
        return hand_over(self.connection, self.outbox)

    def send_off(self, spec: ActivationSpec) -> PlanResult:
        """Plan and hand over, as a run does."""
        planned = self.plan(spec)
        self.hand_over()
        return planned

    def deliver(
        self,
        spec: ActivationSpec,
        destination: Destination,
        at: dt.datetime = AS_OF,
    ) -> None:
        """Deliver what waits, and settle, as a run does."""
        deliver(self.outbox, spec, destination, at=at, budget_seconds=5)
        with transaction(self.connection):
            settle(self.connection, self.outbox)

    def planned(self) -> list[tuple[Any, ...]]:
        """Every planned change: person, operation and cause, in order."""
        return self.connection.execute(
            "select unified_individual_id, operation, cause "
            "from activation.planned order by sequence"
        ).fetchall()

    def row(self, sql: str) -> tuple[Any, ...]:
        found = self.connection.execute(sql).fetchone()
        assert found is not None
        return found

    def waiting(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask the outbox."""
        with self.outbox.connect() as connection:
            return connection.execute(sql, parameters).fetchall()

    def states(self) -> dict[str, str]:
        """Per person the state of their last change."""
        return dict(
            self.waiting(
                "select unified_individual_id, state from outbox order by sequence"
            )
        )


@pytest.fixture
def world(paths: Paths, warehouse: Warehouse) -> Iterator[World]:
    with warehouse.writing("a test") as connection:
        yield World(paths, connection)


@pytest.fixture
def anew(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], AbstractContextManager[World]]:
    """Another world for each example of a property, which all share one fixture."""

    @contextmanager
    def opened() -> Iterator[World]:
        paths = Paths(tmp_path_factory.mktemp("data"))
        with Warehouse(paths).writing("a test") as connection:
            yield World(paths, connection)

    return opened


@pytest.fixture
def activation() -> Any:
    """Declares an activation to the webhook, changed as the test asks."""

    def declare(**changes: Any) -> ActivationSpec:
        return ActivationSpec.model_validate(
            {
                "name": "welcome",
                "label": "Welcome",
                "description": "…",
                "owner": "team:crm",
                "segment": "vip",
                "destination": WEBHOOK,
                "channel": "email",
                "purpose": "marketing",
                "mapping": {
                    "email": "contact.email_address",
                    "first_name": "profile.first_name",
                    "value": "lifetime_value.lifetime_value",
                },
                # Seconds in production; a test has no time for them.
                "retry": {
                    "max_attempts": 4,
                    "base_seconds": 0.05,
                    "cap_seconds": 0.2,
                },
            }
            | changes
        )

    return declare


@pytest.fixture
def to_audience(activation: Any) -> ActivationSpec:
    """An activation to an audience that is told addresses and numbers."""
    spec: ActivationSpec = activation(
        destination=AUDIENCE, mapping={"email": "contact.email_address", "phone": PHONE}
    )
    return spec


@pytest.fixture
def as_of() -> dt.datetime:
    return AS_OF


@pytest.fixture
def hook_secret() -> str:
    return SECRET


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiving(tmp_path / "received.ndjson", SECRET) as running:
        yield running


@pytest.fixture
def hook(receiver: Receiver) -> dict[str, str]:
    """The settings under which the webhook destination reaches the receiver."""
    return {"HOOK_URL": receiver.url, "HOOK_SECRET": SECRET}
