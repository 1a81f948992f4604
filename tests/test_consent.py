"""Consent: what may be sent where, decided the same in Python and in SQL."""

import datetime as dt
import functools
from collections.abc import Sequence

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_assets.governance.answers import gather_answers
from cdp_assets.governance.consent import ConsentRow, decide, decisions
from cdp_assets.governance.consent_words import NO_ROW
from cdp_assets.paths import PACKAGE
from cdp_assets.publication.standing import standing_consent

NOW = dt.datetime(2026, 6, 1, 12)
DAY = dt.timedelta(days=1)


def row(name: str, status: str, **changes: object) -> ConsentRow:
    """A row given a week ago for marketing by e-mail, unless said otherwise."""
    usual = ConsentRow(
        name, "marketing", "email", status, "shop", NOW - 7 * DAY, None, None
    )
    return usual._replace(**changes)  # type: ignore[arg-type]


def decided(*rows: ConsentRow) -> tuple[bool, str | None, str]:
    return tuple(decide(rows, "marketing", "email", NOW))  # type: ignore[return-value]


CASES = {
    "nothing known": ([], (False, None, NO_ROW)),
    "opted in": ([row("a", "opt_in")], (True, "a", "consent given")),
    "opted out": ([row("a", "opt_out")], (False, "a", "opted out")),
    "withdrawn later at the same source": (
        [row("a", "opt_in"), row("b", "opt_out", captured_at=NOW - DAY)],
        (False, "b", "opted out"),
    ),
    "given again later at the same source": (
        [row("a", "opt_out"), row("b", "opt_in", captured_at=NOW - DAY)],
        (True, "b", "consent given"),
    ),
    "conflicting sources": (
        [
            row("a", "opt_out", source="call_centre"),
            row("b", "opt_in", captured_at=NOW - DAY),
        ],
        (False, "a", "opted out"),
    ),
    "conflicting at the same instant": (
        [row("a", "opt_in"), row("b", "opt_out")],
        (False, "b", "opted out"),
    ),
    "double opt-in not confirmed": (
        [row("a", "pending")],
        (False, "a", "double opt-in not confirmed"),
    ),
    "unconfirmed here, given there": (
        [row("a", "pending"), row("b", "opt_in", source="import")],
        (True, "b", "consent given"),
    ),
    "unconfirmed after it was given here": (
        [row("a", "opt_in"), row("b", "pending", captured_at=NOW - DAY)],
        (False, "b", "double opt-in not confirmed"),
    ),
    "asked to confirm after opting out here": (
        [row("a", "opt_out"), row("b", "pending", captured_at=NOW - DAY)],
        (False, "a", "opted out"),
    ),
    "asked to confirm, while opted in elsewhere, after opting out here": (
        [
            row("a", "opt_out"),
            row("b", "pending", captured_at=NOW - DAY),
            row("c", "opt_in", source="import"),
        ],
        (False, "a", "opted out"),
    ),
    "given again after it was asked for": (
        [
            row("a", "opt_out"),
            row("b", "pending", captured_at=NOW - 2 * DAY),
            row("c", "opt_in", captured_at=NOW - DAY),
        ],
        (True, "c", "consent given"),
    ),
    "expired": ([row("a", "opt_in", effective_to=NOW)], (False, None, NO_ROW)),
    "expires in a second": (
        [row("a", "opt_in", effective_to=NOW + dt.timedelta(seconds=1))],
        (True, "a", "consent given"),
    ),
    "an opt-out that has expired": (
        [row("a", "opt_in"), row("b", "opt_out", captured_at=NOW, effective_to=NOW)],
        (True, "a", "consent given"),
    ),
    "opt-in not yet effective": (
        [row("a", "opt_in", effective_from=NOW + DAY)],
        (False, None, NO_ROW),
    ),
    "opt-out announced for later": (
        [
            row("a", "opt_in"),
            row("b", "opt_out", source="b", effective_from=NOW + DAY),
        ],
        (True, "a", "consent given"),
    ),
    "opt-out from a clock that runs ahead": (
        [
            row("a", "opt_in"),
            row("b", "opt_out", captured_at=NOW + DAY, effective_from=NOW + DAY),
        ],
        (False, "b", "opted out"),
    ),
    "opt-in from a clock that runs ahead": (
        [row("a", "opt_in", captured_at=NOW + DAY)],
        (False, None, NO_ROW),
    ),
    "opted out of everything": (
        [
            row("a", "opt_in", source="shop"),
            row("b", "opt_out", source="call_centre", purpose="all", channel="all"),
        ],
        (False, "b", "opted out"),
    ),
    "opted in to everything": (
        [row("a", "opt_in", purpose="all", channel="all")],
        (True, "a", "consent given"),
    ),
    "another purpose": (
        [row("a", "opt_in", purpose="service")],
        (False, None, NO_ROW),
    ),
    "another channel": ([row("a", "opt_in", channel="sms")], (False, None, NO_ROW)),
    "opted out of another channel": (
        [row("a", "opt_in"), row("b", "opt_out", source="b", channel="sms")],
        (True, "a", "consent given"),
    ),
    "two opt-outs name the later": (
        [
            row("a", "opt_out", source="one"),
            row("b", "opt_out", source="two", captured_at=NOW - DAY),
        ],
        (False, "b", "opted out"),
    ),
    "two opt-ins name the later": (
        [
            row("a", "opt_in", source="one", captured_at=NOW - DAY),
            row("b", "opt_in", source="two"),
        ],
        (True, "a", "consent given"),
    ),
    "a status nobody knows": (
        [row("a", "opt_in"), row("b", "maybe", captured_at=NOW - DAY)],
        (False, "b", "opted out"),
    ),
    "a status in other words": (
        [row("a", "opt_in"), row("b", " Opt-Out", captured_at=NOW - DAY)],
        (False, "b", "opted out"),
    ),
    "an opt-in in other letters": (
        [row("a", "OPT-IN ", purpose="Marketing", channel=" EMAIL")],
        (True, "a", "consent given"),
    ),
    "opted out of a purpose nobody knows": (
        [row("a", "opt_in"), row("b", "opt_out", source="b", purpose="newsletter")],
        (False, "b", "opted out"),
    ),
    "opted out of a channel nobody knows": (
        [row("a", "opt_in"), row("b", "opt_out", source="b", channel="e-mail")],
        (False, "b", "opted out"),
    ),
    "opted in to a purpose nobody knows": (
        [row("a", "opt_in", purpose="newsletter")],
        (False, None, NO_ROW),
    ),
    "opted in to a channel nobody knows": (
        [row("a", "opt_in", channel="pigeon")],
        (False, None, NO_ROW),
    ),
    "an opt-in without a date": (
        [row("a", "opt_in", captured_at=None)],
        (False, None, NO_ROW),
    ),
    "an opt-out without a date": (
        [row("a", "opt_out", captured_at=None)],
        (False, "a", "opted out"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_consent_is_decided_by_the_most_restrictive_standing_answer(case: str) -> None:
    """A message that should not have left cannot be called back."""
    rows, expected = CASES[case]
    assert decided(*rows) == expected
    assert decided(*reversed(rows)) == expected
    assert in_sql({"ada@example.test": rows})["ada@example.test"] == expected


def test_a_service_message_needs_a_row_like_any_other() -> None:
    """'It is only a service mail' is how every list of exceptions begins."""
    assert not decide([row("a", "opt_in")], "service", "email", NOW).allowed
    assert decide(
        [row("a", "opt_in", purpose="service")], "service", "email", NOW
    ).allowed


def test_consent_for_a_phone_number_says_nothing_about_a_like_named_address() -> None:
    load({"+4912345": [row("a", "opt_in")]}, kind="phone")
    (found,) = (
        warehouse()
        .execute(
            decisions(
                "(select 'email' as contact_point_type, "
                "'+4912345' as contact_point_value)"
            ),
            {"purpose": "marketing", "channel": "email", "at": NOW},
        )
        .fetchall()
    )
    assert found == ("email", "+4912345", False, None, NO_ROW)


@pytest.mark.parametrize(
    ("status", "reason"), [("opt_in", NO_ROW), ("opt_out", "opted out")]
)
def test_a_profile_shows_no_purpose_that_nobody_knows(status: str, reason: str) -> None:
    """`allowed: unknown by email` stood on a profile that nothing is sent to."""
    answer = {
        "consent": "a",
        "contact_point": "ada@example.test",
        "purpose": "unknown",
        "channel": "email",
        "status": status,
        "source": "shop",
        "captured_at": NOW.isoformat(),
        "effective_from": None,
        "effective_to": None,
    }
    (shown,) = standing_consent({"consent": [answer]}, NOW)
    assert (shown.purpose, shown.decision.reason) == ("all", reason)


instants = st.none() | st.integers(-3, 3).map(lambda days: NOW + days * DAY)
rows = st.builds(
    ConsentRow,
    st.just(""),
    st.sampled_from(["marketing", " Marketing", "service", "all", "newsletter", ""]),
    st.sampled_from(["email", "sms", "all", "e-mail", "EMAIL\n"]),
    st.sampled_from(
        ["opt_in", "opt_in", "opt_out", "pending", "Opt-In", "\tPENDING", "no", "_"]
    ),
    st.sampled_from(["shop", "import", None]),
    instants,
    instants,
    instants,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(rows, max_size=5), min_size=1, max_size=20))
def test_the_decision_in_sql_is_the_decision_in_python(
    people: list[list[ConsentRow]],
) -> None:
    """Planning believed a message may go that sending withheld, run after run."""
    named = {
        f"{i}@example.test": [
            one._replace(id=f"{i}-{j}") for j, one in enumerate(answers)
        ]
        for i, answers in enumerate(people)
    }
    assert in_sql(named) == {
        value: decided(*answers) for value, answers in named.items()
    }


@given(st.lists(rows, max_size=6), st.randoms())
def test_a_decision_does_not_depend_on_the_order_of_rows(
    answers: list[ConsentRow], random: object
) -> None:
    named = [one._replace(id=str(i)) for i, one in enumerate(answers)]
    shuffled = named.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert decided(*shuffled) == decided(*named)


@given(st.lists(rows, max_size=5), rows)
def test_another_opt_out_never_allows_what_was_forbidden(
    answers: list[ConsentRow], more: ConsentRow
) -> None:
    """However the rows conflict, saying no once more must not turn into a yes."""
    named = [one._replace(id=str(i)) for i, one in enumerate(answers)]
    refused = more._replace(id="more", status="opt_out", source="another")
    if not decided(*named)[0]:
        assert not decided(*named, refused)[0]


@functools.cache
def warehouse() -> duckdb.DuckDBPyConnection:
    """One database for the module: opening one takes longer than asking it."""
    connection = duckdb.connect()
    for name in ("dmo", "ops", "identity", "unified"):
        connection.execute(f"create schema {name}")
    script = (PACKAGE / "migrations" / "0008_opt_out.sql").read_text(encoding="utf-8")
    connection.execute(script)
    connection.execute(
        """
        create table dmo.individual (id varchar);
        create table identity.unified_link_individual (
            unified_individual_id varchar, record varchar);
        create table unified.unified_contact_point_email (
            unified_individual_id varchar, email_address varchar);
        create table unified.unified_contact_point_phone (
            unified_individual_id varchar, formatted_e164_phone_number varchar);
        create table ops.quarantine (stream varchar, file varchar, line bigint,
            record varchar, replayed_load_seq bigint);
        """
    )
    return connection


def load(people: dict[str, Sequence[ConsentRow]], kind: str = "email") -> None:
    answers = [(value, one) for value, many in people.items() for one in many]
    text, instant = pa.string(), pa.timestamp("us")
    columns = {
        "id": ([one.id for _, one in answers], text),
        "contact_point_type_id": ([kind] * len(answers), text),
        "contact_point_value": ([value for value, _ in answers], text),
        "data_use_purpose_id": ([one.purpose for _, one in answers], text),
        "engagement_channel_type_id": ([one.channel for _, one in answers], text),
        "party_id": ([None] * len(answers), text),
        "source_record_id": ([one.id for _, one in answers], text),
        "consent_status_id": ([one.status for _, one in answers], text),
        "consent_captured_source_name": ([one.source for _, one in answers], text),
        "consent_captured_date_time": (
            [one.captured_at for _, one in answers],
            instant,
        ),
        "effective_from_date": ([one.effective_from for _, one in answers], instant),
        "effective_to_date": ([one.effective_to for _, one in answers], instant),
    }
    rows = pa.table(
        {name: pa.array(values, kind) for name, (values, kind) in columns.items()}
    )
    warehouse().register("answers", rows)
    warehouse().execute(
        "create or replace table dmo.contact_point_consent as from answers"
    )
    gather_answers(warehouse())


def in_sql(
    people: dict[str, Sequence[ConsentRow]],
) -> dict[str, tuple[bool, str | None, str]]:
    load(people)
    points = ", ".join(f"('email', '{value}')" for value in people)
    found = (
        warehouse()
        .execute(
            decisions(
                f"(values {points}) as p(contact_point_type, contact_point_value)"
            ),
            {"purpose": "marketing", "channel": "email", "at": NOW},
        )
        .fetchall()
    )
    return {value: (*answer,) for _, value, *answer in found}  # type: ignore[misc]
