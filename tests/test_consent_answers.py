"""Where answers to consent are found: other spellings, gone records, quarantine."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from cdp_assets.governance.answers import gather_answers, remember_opt_outs
from cdp_assets.governance.consent import decisions
from tests.test_consent import NOW, warehouse

TABLES = (
    "dmo.contact_point_consent",
    "dmo.individual",
    "identity.unified_link_individual",
    "unified.unified_contact_point_email",
    "governance.opt_out",
    "ops.quarantine",
)


class Answers:
    """A warehouse in which Ann is reached at some address, and what was said."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def reached_at(self, *addresses: str, records: tuple[str, ...] = ()) -> None:
        for address in addresses:
            self.insert(
                "unified.unified_contact_point_email",
                unified_individual_id="ann",
                email_address=address,
            )
        for record in records:
            self.insert(
                "identity.unified_link_individual",
                unified_individual_id="ann",
                record=record,
            )
            self.insert("dmo.individual", id=record)

    def says(self, status: str, address: str | None, record: str, **more: Any) -> None:
        self.insert(
            "dmo.contact_point_consent",
            **{
                "id": f"{record}/{status}",
                "party_id": record,
                "source_record_id": record,
                "contact_point_type_id": "email",
                "contact_point_value": address,
                "data_use_purpose_id": "marketing",
                "engagement_channel_type_id": "email",
                "consent_status_id": status,
                "consent_captured_source_name": record,
                "consent_captured_date_time": NOW - dt.timedelta(days=7),
            }
            | more,
        )

    def forgets(self, record: str, *, entirely: bool = False) -> None:
        """The record carries no answer any more; entirely: nor is there a record."""
        for table, column in (
            ("dmo.contact_point_consent", "source_record_id"),
            ("dmo.individual", "id"),
        )[: 2 if entirely else 1]:
            self.connection.execute(f"delete from {table} where {column} = ?", [record])

    def refused(self, stream: str, record: str) -> None:
        self.insert(
            "ops.quarantine", stream=stream, file="f.csv", line=7, record=record
        )

    def allowed(self, address: str) -> bool:
        return self.reason(address) == "consent given"

    def reason(self, address: str) -> str:
        gather_answers(self.connection)
        remember_opt_outs(self.connection)
        (found,) = self.connection.execute(
            decisions(
                "(select 'email' as contact_point_type, $to as contact_point_value)"
            ),
            {"to": address, "purpose": "marketing", "channel": "email", "at": NOW},
        ).fetchall()
        return str(found[4])

    def insert(self, table: str, **columns: Any) -> None:
        self.connection.execute(
            f"insert into {table} ({', '.join(columns)}) "
            f"values ({', '.join('?' * len(columns))})",
            list(columns.values()),
        )


@pytest.fixture
def answers() -> Iterator[Answers]:
    gathered = Answers(warehouse())
    gathered.connection.execute("drop table if exists dmo.contact_point_consent")
    gathered.connection.execute(
        """
        create table dmo.contact_point_consent (
            id varchar, contact_point_type_id varchar, contact_point_value varchar,
            party_id varchar, source_record_id varchar, data_use_purpose_id varchar,
            engagement_channel_type_id varchar, consent_status_id varchar,
            consent_captured_source_name varchar,
            consent_captured_date_time timestamp, effective_from_date timestamp,
            effective_to_date timestamp)
        """
    )
    yield gathered
    for table in TABLES:
        gathered.connection.execute(f"delete from {table}")


@pytest.mark.parametrize(
    ("opted_out", "sent_to"),
    [
        ("at@gmail.com", "a.t@gmail.com"),
        ("a.t+news@gmail.com", "at@gmail.com"),
        ("at@googlemail.com", "a.t@gmail.com"),
        ("ann@bücher.de", "ann@xn--bcher-kva.de"),
        ("ann@xn--bcher-kva.de", "ann@bücher.de"),
    ],
)
def test_an_opt_out_holds_for_every_spelling_of_an_inbox(
    answers: Answers, opted_out: str, sent_to: str
) -> None:
    """The profile merges the spellings into one contact point; consent did not."""
    answers.says("opt_in", sent_to, "shop_customer:1")
    assert answers.allowed(sent_to)
    answers.says("opt_out", opted_out, "consent_log:1")
    assert answers.reason(sent_to) == "opted out"


def test_dots_of_other_providers_tell_inboxes_apart(answers: Answers) -> None:
    answers.says("opt_in", "a.t@x.org", "shop_customer:1")
    answers.says("opt_out", "at@x.org", "consent_log:1")
    assert answers.allowed("a.t@x.org")


def test_an_opt_out_outlives_its_record(answers: Answers) -> None:
    """A contact who had opted out was deleted in the CRM, and got the next campaign."""
    answers.reached_at("a@x.org", records=("crm_contact:1", "shop_customer:1"))
    answers.says("opt_in", "a@x.org", "shop_customer:1")
    answers.says("opt_out", "a@x.org", "crm_contact:1")
    assert not answers.allowed("a@x.org")
    answers.forgets("crm_contact:1", entirely=True)
    assert answers.reason("a@x.org") == "opted out"


def test_an_opt_out_taken_back_by_its_record_is_lifted(answers: Answers) -> None:
    answers.reached_at("a@x.org", records=("crm_contact:1", "shop_customer:1"))
    answers.says("opt_in", "a@x.org", "shop_customer:1")
    answers.says("opt_out", "a@x.org", "crm_contact:1")
    assert not answers.allowed("a@x.org")
    answers.forgets("crm_contact:1")
    assert answers.allowed("a@x.org")


def test_an_opt_out_stays_when_its_record_loses_the_address(answers: Answers) -> None:
    """The next version of the contact had the flag and no e-mail."""
    answers.reached_at("a@x.org", records=("shop_customer:1",))
    answers.says("opt_in", "a@x.org", "shop_customer:1")
    answers.reached_at(records=("crm_contact:1",))
    answers.says("opt_out", "a@x.org", "crm_contact:1")
    assert not answers.allowed("a@x.org")
    answers.forgets("crm_contact:1")
    answers.connection.execute(
        "delete from identity.unified_link_individual where record = 'crm_contact:1'"
    )
    answers.says("opt_out", None, "crm_contact:1")
    assert answers.reason("a@x.org") == "opted out"


def test_an_opt_out_without_an_address_binds_the_person(answers: Answers) -> None:
    """An unsubscribe that named only its subscriber was dropped."""
    answers.reached_at("a@x.org", records=("email_subscriber:1", "shop_customer:1"))
    answers.says("opt_in", "a@x.org", "shop_customer:1")
    answers.says("opt_out", None, "email_event:1", party_id="email_subscriber:1")
    assert answers.reason("a@x.org") == "opted out"
    answers.says("opt_in", "b@x.org", "shop_customer:2")
    assert answers.allowed("b@x.org")


REFUSED = {
    "an opt-out with a date that is none": (
        "consent_log",
        '{"captured_at": "soon", "contact_point_value": "A.nn@Gmail.com", '
        '"status": "opt_out"}',
        False,
    ),
    "two addresses in one field": (
        "consent_log",
        '{"contact_point_value": "b@x.org; ann@gmail.com", "status": "no"}',
        False,
    ),
    "half a line": (
        "consent_log",
        'c1,2026-01-01,shop,email,ann@gmail.com,"opt',
        False,
    ),
    "an opt-in": (
        "consent_log",
        '{"contact_point_value": "ann@gmail.com", "status": "Opt_In"}',
        True,
    ),
    "another address": (
        "consent_log",
        '{"contact_point_value": "other@gmail.com", "status": "opt_out"}',
        True,
    ),
    "an opened message": (
        "email_event",
        '{"EventType": "Open", "EmailAddress": "ann@gmail.com"}',
        True,
    ),
    "a nested answer": (
        "shop_customer",
        '{"id": "9", "email": "ann@gmail.com", '
        '"email_marketing_consent": {"state": "unsubscribed"}}',
        False,
    ),
    "a nested answer that is none": (
        "shop_customer",
        '{"id": "9", "email": "ann@gmail.com", '
        '"email_marketing_consent": {"state": "subscribed"}}',
        True,
    ),
    "a record of hers, without the address": (
        "crm_contact",
        '{"Id": "1", "HasOptedOutOfEmail": "TRUE", "Birthdate": "soon"}',
        False,
    ),
    "a stream that says nothing of consent": (
        "shop_order",
        '{"email": "ann@gmail.com"}',
        True,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nobody_named_in_a_refused_opt_out_is_written_to(
    answers: Answers, case: str
) -> None:
    """The opt-out lay in quarantine for its date, and the message left."""
    stream, record, allowed = REFUSED[case]
    answers.reached_at("ann@gmail.com", records=("crm_contact:1",))
    answers.says("opt_in", "ann@gmail.com", "shop_customer:1")
    answers.refused(stream, record)
    assert answers.allowed("ann@gmail.com") is allowed
    answers.connection.execute("update ops.quarantine set replayed_load_seq = 2")
    assert answers.allowed("ann@gmail.com")
