"""The canonical model keeps up: an increment leaves what building anew would leave."""

import re
import shutil
from pathlib import Path

import duckdb
import pytest

from cdp_assets.digests import digests
from cdp_assets.paths import DBT_PROJECT, Paths
from cdp_assets.samples.generate import generate
from cdp_assets.streams.landing import land
from cdp_assets.streams.reference import refresh_phones
from cdp_assets.warehouse import Warehouse
from tests.changes import load_everything, make_wave, sources
from tests.harmonising import Dbt

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("increments")]

WAVES = 4


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    return Dbt(tmp_path_factory.mktemp("dbt"))


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory, dbt: Dbt) -> Paths:
    """A small sample, loaded and harmonised."""
    paths = Paths(tmp_path_factory.mktemp("sampled"))
    generate(paths.samples, people=150, seed=5)
    for name in sources():
        for file in sorted((paths.samples / name).iterdir()):
            land(paths, name, file.name, file)
    load_everything(paths)
    harmonise(paths, dbt)
    return paths


def harmonise(paths: Paths, dbt: Dbt, *arguments: str) -> None:
    with Warehouse(paths).writing("a test") as connection:
        refresh_phones(connection)
    dbt.build(paths, *arguments)


def copy_of(paths: Paths, root: Path) -> Paths:
    root.mkdir()
    copied = Paths(root)
    shutil.copy(paths.warehouse, copied.warehouse)
    return copied


def tables(paths: Paths) -> dict[str, str]:
    with duckdb.connect(str(paths.warehouse), read_only=True) as connection:
        return digests(connection, ["dmo"])


def ask(paths: Paths, query: str) -> list[tuple[object, ...]]:
    with Warehouse(paths).reading() as connection:
        return connection.execute(query).fetchall()


def test_waves_of_changes_leave_what_a_full_refresh_leaves(
    sampled: Paths, dbt: Dbt, tmp_path: Path
) -> None:
    """Edits, new records, deletes, stale versions and erasures, in every stream."""
    paths = copy_of(sampled, tmp_path / "increments")
    before = tables(paths)
    for number in range(1, WAVES + 1):
        assert make_wave(paths, number, 12, seed=3).changed > 50
        harmonise(paths, dbt)
    after = tables(paths)
    assert {name for name in after if after[name] != before[name]} == set(after)
    built = "select distinct mark from ops.model_state"
    assert ask(paths, built) == ask(paths, "select max(load_seq) from ops.load")

    full = copy_of(paths, tmp_path / "full")
    harmonise(full, dbt, "--full-refresh")
    assert tables(full) == after


def test_a_run_without_news_rewrites_no_row(
    sampled: Paths, dbt: Dbt, tmp_path: Path
) -> None:
    """Proven by rows that a rewrite would repair."""
    paths = copy_of(sampled, tmp_path / "idle")
    marked = "update dmo.individual set title_name = 'kept'"
    with Warehouse(paths).writing("a test") as connection:
        connection.execute(marked)
    harmonise(paths, dbt)
    assert ask(paths, "select distinct title_name from dmo.individual") == [("kept",)]


@pytest.mark.parametrize(
    ("file", "old", "new", "column"),
    [
        (
            "models/map/crm/crm_contact__individual.sql",
            "{{ clean_label('Title') }}",
            "'changed'",
            "title_name",
        ),
        (
            "macros/names.sql",
            "else {{ name }}\n    end",
            "else 'changed'\n    end",
            "first_name",
        ),
    ],
    ids=["a mapping", "a macro"],
)
def test_a_model_whose_definition_changed_is_built_anew(
    sampled: Paths, tmp_path: Path, file: str, old: str, new: str, column: str
) -> None:
    """Otherwise only the rows that happen to change would follow the new rule."""
    paths = copy_of(sampled, tmp_path / "changed")
    project = tmp_path / "project"
    shutil.copytree(
        DBT_PROJECT, project, ignore=shutil.ignore_patterns("target", "logs")
    )
    text = (project / file).read_text(encoding="utf-8")
    assert old in text
    (project / file).write_text(text.replace(old, new), encoding="utf-8")
    with Warehouse(paths).writing("a test") as connection:
        connection.execute("update dmo.product set name = 'kept'")
    Dbt(tmp_path / "target", project=project).build(paths)
    old_rule = f"""
        select count(*) filter (where {column} <> 'changed'), count({column}) > 50
        from dmo.individual where data_source_object_id = 'crm_contact'
    """
    assert ask(paths, old_rule) == [(0, True)]
    # And only that model.
    assert ask(paths, "select distinct name from dmo.product") == [("kept",)]


def test_rows_that_take_several_records_are_declared_so(sampled: Paths) -> None:
    """An increment by record would miss the other records."""
    several = re.compile(r"\bover \(|\bgroup by\b|\bqualify\b|select distinct", re.I)
    undeclared = [
        name
        for name, sql in ask(
            sampled,
            "select view_name, sql from duckdb_views() where schema_name = 'map'",
        )
        if several.search(str(sql)) and "meta=" not in _source(str(name))
    ]
    assert undeclared == []


def _source(model: str) -> str:
    (file,) = (DBT_PROJECT / "models" / "map").glob(f"*/{model}.sql")
    return file.read_text(encoding="utf-8")
