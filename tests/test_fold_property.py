"""The fold, for any input: order, split, repetition, a late declaration change nothing.

Every example loads the same versions twice: at once, and arranged in some way. The
tables must be equal and the counts of every load must add up.
"""

import datetime as dt
import itertools
import json

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_assets.digests import ARRIVAL, digest
from cdp_assets.streams.dlo import ensure_table
from cdp_assets.streams.load import load
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.warehouse import migrate

STARTED_AT = dt.datetime(2026, 11, 1, 12)
FIELDS = {
    "id": "string",
    "at": "timestamp",
    "Name": "string",
    "gone": "boolean",
    "later": "string",
}
KINDS = {
    "profile": {"category": "profile", "modified_at": "at", "refresh_mode": "upsert"},
    "event": {
        "category": "engagement",
        "event_time": "at",
        "refresh_mode": "incremental",
    },
    "partial": {
        "category": "profile",
        "modified_at": "at",
        "refresh_mode": "upsert",
        "updates": "partial",
    },
}
# Few keys, instants and contents, so that ties and deletions of all kinds come up. A
# field may be left out, which only partial updates tell from null.
VERSION = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "a", "a", "b", None]),
        "at": st.sampled_from(["2026-01-01", "2026-01-02", "2026-01-03", "never"]),
    },
    optional={
        "Name": st.sampled_from(["x", "y", None]),
        "gone": st.sampled_from([False, False, True]),
        "later": st.sampled_from(["1", "2", "2", None]),
        "undeclared": st.sampled_from(["p", "q", None]),
    },
)


def declared(kind, *left_out):
    return StreamSpec.model_validate(
        {
            "name": "thing",
            "source_system": "test",
            "source_object": "Thing",
            "description": "Things.",
            "connection": {"format": "ndjson"},
            "primary_key": ["id"],
            "deleted_flag": "gone",
            "schedule": "0 * * * *",
            "retention_days": 1,
            "freshness_hours": 1,
            "expected_records_per_day": 1,
            "fields": {n: type_ for n, type_ in FIELDS.items() if n not in left_out},
        }
        | KINDS[kind]
    )


SPECS = {kind: (declared(kind, "later"), declared(kind)) for kind in KINDS}


@st.composite
def arrangements(draw, versions):
    """Batches of files: any order, any split, some files twice; when to declare."""
    order = draw(st.permutations(versions))
    cuts = sorted(draw(st.sets(st.integers(1, max(len(order) - 1, 1)), max_size=3)))
    parts = [order[a:b] for a, b in itertools.pairwise([0, *cuts, len(order)])]
    files = [part for part in parts if part]
    again = draw(st.lists(st.sampled_from(files), max_size=1)) if files else []
    arranged = draw(st.permutations(files + again))
    at = draw(st.integers(0, len(arranged)))
    batches = [arranged[:at], arranged[at:]]
    return [batch for batch in batches if batch], draw(st.integers(0, 2))


@pytest.fixture(scope="module")
def memory():
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'; set threads = 1")
        migrate(connection)
        yield connection


def fold_all(connection, kind, folder, batches, declared_at):
    """Load batches of files; ``declared_at`` batches in, the last field is declared."""
    for table in ("ops.load", "ops.landed_file", "ops.quarantine"):
        connection.execute(f"truncate {table}")
    connection.execute("drop table if exists dlo.thing")
    folder.mkdir()
    before, after = SPECS[kind]
    for number, batch in enumerate(batches):
        paths = []
        for place, part in enumerate(batch):
            # The same rows in another file are other bytes: a repetition, no twin.
            path = folder / f"{number}-{place}.ndjson"
            lines = (json.dumps(version) + "\n" for version in part)
            path.write_text("".join(lines) + " " * (10 * number + place))
            paths.append(path)
        spec = before if number < declared_at else after
        load(connection, spec, paths, started_at=STARTED_AT)
    ensure_table(connection, after)
    check_conservation(connection)
    return digest(connection, "dlo.thing", exclude=ARRIVAL)


def check_conservation(connection):
    loads, conserved, rows, quarantined, landed, refused = connection.execute(
        """
        select count(*),
            bool_and(rows_in = inserted + updated + deleted + unchanged + superseded
                + quarantined),
            sum(rows_in), sum(quarantined),
            (select sum(rows) from ops.landed_file),
            (select count(*) from ops.quarantine)
        from ops.load
        """
    ).fetchone()
    assert not loads or (conserved, rows, quarantined) == (True, landed, refused)


def check(memory, tmp_path_factory, kind, data, versions):
    folder = tmp_path_factory.mktemp("files")
    batches, declared_at = data.draw(arrangements(versions))

    arranged = fold_all(memory, kind, folder / "arranged", batches, declared_at)
    at_once = fold_all(memory, kind, folder / "at_once", [[versions]], 0)

    assert arranged == at_once


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(data=st.data(), versions=st.lists(VERSION, max_size=8))
def test_how_versions_arrive_decides_nothing(
    memory, tmp_path_factory, kind, data, versions
):
    """A partner's retries and a slow network decide the order; nobody else should."""
    check(memory, tmp_path_factory, kind, data, versions)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=170, deadline=None)
@given(data=st.data(), versions=st.lists(VERSION, max_size=8))
def test_nor_does_it_in_half_a_thousand_examples(
    memory, tmp_path_factory, kind, data, versions
):
    check(memory, tmp_path_factory, kind, data, versions)
