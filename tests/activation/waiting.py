"""An outbox filled without a warehouse: changes that wait, and their consent."""

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import HealthCheck, settings

from cdp_assets.activation.destination_spec import BatchLimit
from cdp_assets.activation.destinations.protocol import Batch, Reply
from cdp_assets.activation.outbox import Outbox, transaction
from cdp_assets.activation.spec import ActivationSpec

AS_OF = dt.datetime(2026, 6, 1, 12)
# A history is planned and delivered step by step: a second or so an example.
HISTORIES = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def declare(name: str = "welcome", **changes: Any) -> ActivationSpec:
    """An activation to a webhook; nothing is read of its mapping."""
    return ActivationSpec.model_validate(
        {
            "name": name,
            "label": "Welcome",
            "description": "…",
            "owner": "team:crm",
            "segment": "vip",
            "destination": {
                "kind": "webhook",
                "url_env": "HOOK_URL",
                "secret_env": "HOOK_SECRET",
            },
            "channel": "email",
            "purpose": "marketing",
            "mapping": {"email": "contact.email_address"},
            "retry": {"max_attempts": 4, "base_seconds": 0.05, "cap_seconds": 0.2},
        }
        | changes
    )


def fill(
    outbox: Outbox,
    people: Iterable[int | str],
    *,
    activation: str = "welcome",
    operation: str = "add",
    previous: str | None = None,
    mail: str | None = None,
    **payload: Any,
) -> list[int]:
    """Let a change of each person wait, with consent; returns the sequences."""
    with outbox.connect() as connection, transaction(connection):
        (last,) = connection.execute(
            "select coalesce(max(sequence), 0) from outbox"
        ).fetchone()
        rows: list[Sequence[Any]] = []
        for number, person in enumerate(people, last + 1):
            who = f"p{person:06}" if isinstance(person, int) else person
            address = mail or f"{who}@example.test"
            content = json.dumps(
                {"email": address, "name": "Ada", "value": 12.5} | payload
            )
            rows.append((number, who, address, content))
        connection.executemany(
            """
            insert into outbox (
                sequence, idempotency_key, activation, segment,
                unified_individual_id, operation, cause, payload,
                contact_point_type, contact_point_value, planned_run, planned_at,
                next_attempt_at, previous_individual_id, previous_contact_point_type,
                previous_contact_point_value
            )
            values (?1, printf('msg_%032x', ?1), ?5, 'vip', ?2, ?6, 'entered', ?4,
                'email', ?3, 1, '2026-06-01T12:00:00.000000', '', ?7,
                case when ?7 is not null then 'email' end, ?7 || '@example.test')
            """,
            [(*row, activation, operation, previous) for row in rows],
        )
        if previous is not None:
            connection.executemany(
                "insert into merge values (?, ?)",
                [(previous, who) for _, who, _, _ in rows],
            )
            rows.append((last, previous, f"{previous}@example.test", ""))
        connection.executemany(
            """
            insert into consent values ('email', ?, 'consent_log:' || ?, 'marketing',
                'email', 'opt_in', 'shop', '2026-05-01T12:00:00.000000', null, null)
            """,
            [(mail, number) for number, _, mail, _ in rows],
        )
    return [row[0] for row in rows if row[0] > last]


def asked(outbox: Outbox, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """What the outbox answers."""
    with outbox.connect() as connection:
        return connection.execute(sql, parameters).fetchall()


class Answering:
    """A destination that answers each change as a function of it says."""

    label = "answering"
    concurrency = 1
    interval: float | None = None
    breaker_failures = 10

    def __init__(self, rows: int = 1, most_bytes: int | None = None) -> None:
        self.batch = BatchLimit(rows=rows, bytes=most_bytes)
        self.batches: list[Batch] = []

    def answer(self, batch: Batch) -> list[Reply]:
        return [Reply(change.idempotency_key, "delivered") for change in batch.changes]

    def send(self, batch: Batch) -> list[Reply]:
        self.batches.append(batch)
        return self.answer(batch)

    def close(self) -> None:
        pass

    @property
    def people(self) -> list[list[str]]:
        return [
            [change.unified_individual_id for change in batch.changes]
            for batch in self.batches
        ]


class Accepting:
    """A destination that takes everything, and remembers what it holds of whom."""

    label = "accepting"
    batch = BatchLimit(rows=1)
    interval = None
    breaker_failures = 10
    concurrency = 1

    def __init__(self) -> None:
        self.holds: dict[str, str] = {}
        self.got: list[tuple[str, str]] = []

    def send(self, batch: Batch) -> list[Reply]:
        for change in batch.changes:
            self.got.append((change.operation, change.unified_individual_id))
            if change.operation == "remove":
                del self.holds[change.unified_individual_id]
            else:
                self.holds[change.unified_individual_id] = change.payload
        return [Reply(change.idempotency_key, "delivered") for change in batch.changes]

    def close(self) -> None:
        pass
