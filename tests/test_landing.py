"""Landing and inbox: files appear whole, once, and none is lost."""

import datetime as dt
import os
import time

import pytest

from cdp_assets.streams import landing
from cdp_assets.streams.arrivals import original_name
from cdp_assets.streams.inbox import adopt
from cdp_assets.streams.landing import land, landed, waiting
from cdp_assets.streams.load import load


def drop(paths, name, content=b"x\n", *, stream="thing", age=60.0):
    path = paths.inbox / stream / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    written = time.time() - age
    os.utime(path, (written, written))
    return path


def names(files):
    return [original_name(path.name) for path in files]


def test_a_landed_file_holds_the_bytes_and_keeps_its_name(paths):
    path = land(paths, "thing", "a.csv", b"id\n1\n")

    assert path.read_bytes() == b"id\n1\n"
    assert original_name(path.name) == "a.csv"
    assert landed(paths, "thing") == [path]


def test_a_reused_name_with_new_bytes_is_a_new_file(paths):
    first = land(paths, "thing", "a.csv", b"1")
    second = land(paths, "thing", "a.csv", b"2")

    assert landed(paths, "thing") == [first, second]


def test_name_order_is_arrival_order(paths):
    """A stream without a modified time takes what arrives later for newer."""
    late = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    land(paths, "thing", "a.csv", b"1", landed_at=late)
    land(paths, "thing", "z.csv", b"2", landed_at=late - dt.timedelta(days=1))

    assert names(landed(paths, "thing")) == ["z.csv", "a.csv"]


def test_a_name_cannot_leave_the_folder_of_its_stream(paths):
    path = land(paths, "thing", "../../etc/pass wd*.csv", b"1")

    assert path.parent == paths.landing / "thing"
    assert original_name(path.name) == ".._.._etc_pass_wd_.csv"


def test_a_stream_name_that_is_a_path_is_refused(paths):
    with pytest.raises(ValueError, match="not an identifier"):
        land(paths, "../thing", "a.csv", b"1")


def test_a_copy_that_fails_leaves_nothing_behind(paths, tmp_path):
    """A reader that sees half a file loads half of it, and then knows its hash."""
    with pytest.raises(FileNotFoundError):
        land(paths, "thing", "a.csv", tmp_path / "missing.csv")

    assert list((paths.landing / "thing").iterdir()) == []


def test_an_unfinished_file_of_another_producer_is_not_seen(paths):
    land(paths, "thing", "a.csv", b"1")
    (paths.landing / "thing" / ".landing-abc").write_bytes(b"half")

    assert len(landed(paths, "thing")) == 1


def test_waiting_names_what_the_ledger_has_not(loading, thing):
    spec = thing("csv")
    first = land(loading.paths, "thing", "a.csv", b"id,at\n1,2026-01-01\n")
    load(loading.connection, spec, [first], started_at=dt.datetime(2026, 1, 2))
    second = land(loading.paths, "thing", "b.csv", b"id,at\n2,2026-01-01\n")

    assert waiting(loading.connection, loading.paths, spec) == [second]


@pytest.mark.parametrize("format_", ["csv", "ndjson", "parquet"])
def test_a_file_put_into_landing_by_hand_is_loaded_once(loading, thing, format_):
    """DuckDB takes "a [1].csv" for a pattern, which the other file's name matches."""
    folder = loading.paths.landing / "thing"
    folder.mkdir(parents=True)
    for key, name in {"1": "a [1]", "2": "a 1"}.items():
        loading.connection.execute(
            f"copy (select ? as id, '2026-01-01' as at) to '{folder}/x' "
            f"(format {format_.replace('nd', '')})",
            [key],
        )
        (folder / "x").rename(folder / f"{name}.{format_}")

    assert loading.load(thing(format_)).inserted == 2
    assert loading.rows("select id, _file from dlo.thing order by id") == [
        ("1", f"a [1].{format_}"),
        ("2", f"a 1.{format_}"),
    ]
    assert waiting(loading.connection, loading.paths, thing(format_)) == []


def test_a_file_left_alone_is_adopted(paths, thing):
    drop(paths, "a.ndjson", b"{}\n")

    look = adopt(paths, {"thing": thing()})

    assert names(look.adopted["thing"]) == ["a.ndjson"]
    assert look.adopted["thing"][0].read_bytes() == b"{}\n"
    assert not list((paths.inbox / "thing").iterdir())


def test_a_file_just_written_waits_for_the_next_look(paths, thing):
    """A file adopted while it is copied is loaded without its end."""
    path = drop(paths, "a.csv", age=0)

    look = adopt(paths, {"thing": thing()})

    assert look.adopted == {}
    assert list(look.unsettled) == ["thing/a.csv"]
    assert path.exists()


def test_a_file_that_two_looks_find_the_same_is_adopted(paths, thing):
    """A clock that runs ahead makes files of the future: they never grow old."""
    drop(paths, "a.csv", age=-3600)
    first = adopt(paths, {"thing": thing()})

    second = adopt(paths, {"thing": thing()}, earlier=first.unsettled)

    assert names(second.adopted["thing"]) == ["a.csv"]


def test_a_file_that_grew_between_two_looks_waits(paths, thing):
    drop(paths, "a.csv", b"1", age=0)
    first = adopt(paths, {"thing": thing()})
    drop(paths, "a.csv", b"12", age=0)

    second = adopt(paths, {"thing": thing()}, earlier=first.unsettled)

    assert second.adopted == {}


def test_a_done_marker_has_its_file_adopted_at_once(paths, thing):
    drop(paths, "a.csv", age=0)
    drop(paths, "a.csv.done", b"", age=0)

    look = adopt(paths, {"thing": thing()})

    assert names(look.adopted["thing"]) == ["a.csv"]
    assert look.refused == {}
    assert not list((paths.inbox / "thing").iterdir())


def test_a_file_in_the_folder_of_no_stream_is_reported_and_kept(paths, thing):
    path = drop(paths, "a.csv", stream="thong")

    look = adopt(paths, {"thing": thing()})

    assert "'thong' is not a declared stream" in look.refused["thong/a.csv"]
    assert path.exists()


def test_a_file_outside_of_any_folder_is_reported_and_kept(paths, thing):
    path = drop(paths, "a.csv", stream="")

    look = adopt(paths, {"thing": thing()})

    assert look.refused == {"a.csv": "put it into the folder of its stream"}
    assert path.exists()


def test_a_file_that_does_not_match_the_pattern_is_reported_and_kept(paths, thing):
    path = drop(paths, "a.xlsx")

    look = adopt(paths, {"thing": thing("csv", connection={"pattern": "*.csv"})})

    assert look.refused == {"thing/a.xlsx": "the stream takes files named like *.csv"}
    assert path.exists()


def test_a_name_in_capitals_matches_the_pattern(paths, thing):
    drop(paths, "A.CSV")

    look = adopt(paths, {"thing": thing("csv", connection={"pattern": "*.csv"})})

    assert names(look.adopted["thing"]) == ["A.CSV"]


def test_a_marker_without_its_file_and_a_folder_are_reported(paths, thing):
    drop(paths, "a.csv.done")
    (paths.inbox / "thing" / "more").mkdir()

    look = adopt(paths, {"thing": thing()})

    assert set(look.refused) == {"thing/a.csv.done", "thing/more"}


def test_a_hidden_file_is_left_to_its_writer(paths, thing):
    """rsync writes .a.csv.Xy12 and renames it when it is complete."""
    path = drop(paths, ".a.csv.Xy12")

    look = adopt(paths, {"thing": thing()})

    assert look.adopted == look.refused == {}
    assert path.exists()


def test_a_file_written_to_while_it_is_copied_stays_in_the_inbox(paths, thing):
    """The copy may have the old half of one version and the new half of the next."""
    path = drop(paths, "a.csv", b"1" * 100)
    chunks = landing._chunks(path)
    next(chunks)
    path.write_bytes(b"2" * 101)

    with pytest.raises(landing.ChangedError):
        list(chunks)


def test_files_are_adopted_in_name_order(paths, thing):
    for name in ("c.csv", "a.csv", "b.csv"):
        drop(paths, name, name.encode())

    adopt(paths, {"thing": thing()})

    assert names(landed(paths, "thing")) == ["a.csv", "b.csv", "c.csv"]
