"""``cdp stream new``: what it drafts from a file loads that very file, and builds."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from dbt.cli.main import dbtRunner

from cdp_assets.declarations import read_declarations
from cdp_assets.paths import DBT_PROJECT
from cdp_assets.streams.dlo import ensure_table
from cdp_assets.streams.drafted_declaration import SkeletonError
from cdp_assets.streams.guessing import GuessError, guess
from cdp_assets.streams.skeleton import Draft
from cdp_assets.streams.spec import StreamSpec

CSV = (
    "Member No;First Name;E-Mail;Phone;Postcode;Points;Rate;Joined;Changed At;Deleted\n"
    "00017;Ada;ada@example.com;+44 20 7946 0018;01067;12;1.25;2026-01-02;"
    "2026-02-03 04:05:06;false\n"
    "00018;Zoë;zoe@example.com;+44 20 7946 0019;W1A;;0.00012;2026-01-03;"
    "2026-02-04 04:05:06;true\n"
)


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    """Folders like the project's, with its canonical contracts and its sources."""
    models = tmp_path / "models"
    shutil.copytree(DBT_PROJECT / "models" / "dmo", models / "dmo")
    (models / "map").mkdir()
    shutil.copy(DBT_PROJECT / "models" / "map" / "_dlo.yml", models / "map")
    (tmp_path / "streams").mkdir()
    return Draft(tmp_path / "streams", models)


def file_of(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def drafted(draft: Draft, file: Path, category: str = "profile") -> StreamSpec:
    draft.write("loyalty_member", guess(file), category, "individual")
    return read_declarations(draft.streams, StreamSpec)["loyalty_member"]


def test_a_csv_file_loads_by_what_was_drafted_from_it(
    draft: Draft, tmp_path: Path, loading: Any
) -> None:
    file = file_of(tmp_path, "members.csv", CSV.encode("windows-1252"))
    spec = drafted(draft, file)
    assert spec.connection.encoding == "windows-1252"
    assert spec.connection.delimiter == ";"
    assert spec.primary_key == ("Member_No",)
    assert spec.modified_at == "Changed_At"
    assert spec.deleted_flag == "Deleted"
    assert {name: field.type for name, field in spec.fields.items()} == {
        "Member_No": "string",
        "First_Name": "string",
        "E_Mail": "string",
        "Phone": "string",
        "Postcode": "string",
        "Points": "integer",
        "Rate": "decimal8",
        "Joined": "date",
        "Changed_At": "timestamp",
        "Deleted": "boolean",
    }
    assert spec.fields["E_Mail"].pii == "email"
    assert [place.number for place in spec.phones] == ["Phone"]
    ensure_table(loading.connection, spec)
    done = loading.load(spec, file.read_bytes(), name=file.name)
    assert (done.rows_in, done.inserted, done.deleted) == (2, 1, 1)
    assert loading.rows(
        'select "Member_No", "First_Name", "Rate"::varchar from dlo.loyalty_member '
        "order by 1"
    ) == [("00017", "Ada", "1.25000000"), ("00018", "Zoë", "0.00012000")]


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.ndjson", b'{"id": 1, "tags": ["x"]}\n{"id": 2, "tags": []}\n', 2),
        ("a.json", b'{"customers": [{"id": 1, "at": {"x": 1}}, {"id": 2}]}', 2),
        ("a.json", b'[{"id": "a", "on": true}]', 1),
        ("a.tsv", b"id\tday\n1\t31.12.2026\n2\t01.02.2026\n", 2),
        ("a.csv", b"a,b\n1,2\n1,3\n", 2),
        ("a.csv", "id,näme\n1,x\n".encode("utf-16"), 1),
    ],
)
def test_every_format_loads_by_what_was_drafted(
    draft: Draft, tmp_path: Path, loading: Any, name: str, content: bytes, rows: int
) -> None:
    spec = drafted(draft, file_of(tmp_path, name, content))
    ensure_table(loading.connection, spec)
    done = loading.load(spec, content, name=name)
    assert (done.rows_in, done.quarantined) == (rows, 0)


def test_a_key_that_repeats_is_said_to(draft: Draft, tmp_path: Path) -> None:
    drafted(draft, file_of(tmp_path, "a.csv", b"a,b\n1,2\n1,2\n"))
    text = (draft.streams / "loyalty_member.yaml").read_text()
    assert "primary_key: [a]  # NOT unique in the file" in text


def test_the_source_is_listed_with_the_columns_of_the_table(
    draft: Draft, tmp_path: Path, loading: Any
) -> None:
    """What tests/test_dbt.py asks of every stream."""
    spec = drafted(draft, file_of(tmp_path, "members.csv", CSV.encode()))
    content = yaml.safe_load((draft.models / "map" / "_dlo.yml").read_text())
    (source,) = content["sources"]
    listed = {
        column["name"]: column["data_type"]
        for table in source["tables"]
        if table["name"] == "loyalty_member"
        for column in table["columns"]
    }
    ensure_table(loading.connection, spec)
    assert listed == {
        name: kind.lower()
        for name, kind in loading.rows(
            "select column_name, data_type from duckdb_columns() "
            "where table_name = 'loyalty_member'"
        )
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("loyalty", "<system>_<object>"),
        ("crm_contact", "is a stream already"),
        ("Loyalty_Member", "small letters"),
        ("1_a", "not an identifier"),
    ],
)
def test_a_name_that_will_not_do_is_refused_and_nothing_written(
    draft: Draft, tmp_path: Path, name: str, words: str
) -> None:
    file = file_of(tmp_path, "a.csv", b"id\n1\n")
    with pytest.raises(SkeletonError, match=words):
        draft.write(name, guess(file), "profile", "individual")
    assert list(draft.streams.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.xlsx", b"", "cannot tell its format"),
        ("a.csv", b"id,name\n", "has no rows"),
        ("a.json", b"{", "a.json: "),
    ],
)
def test_a_file_that_tells_nothing_is_refused(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    with pytest.raises(GuessError, match=words):
        guess(file_of(tmp_path, name, content))


def test_events_need_a_time(draft: Draft, tmp_path: Path) -> None:
    file = file_of(tmp_path, "a.csv", b"id\n1\n")
    with pytest.raises(SkeletonError, match="needs the time of the event"):
        draft.write("web_click", guess(file), "engagement", "website_engagement")
    assert list(draft.streams.iterdir()) == []


@pytest.mark.slow
def test_the_drafted_mapping_builds_and_has_the_contracts_columns(
    tmp_path: Path, loading: Any
) -> None:
    project = tmp_path / "dbt_project"
    left_out = shutil.ignore_patterns("target", "logs")
    shutil.copytree(DBT_PROJECT, project, ignore=left_out)
    (tmp_path / "streams").mkdir()
    file = file_of(tmp_path, "members.csv", CSV.encode())
    spec = drafted(Draft(tmp_path / "streams", project / "models"), file)
    ensure_table(loading.connection, spec)
    loading.load(spec, file.read_bytes(), name=file.name)
    outcome = dbtRunner().invoke(
        [
            *("--quiet", "compile", "--select", "loyalty_member__individual"),
            *("--project-dir", str(project), "--profiles-dir", str(project)),
            *("--target", "lint", "--target-path", str(tmp_path / "target")),
            *("--log-level-file", "none"),
        ]
    )
    assert outcome.success, outcome.exception
    node = outcome.result.results[0].node
    # The compiled code names the lint target's own database.
    sql = node.compiled_code.replace('"memory".', "").replace('"lint".', "")
    found = loading.connection.execute(sql)
    assert {column[0] for column in found.description} == set(node.columns)
    (row,) = found.fetchall()
    said = dict(zip([column[0] for column in found.description], row, strict=True))
    assert said["id"] == "loyalty_member:00017"
    # The contract's tests fail a run over whom it does not say that they have a name.
    assert said["is_anonymous"] is False
    assert "person_name() }} as person_name\nfrom renamed" in (
        project / "models/map/loyalty/loyalty_member__individual.sql"
    ).read_text(encoding="utf-8")
