"""Declarations: an error names the file, the field and what would be right."""

from pathlib import Path

import pytest

from cdp_assets.declarations import (
    DeclarationError,
    identifier,
    read_declaration,
    read_declarations,
)
from cdp_assets.streams.spec import StreamSpec, load_streams

GOOD = """
name: crm_thing
source_system: crm
source_object: Thing
description: Things.
connection: {kind: files, pattern: "*.csv", format: csv}
category: profile
primary_key: [Id]
modified_at: Changed
refresh_mode: upsert
schedule: "0 * * * *"
retention_days: 10
freshness_hours: 1
expected_records_per_day: 1
fields: {Id: string, Changed: timestamp}
"""


def read(folder: Path, text: str, name: str = "crm_thing") -> StreamSpec:
    (folder / f"{name}.yaml").write_text(text)
    return read_declarations(folder, StreamSpec)[name]


def test_a_stream_is_read_from_one_file(tmp_path: Path) -> None:
    spec = read(tmp_path, GOOD)
    assert spec.fields["Id"].type == "string"
    assert spec.order_field == "Changed"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("category: profile", "category: prophet"), "category"),
        (("description: Things.", "descriptoin: Things."), "descriptoin: unknown key"),
        (("primary_key: [Id]", "primary_key: [Key]"), "'Key' is not among the fields"),
        (("modified_at: Changed", "modified_at: Edited"), "'Edited' is not among"),
        (("Id: string", "Id: text"), "fields.Id.type"),
        (("category: profile", "category: engagement"), "event_time"),
        (("fields: {Id", "fields: {id: string, Id"), "differ only in case"),
        (("fields: {Id", 'fields: {"a b": string, Id'), "not an identifier"),
        (
            ("fields: {Id", "fields: {A: {type: string, sent_as: ID}, Id"),
            "differ only in case",
        ),
        (
            ("fields: {Id", "phones: [{number: Tel}]\nfields: {Id"),
            "'Tel' is not among the fields",
        ),
        (
            ("fields: {Id", "phones: [{number: Id.x, country: Land}]\nfields: {Id"),
            "'Land' is not among the fields",
        ),
        (("name: crm_thing", "name: other"), "must equal the file's name"),
        (("name: crm_thing", "name: [crm_thing"), "not readable as YAML"),
    ],
)
def test_a_faulty_declaration_names_file_and_field(
    tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    """Pydantic's own message names neither the file nor the remedy."""
    with pytest.raises(DeclarationError) as raised:
        read(tmp_path, GOOD.replace(*change, 1))
    assert "crm_thing.yaml" in str(raised.value)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("category: profile", "category: profil"),
            "line 7: category: 'profil' is none of profile, engagement or other; "
            "did you mean 'profile'?",
        ),
        (
            ("format: csv}", "format: csv, patern: x}"),
            "line 6: connection.patern: unknown key; did you mean 'pattern'?",
        ),
        (
            ("Id: string", "Id: {type: string, requird: true}"),
            "line 15: fields.Id.requird: unknown key; did you mean 'required'?",
        ),
        (("description: Things.", ""), "line 2: description: is missing"),
        (
            ("retention_days: 10", "retention_days: ten"),
            "line 12: retention_days: Input should be a valid integer, unable to parse "
            "string as an integer, not 'ten'",
        ),
    ],
)
def test_a_fault_is_told_with_its_line_and_what_was_meant(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(DeclarationError) as raised:
        read(tmp_path, GOOD.replace(*change, 1))
    assert f"crm_thing.yaml: {message}" in str(raised.value)


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """YAML takes the last one without a word."""
    path = tmp_path / "crm_thing.yaml"
    path.write_text("name: crm_thing\nfields:\n  a: {}\n  b: {}\n  a: {}\n")
    with pytest.raises(DeclarationError, match="line 5: 'a' stands in line 3 already"):
        read_declaration(path, StreamSpec)


def test_every_fault_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    """Mending one to learn of the next takes a load of the code location each."""
    text = GOOD.replace("refresh_mode: upsert", "refresh_mode: upset").replace(
        "freshness_hours: 1", "freshness_hours: 0"
    )
    with pytest.raises(DeclarationError) as raised:
        read(tmp_path, text)
    first, second = str(raised.value).splitlines()
    assert "did you mean 'upsert'?" in first
    assert "freshness_hours: Input should be greater than 0, not '0'" in second


@pytest.mark.parametrize("name", ['x"; drop table y', "1st", "", "a-b", "ä"])
def test_what_is_no_identifier_never_reaches_sql(name: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        identifier(name)


def test_every_shipped_stream_is_complete() -> None:
    streams = load_streams()
    assert len(streams) == 18
    for spec in streams.values():
        assert spec.description
        assert spec.is_system or spec.authoritative_for
