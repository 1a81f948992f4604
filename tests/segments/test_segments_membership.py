"""Membership: who entered, who left, and what a merge does not change."""

import datetime as dt
from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_assets.segments.membership import (
    MembershipResult,
    close_missing,
    update_membership,
)
from cdp_assets.segments.spec import SegmentSpec
from cdp_assets.warehouse import migrate

DAY_1 = dt.datetime(2026, 6, 1)
DAY_2 = dt.datetime(2026, 6, 2)
DAY_3 = dt.datetime(2026, 6, 3)

VIP = SegmentSpec(
    name="vip",
    label="VIP",
    description="…",
    owner="team:crm",
    condition="lifetime_value.lifetime_value >= 100",
)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with empty() as opened:
        yield opened


def empty() -> duckdb.DuckDBPyConnection:
    opened = duckdb.connect()
    migrate(opened)
    opened.execute(
        """
        create table unified.unified_individual (unified_individual_id varchar);
        create table insights.lifetime_value (
            unified_individual_id varchar, lifetime_value decimal(18,2)
        )
        """
    )
    return opened


def people(connection: duckdb.DuckDBPyConnection, **values: int | None) -> None:
    """The people there are, and what each is worth; None: no insight at all."""
    connection.execute("delete from unified.unified_individual")
    connection.execute("delete from insights.lifetime_value")
    for person, value in values.items():
        connection.execute(
            "insert into unified.unified_individual values (?)", [person]
        )
        if value is not None:
            connection.execute(
                "insert into insights.lifetime_value values (?, ?)", [person, value]
            )
        if not connection.execute(
            "from identity.link_history where unified_id = ?", [person]
        ).fetchall():
            for number in range(3):
                link(connection, f"crm:{person}{number}", person)


def link(connection: duckdb.DuckDBPyConnection, record: str, person: str) -> None:
    """The record becomes the person's in the run to come."""
    connection.execute(
        "delete from identity.unified_link_individual where record = $record",
        {"record": record},
    )
    connection.execute(
        "insert into identity.unified_link_individual "
        "select $person, $record, 'exact', coalesce(max(run), 0) + 1 "
        "from segments.evaluation",
        {"person": person, "record": record},
    )
    connection.execute(
        """
        insert into identity.link_history (object, record, unified_id, run)
        select 'individual', record, unified_individual_id, linked_at_run
        from identity.unified_link_individual where record = $record
        """,
        {"record": record},
    )


def becomes(connection: duckdb.DuckDBPyConnection, retired: str, *living: str) -> None:
    """The records of somebody are these people's from now on."""
    for number in range(3):
        link(connection, f"crm:{retired}{number}", living[number % len(living)])


def rows(connection: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    return connection.execute(
        "select unified_individual_id, entered_at, left_at, entered_run "
        "from segments.membership order by all"
    ).fetchall()


def test_who_satisfies_the_condition_enters(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    people(connection, ada=150, bob=50, cy=None)

    result = update_membership(connection, VIP, 1, DAY_1)

    assert result == MembershipResult(members=1, entered=1, left=0, carried=0)
    assert rows(connection) == [("ada", DAY_1, None, 1)]


def test_updating_again_changes_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    people(connection, ada=150)
    update_membership(connection, VIP, 1, DAY_1)

    result = update_membership(connection, VIP, 2, DAY_2)

    assert result == MembershipResult(members=1, entered=0, left=0, carried=0)
    assert rows(connection) == [("ada", DAY_1, None, 1)]


def test_leaving_closes_the_row_and_coming_back_opens_another(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    people(connection, ada=150)
    update_membership(connection, VIP, 1, DAY_1)
    people(connection, ada=50)
    assert update_membership(connection, VIP, 2, DAY_2).left == 1
    people(connection, ada=150)
    assert update_membership(connection, VIP, 3, DAY_3).entered == 1

    assert rows(connection) == [
        ("ada", DAY_1, DAY_2, 1),
        ("ada", DAY_3, None, 3),
    ]


def test_a_person_who_no_longer_exists_leaves(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    people(connection, ada=150)
    update_membership(connection, VIP, 1, DAY_1)
    people(connection)

    assert update_membership(connection, VIP, 2, DAY_2).left == 1
    assert rows(connection) == [("ada", DAY_1, DAY_2, 1)]


def test_after_a_merge_the_survivor_keeps_the_earlier_entry(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """A merge shown as an exit and an entry would send both to destinations."""
    people(connection, ada=150)
    update_membership(connection, VIP, 1, DAY_1)
    people(connection, ada=150, bob=150)
    update_membership(connection, VIP, 2, DAY_2)
    people(connection, bob=300)
    becomes(connection, "ada", "bob")

    result = update_membership(connection, VIP, 3, DAY_3)

    assert result == MembershipResult(members=1, entered=0, left=0, carried=1)
    assert rows(connection) == [("bob", DAY_1, None, 1)]


def test_after_a_merge_the_membership_of_the_loser_is_carried_over(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    people(connection, ada=150, bob=10)
    update_membership(connection, VIP, 1, DAY_1)
    people(connection, bob=160)
    becomes(connection, "ada", "bob")

    result = update_membership(connection, VIP, 2, DAY_2)

    assert result == MembershipResult(members=1, entered=0, left=0, carried=1)
    assert rows(connection) == [("bob", DAY_1, None, 1)]


def test_a_merge_whose_survivor_does_not_satisfy_is_an_exit(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    people(connection, ada=150)
    update_membership(connection, VIP, 1, DAY_1)
    people(connection, bob=10)
    becomes(connection, "ada", "bob")

    result = update_membership(connection, VIP, 2, DAY_2)

    assert result == MembershipResult(members=0, entered=0, left=1, carried=0)
    assert rows(connection) == [("ada", DAY_1, DAY_2, 1)]


def test_a_split_carries_over_to_those_who_still_satisfy(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    people(connection, ada=250)
    update_membership(connection, VIP, 1, DAY_1)
    people(connection, ann=120, amy=130, al=10)
    becomes(connection, "ada", "ann", "amy", "al")

    result = update_membership(connection, VIP, 2, DAY_2)

    assert result == MembershipResult(members=2, entered=0, left=0, carried=1)
    assert rows(connection) == [
        ("amy", DAY_1, None, 1),
        ("ann", DAY_1, None, 1),
    ]


def test_rows_closed_before_a_merge_stay_as_they_were(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    people(connection, ada=150)
    update_membership(connection, VIP, 1, DAY_1)
    people(connection, ada=50)
    update_membership(connection, VIP, 2, DAY_2)
    people(connection, bob=50)
    becomes(connection, "ada", "bob")
    update_membership(connection, VIP, 3, DAY_3)

    assert rows(connection) == [("ada", DAY_1, DAY_2, 1)]


def test_other_segments_are_left_alone(connection: duckdb.DuckDBPyConnection) -> None:
    people(connection, ada=150)
    update_membership(connection, VIP, 1, DAY_1)
    other = VIP.model_copy(
        update={"name": "poor", "condition": "lifetime_value.lifetime_value < 100"}
    )

    assert update_membership(connection, other, 2, DAY_2).members == 0
    assert rows(connection) == [("ada", DAY_1, None, 1)]


def test_members_of_a_segment_that_is_no_longer_declared_leave(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """A deleted YAML must not leave its people in an audience for ever."""
    people(connection, ada=150)
    update_membership(connection, VIP, 1, DAY_1)

    assert close_missing(connection, {"vip", "other"}, DAY_2) == 0
    assert close_missing(connection, {"other"}, DAY_2) == 1
    assert close_missing(connection, set(), DAY_3) == 0
    assert rows(connection) == [("ada", DAY_1, DAY_2, 1)]


def test_the_time_of_the_run_is_the_time_of_the_condition(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    people(connection, ada=150)
    late = VIP.model_copy(update={"condition": "run.as_of >= timestamp '2026-06-02'"})

    assert update_membership(connection, late, 1, DAY_1).members == 0
    assert update_membership(connection, late, 2, DAY_2).members == 1


days = st.lists(
    st.dictionaries(
        st.sampled_from("abcdef"), st.sampled_from([None, 50, 150]), max_size=6
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=25, deadline=None)
@given(days)
def test_at_any_day_the_open_rows_are_who_satisfied_then(
    worth: list[dict[str, int | None]],
) -> None:
    """History that cannot be read back as of a day is no history."""
    with empty() as connection:
        for number, values in enumerate(worth):
            people(connection, **values)
            update_membership(
                connection, VIP, number, DAY_1 + dt.timedelta(days=number)
            )
        for number, values in enumerate(worth):
            found = connection.execute(
                "select unified_individual_id from segments.membership where "
                "entered_at <= $at and (left_at is null or left_at > $at) order by 1",
                {"at": DAY_1 + dt.timedelta(days=number)},
            ).fetchall()
            assert [person for (person,) in found] == sorted(
                person for person, value in values.items() if value == 150
            )
