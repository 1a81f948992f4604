"""The catalogue: what is declared stands beside what was really seen."""

import datetime as dt
import json

import pytest

from cdp_assets.samples.generate import generate
from cdp_assets.streams.catalog import catalogue
from cdp_assets.streams.dlo import ensure_table
from cdp_assets.streams.landing import land
from cdp_assets.streams.load import load_waiting
from cdp_assets.streams.spec import load_streams

STARTED_AT = dt.datetime(2026, 11, 1)

SPECS = load_streams()


def test_without_a_warehouse_every_stream_is_there_as_declared():
    rows = catalogue(SPECS)

    assert [row.stream for row in rows] == list(SPECS)
    contact = next(row for row in rows if row.stream == "crm_contact")
    assert contact.source == "crm Contact"
    assert contact.order == "SystemModstamp"
    assert "Email" in contact.pii_fields
    assert contact.authoritative_for
    assert contact.known_issues
    assert contact.seen is None


def test_a_stream_ordered_by_arrival_is_labelled_so(thing):
    (row,) = catalogue({"thing": thing(modified_at=None)})

    assert row.order == "arrival"


def test_what_was_seen_is_counted(loading, thing):
    rows = [
        {"id": "1", "at": "2026-10-31", "name": "a"},
        {"id": "2", "at": "2026-10-30", "name": " ", "count": 1},
        {"id": "3", "at": "2026-10-29", "gone": True},
        {"id": "4", "at": "2026-10-29", "count": "x"},
        {"at": "2026-10-29"},
    ]
    content = b"\n".join(json.dumps(row).encode() for row in rows) + b"\n{"
    loading.load(thing(), content, b"\xff")

    (row,) = catalogue({"thing": thing()}, loading.connection)

    seen = row.seen
    assert (seen.records, seen.deleted) == (2, 1)
    assert (seen.files, seen.unreadable_files) == (1, 1)
    assert seen.quarantined == {"count": 1, "id": 1, "": 1}
    assert seen.newest_at == dt.datetime(2026, 10, 31)
    assert seen.records_per_day == 3 / 30
    assert seen.null_shares["name"] == 0.5
    assert seen.null_shares["born"] == 1.0
    assert "id" not in seen.null_shares


def test_a_stream_is_stale_when_its_newest_record_is_older_than_declared(
    loading, thing
):
    loading.load(thing(), json.dumps({"id": "1", "at": "2026-10-31"}).encode())

    def is_stale(as_of):
        (row,) = catalogue({"thing": thing()}, loading.connection, as_of=as_of)
        return row.seen.is_stale

    assert not is_stale(dt.datetime(2026, 11, 1))
    assert is_stale(dt.datetime(2026, 11, 1, 1))


def test_what_we_land_ourselves_bears_the_time_of_day_and_is_never_stale(
    loading, thing
):
    """Under the samples' clock 409 receipts looked like none, and late."""
    receipts = thing(
        source_system="system", category="engagement", event_time="at", modified_at=None
    )
    loading.load(receipts, json.dumps({"id": "1", "at": "2026-10-31T12:00"}).encode())

    (row,) = catalogue(
        {"thing": receipts}, loading.connection, as_of=dt.datetime(2024, 1, 1)
    )

    assert row.seen.newest_at == dt.datetime(2026, 10, 31, 12)
    assert row.seen.records_per_day == 1 / 30
    assert not row.seen.is_stale


@pytest.mark.slow
@pytest.mark.xdist_group("flow")
def test_no_shipped_stream_is_stale_on_fresh_samples(tmp_path, loading):
    """A newcomer's first catalogue must not be a list of alarms."""
    made = generate(tmp_path / "samples")
    for name, spec in SPECS.items():
        if not spec.is_system:
            for path in sorted((tmp_path / "samples" / name).iterdir()):
                land(loading.paths, name, path.name, path)
            ensure_table(loading.connection, spec)
            load_waiting(loading.connection, loading.paths, spec, started_at=STARTED_AT)
    as_of = dt.datetime.fromisoformat(made.as_of).replace(tzinfo=None)

    rows = catalogue(SPECS, loading.connection, as_of=as_of)

    seen = {row.stream: row for row in rows if row.seen}
    assert len(seen) == len(SPECS) - 1
    assert not [name for name, row in seen.items() if row.seen.is_stale]
    for row in seen.values():
        expected = row.expected_records_per_day
        assert expected / 3 < row.seen.records_per_day < expected * 3, row.stream
