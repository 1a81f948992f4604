"""The absence guard: an extract that would delete too much is held until released."""

import json
import re

import pytest

from cdp_assets.digests import ARRIVAL, digest
from cdp_assets.streams import absence
from cdp_assets.streams.landing import waiting


def extract(ids, **said):
    rows = ({"id": str(i), "at": "2026-01-01"} | said for i in ids)
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def full(thing, **changes):
    return thing(refresh_mode="full_refresh", **changes)


def live(loading):
    return loading.rows("select count(*) filter (not _is_deleted) from dlo.thing")[0][0]


def ledger(loading):
    return loading.rows("select outcome, rows from ops.landed_file order by load_seq")


def test_an_extract_that_lacks_too_much_changes_nothing_and_says_why(loading, thing):
    """An export that stopped half way would delete half of the customers."""
    loading.load(full(thing), extract(range(100)))
    before = digest(loading.connection, "dlo.thing")

    result = loading.load(full(thing), extract(range(60), name="new"))

    assert (result.rows_in, result.files, result.held_files) == (0, 0, 1)
    assert digest(loading.connection, "dlo.thing") == before
    assert ledger(loading) == [("loaded", 100), ("held", 0)]
    assert loading.rows("select held_files from ops.load order by load_seq") == [
        (0,),
        (1,),
    ]
    held = absence.held(loading.connection, full(thing))
    assert re.match(
        r"40 of 100 live records \(40%\) are absent .* at most 30% may be .*"
        r"`cdp stream release thing`",
        held.reason,
    )


def test_a_released_extract_is_applied_by_the_next_load(loading, thing):
    loading.load(full(thing), extract(range(100)))
    loading.load(full(thing), extract(range(60)))

    released = absence.release(loading.connection, full(thing))
    result = loading.load(full(thing))

    assert released.file.endswith(".ndjson")
    assert (result.deleted, result.unchanged, live(loading)) == (40, 60, 60)
    assert ledger(loading) == [("loaded", 100), ("loaded", 60)]
    assert absence.held(loading.connection, full(thing)) is None
    assert loading.load(full(thing)).load_seq is None


def test_a_newer_extract_takes_the_place_of_a_held_one(loading, thing):
    loading.load(full(thing), extract(range(100)))
    loading.load(full(thing), extract(range(60)))

    result = loading.load(full(thing), extract(range(99)))

    assert (result.deleted, live(loading)) == (1, 99)
    assert [outcome for outcome, _ in ledger(loading)] == [
        "loaded",
        "replaced",
        "loaded",
    ]
    assert absence.release(loading.connection, full(thing)) is None
    assert waiting(loading.connection, loading.paths, full(thing)) == []


def test_of_two_held_extracts_only_the_newer_can_be_released(loading, thing):
    loading.load(full(thing), extract(range(100)))
    loading.load(full(thing), extract(range(10)), extract(range(50)))

    absence.release(loading.connection, full(thing))
    loading.load(full(thing))

    assert live(loading) == 50


@pytest.mark.parametrize(
    ("left", "changes", "is_held"),
    [
        (70, {}, False),
        (69, {}, True),
        (49, {"max_absent_share": 0.5}, True),
        (50, {"max_absent_share": 0.5}, False),
        (79, {"max_absent_share": 0}, True),
        (80, {"max_absent_share": 0}, False),
        (95, {"max_absent_share": 0, "max_absent_records": 4}, True),
        (1, {"max_absent_share": 1}, False),
    ],
)
def test_share_and_number_are_declared(loading, thing, left, changes, is_held):
    loading.load(full(thing), extract(range(100)))

    result = loading.load(full(thing, **changes), extract(range(left)))

    assert bool(result.held_files) is is_held


def test_a_small_table_may_lose_everything(loading, thing):
    loading.load(full(thing), extract(range(20)))

    result = loading.load(full(thing), extract([20]))

    assert (result.deleted, result.inserted, live(loading)) == (20, 1, 1)


def test_counts_add_up_over_held_and_released_extracts(loading, thing):
    spec = full(thing)
    for ids in (range(100), range(60), range(101), range(30)):
        loading.load(spec, extract(ids, name=str(len(ids))))
    absence.release(loading.connection, spec)
    loading.load(spec)

    assert loading.rows(
        """
        select bool_and(rows_in = inserted + updated + deleted + unchanged + superseded
            + quarantined), sum(held_files), sum(files) from ops.load
        """
    ) == [(True, 2, 3)]
    in_the_end = digest(loading.connection, "dlo.thing", exclude=ARRIVAL)
    loading.connection.execute("drop table dlo.thing; truncate ops.landed_file")
    for path in (loading.paths.landing / "thing").glob("*.ndjson"):
        path.unlink()
    careless = full(thing, max_absent_share=1)
    for ids in (range(100), range(101), range(30)):
        loading.load(careless, extract(ids, name=str(len(ids))))
    assert digest(loading.connection, "dlo.thing", exclude=ARRIVAL) == in_the_end
