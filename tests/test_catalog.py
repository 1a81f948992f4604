"""The catalogue: what is declared stands beside what was really seen."""

import datetime as dt
import json

from cdp_assets.streams.catalog import catalogue
from cdp_assets.streams.spec import load_streams

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
