"""A record leads back to the file and line that it was landed in."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from cdp_assets.identity.lineage import Landed, landed
from cdp_assets.streams.compaction import compact
from cdp_assets.streams.spec import StreamSpec
from tests.conftest import Loading, thing_spec

FILE = b'id,at,name\n1,2026-01-01,"two\nlines"\n2,2026-01-02,Ada\n'


@pytest.fixture
def found(loading: Loading, thing: Callable[..., StreamSpec]) -> Callable[[], Any]:
    """Where the second record of a loaded file is said to be."""
    loading.load(thing(), FILE)

    def look() -> Landed | None:
        return landed(loading.connection, "thing:2")

    return look


@pytest.fixture
def thing() -> Callable[..., StreamSpec]:
    return lambda: thing_spec("csv")


def test_file_and_line_reopen_the_record(
    loading: Loading, found: Callable[[], Landed]
) -> None:
    where = found()
    assert where.line == 4
    path = loading.paths.landing / "thing" / where.file
    assert path.read_bytes().split(b"\n")[where.line - 1] == b"2,2026-01-02,Ada"
    assert str(where) == f"landing/thing/{where.file}:4"


def test_a_compacted_record_keeps_them_and_names_what_holds_it(
    loading: Loading, found: Callable[[], Landed], thing: Callable[..., StreamSpec]
) -> None:
    before = found()
    done = compact(
        loading.connection, loading.paths, thing(), grace=-dt.timedelta(days=400)
    )
    assert done.files == 1
    after = found()
    assert (after.file, after.line) == (before.file, before.line)
    kept = loading.paths.landing / "thing" / "compacted" / str(after.compacted_into)
    (record,) = loading.rows(
        f"select record from read_parquet('{kept}') where _line = 4"
    )[0]
    assert "Ada" in record
    assert str(after).endswith(f":4, now in compacted/{after.compacted_into}")
    loading.connection.execute("update ops.landed_file set expired_at = now()")
    assert str(found()).endswith("which retention has deleted")


def test_what_has_no_row_leads_nowhere(loading: Loading, found: Any) -> None:
    assert landed(loading.connection, "thing:9") is None
    assert landed(loading.connection, "nothing:1") is None
    assert landed(loading.connection, "shop") is None
