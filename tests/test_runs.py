"""Runs: one number and one instant for every stage of a run."""

import datetime as dt

import pytest

from cdp_assets.paths import Paths
from cdp_assets.runs import join_run, parse_instant, pin_as_of, pinned_as_of
from cdp_assets.warehouse import Warehouse, utc_now

NOON = dt.datetime(2026, 11, 1, 12)


def test_the_stages_of_one_run_agree_on_number_and_instant(
    paths: Paths, warehouse: Warehouse
) -> None:
    """Two stages that each took the time of day would disagree at midnight."""
    with warehouse.writing("a test") as connection:
        first = join_run(connection, paths, "one")
        again = join_run(connection, paths, "one")
        second = join_run(connection, paths, "two")
    assert first == again
    assert second.number == first.number + 1
    assert abs(first.as_of - utc_now()) < dt.timedelta(minutes=1)


def test_a_pinned_clock_holds_until_it_is_released(
    paths: Paths, warehouse: Warehouse
) -> None:
    pin_as_of(paths, NOON)
    with warehouse.writing("a test") as connection:
        assert join_run(connection, paths, "one").as_of == NOON
        earlier = dt.datetime(2026, 1, 1)
        assert join_run(connection, paths, "two", earlier).as_of == earlier
        pin_as_of(paths, None)
        assert join_run(connection, paths, "three").as_of > NOON
    assert pinned_as_of(paths) is None


def test_a_clock_that_cannot_be_read_says_what_would_be_right(paths: Paths) -> None:
    paths.pinned_as_of.write_text("yesterday")
    with pytest.raises(ValueError, match="2026-11-01T00:00:00"):
        pinned_as_of(paths)


def test_instants_are_utc_whatever_zone_they_name() -> None:
    assert parse_instant("2026-11-01T13:00:00+01:00") == NOON
    assert parse_instant("2026-11-01 12:00:00") == NOON
