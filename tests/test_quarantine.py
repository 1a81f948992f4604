"""Quarantine: what cannot be kept is counted, shown, and comes back once it can."""

import datetime as dt
import json

import pytest

from cdp_assets.digests import ARRIVAL, digest
from cdp_assets.streams import quarantine
from cdp_assets.streams.landing import waiting

LATER = dt.datetime(2026, 11, 2)
AT = "2026-01-01T00:00:00Z"


def lines(*records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def mended(thing, format_="ndjson", **changes):
    """The declaration once somebody saw that amounts come with a currency."""
    fields = thing().model_dump()["fields"] | {"amount": "string"}
    return thing(format_, fields=fields, **changes)


def fresh_table(loading):
    loading.connection.execute("drop table dlo.thing")


def conserved(loading):
    return loading.rows(
        """
        select bool_and(rows_in = inserted + updated + deleted + unchanged + superseded
            + quarantined), sum(rows_in), sum(quarantined),
            (select count(*) from ops.quarantine where replayed_load_seq is null)
        from ops.load
        """
    )


def test_counts_name_stream_field_and_reason_but_no_value(loading, thing):
    """Counts go to logs and metadata, where a birth date has no business."""
    rows = [{"id": str(i), "at": AT, "born": f"{i}.1.1970"} for i in range(3)]
    loading.load(thing(), lines(*rows, {"at": AT}) + b"{\n[1]\n")

    assert quarantine.counts(loading.connection, "thing") == [
        quarantine.Count(
            "thing", "born", "is not a date; expected yyyy-mm-dd or yyyymmdd", 3
        ),
        quarantine.Count("thing", "id", "the key is missing", 1),
        quarantine.Count(
            "thing", None, "a JSON value but no object; expected an object", 1
        ),
        quarantine.Count(
            "thing",
            None,
            "not valid JSON; expected one object per line. Is the line cut off?",
            1,
        ),
    ]


def test_damages_on_different_lines_are_one_reason(loading, thing):
    loading.load(thing("csv"), b"id,at\n1\n2\n3,x,y\n")

    (count,) = quarantine.counts(loading.connection)

    assert (count.reason, count.records) == ("n fields; the header has n", 3)


def test_records_are_shown_as_they_came(loading, thing):
    loading.load(thing(), lines({"id": "1", "at": "never", "extra": [1]}))

    (found,) = quarantine.records(loading.connection, "thing")

    assert (found.line, found.field) == (1, "at")
    assert json.loads(found.record) == {"id": "1", "at": "never", "extra": [1]}


@pytest.mark.parametrize("format_", ["csv", "ndjson"])
def test_a_replay_gives_what_the_mended_declaration_would_have(loading, thing, format_):
    """Also in order: the replayed version of 1 is older than the one that is kept."""
    content = {
        "csv": b"id,at,amount,more\n"
        b'1,2026-01-01,1 EUR,"{""a"": [1]}"\n2,2026-01-01,2 EUR,\n3,2026-01-01,3,\n',
        "ndjson": lines(
            {"id": "1", "at": AT, "amount": "1 EUR", "more": {"a": [1]}},
            {"id": "2", "at": AT, "amount": "2 EUR", "more": "text"},
            {"id": "3", "at": AT, "amount": 3},
        ),
    }[format_]
    spec = mended(thing, format_)
    newer = {"csv": b"id,at,amount\n1,2026-01-05,5\n"}.get(
        format_, lines({"id": "1", "at": "2026-01-05", "amount": 5})
    )
    loading.load(thing(format_), content, newer)
    loading.connection.execute("alter table dlo.thing alter amount type varchar")

    result = quarantine.replay(loading.connection, spec, started_at=LATER)

    assert (result.rows_in, result.quarantined) == (0, -2)
    assert (result.inserted, result.superseded) == (1, 1)
    assert conserved(loading) == [(True, 4, 0, 0)]
    assert loading.rows("select id, amount, _load_seq from dlo.thing order by 1") == [
        ("1", "5.0000", 1),
        ("2", "2 EUR", 2),
        ("3", "3.0000", 1),
    ]


@pytest.mark.parametrize("format_", ["csv", "ndjson"])
def test_a_replayed_row_is_the_row_that_loading_would_have_made(
    loading, thing, format_
):
    content = {
        "csv": b'id,at,amount,more\n1,2026-01-01,1 EUR,"{""a"": [1]}"\n',
        "ndjson": lines(
            {"ID": "1", "at": AT, "amount": "1 EUR", "more": {"a": [1]}},
            {"id": "2", "At": AT, "amount": "2 EUR", "more": "text"},
        ),
    }[format_]
    spec = mended(thing, format_)
    loading.load(thing(format_), content)
    fresh_table(loading)
    quarantine.replay(loading.connection, spec, started_at=LATER)
    replayed = digest(loading.connection, "dlo.thing", exclude=("_load_seq",))

    fresh_table(loading)
    loading.connection.execute("truncate ops.landed_file")
    loading.load(spec)

    assert digest(loading.connection, "dlo.thing", exclude=("_load_seq",)) == replayed


def test_what_still_does_not_fit_stays(loading, thing):
    rows = [{"id": "1", "at": AT, "amount": "x"}, {"id": "2", "at": "x", "amount": "x"}]
    loading.load(thing(), lines(*rows) + b"{\n")
    fresh_table(loading)

    result = quarantine.replay(loading.connection, mended(thing), started_at=LATER)

    assert (result.inserted, result.quarantined) == (1, -1)
    assert result.notes == ("replay of 1 of 2 quarantined records",)
    assert conserved(loading) == [(True, 3, 2, 2)]


def test_a_second_replay_moves_nothing_and_writes_nothing(loading, thing):
    loading.load(thing(), lines({"id": "1", "at": AT, "amount": "x"}))
    fresh_table(loading)
    quarantine.replay(loading.connection, mended(thing), started_at=LATER)

    again = quarantine.replay(loading.connection, mended(thing), started_at=LATER)

    assert again.load_seq is None
    assert loading.rows("select count(*) from ops.load") == [(2,)]


def test_a_replayed_row_of_an_arrival_ordered_stream_does_not_undo_a_later_one(
    loading, thing
):
    """It arrived when it was quarantined, not when somebody mended the declaration."""
    loading.load(
        thing(modified_at=None),
        lines(
            {"id": "1", "at": AT, "amount": "x"}, {"id": "2", "at": AT, "amount": "x"}
        ),
    )
    loading.load(thing(modified_at=None), lines({"id": "1", "at": AT, "name": "new"}))
    loading.connection.execute("alter table dlo.thing alter amount type varchar")

    result = quarantine.replay(
        loading.connection, mended(thing, modified_at=None), started_at=LATER
    )

    assert (result.inserted, result.superseded) == (1, 1)
    assert loading.rows("select id, name from dlo.thing order by 1") == [
        ("1", "new"),
        ("2", None),
    ]


def test_dropped_records_are_gone_and_accounted_for(loading, thing):
    rows = [{"id": "1", "at": AT, "amount": "x"}, {"id": "2", "at": "x"}]
    loading.load(thing(), lines(*rows))

    result = quarantine.drop(
        loading.connection, thing(), started_at=LATER, field="amount"
    )

    assert (result.rows_in, result.superseded, result.quarantined) == (0, 1, -1)
    assert [row.field for row in quarantine.records(loading.connection, "thing")] == [
        "at"
    ]
    assert conserved(loading) == [(True, 2, 1, 1)]


def test_dropping_nothing_writes_nothing(loading, thing):
    result = quarantine.drop(loading.connection, thing(), started_at=LATER)

    assert result.load_seq is None
    assert loading.rows("select count(*) from ops.load") == [(0,)]


def test_an_unreadable_file_is_read_again_when_it_is_readmitted(loading, thing):
    content = "id,at,name\n1,2026-01-01,Zoë\n".encode("latin-1")
    spec = thing("csv", connection={"encoding": "latin-1"})
    loading.load(thing("csv"), content)
    assert waiting(loading.connection, loading.paths, spec) == []

    assert quarantine.readmit_files(loading.connection, spec) == 1

    assert loading.load(spec).inserted == 1
    assert digest(loading.connection, "dlo.thing", exclude=ARRIVAL)


def test_a_whole_export_comes_back_at_once(loading, thing):
    """DuckDB drops 122,880 staged rows that follow an insert of none."""
    many = 130_000
    loading.load(
        thing("csv"),
        b"id,at,amount\n"
        + b"".join(f"{number},{AT},1 EUR\n".encode() for number in range(many)),
    )
    fresh_table(loading)

    result = quarantine.replay(
        loading.connection, mended(thing, "csv"), started_at=LATER
    )

    assert (result.inserted, result.quarantined) == (many, -many)
    assert loading.rows("select count(*) from dlo.thing") == [(many,)]
