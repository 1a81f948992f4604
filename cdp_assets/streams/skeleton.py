"""The first draft of a stream: its declaration, its dbt source, a map model.

``cdp stream new`` writes them from one file of the source. The declaration loads that
very file; what was guessed says so, and is for its author to confirm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

from cdp_assets.declarations import read_declaration
from cdp_assets.paths import DBT_PROJECT, PACKAGE
from cdp_assets.streams.declared import BOOKKEEPING, SQL_TYPES
from cdp_assets.streams.drafted_declaration import (
    SkeletonError,
    declared,
    plain_key,
    quoted_text,
    source_system,
)
from cdp_assets.streams.guessing import Guessed
from cdp_assets.streams.spec import StreamSpec

MODELS = DBT_PROJECT / "models"


# The column that a macro of this name makes of a person's first and last name.
NAME = "person_name"
# What dmo_tail gives.
_TAIL = {
    "data_source_id",
    "data_source_object_id",
    "source_record_id",
    "created_date",
    "last_modified_date",
    "_load_seq",
}


class Column(NamedTuple):
    """A column of a canonical object, and whether it may not be null."""

    name: str
    type: str
    required: bool


@dataclass(frozen=True)
class Draft:
    """Where the drafts go."""

    streams: Path = PACKAGE / "streams"
    models: Path = MODELS

    def write(self, name: str, guessed: Guessed, category: str, dmo: str) -> list[Path]:
        """Write all drafts of one stream, or none.

        Args:
            name: The stream, ``<system>_<object>``.
            guessed: What its file shows.
            category: profile, engagement or other.
            dmo: The canonical object to draft a mapping for.

        Returns:
            The files written, and the one that was added to, in the order in which
            their author reads them.

        Raises:
            SkeletonError: The name, or the object, will not do.
        """
        system = source_system(name)
        declaration = self.streams / f"{name}.yaml"
        contract = self.models / "dmo" / f"{dmo}.yml"
        model = self.models / "map" / system / f"{name}__{dmo}.sql"
        if not contract.exists():
            known = sorted(path.stem for path in contract.parent.glob("*.sql"))
            raise SkeletonError(f"no canonical object {dmo!r}; use {', '.join(known)}")
        for path in (declaration, model):
            if path.exists():
                raise SkeletonError(
                    f"{path.name} is there already; choose another name"
                )
        text = "\n".join(declared(name, guessed, category)) + "\n"
        declaration.write_text(text, encoding="utf-8")
        try:
            spec = read_declaration(declaration, StreamSpec)
        except BaseException:
            declaration.unlink()
            raise
        columns = _columns(contract, dmo)
        model.parent.mkdir(parents=True, exist_ok=True)
        model.write_text(mapping(name, columns), encoding="utf-8")
        described = model.with_suffix(".yml")
        described.write_text(mapping_yml(name, dmo, columns), encoding="utf-8")
        sources = self.models / "map" / "_dlo.yml"
        with sources.open("a", encoding="utf-8") as added:
            added.write(source_block(spec))
        return [declaration, sources, model, described]


def source_block(spec: StreamSpec) -> str:
    """The stream's table as ``_dlo.yml`` lists it, the loader's columns included."""
    description = quoted_text(spec.description)
    lines = [f"      - name: {spec.name}", f"        description: {description}"]
    lines.append("        columns:")
    types = {name: SQL_TYPES[field.type] for name, field in spec.fields.items()}
    for name, type_ in (types | BOOKKEEPING).items():
        shown = quoted_text(type_) if "(" in type_ else type_
        lines.append(f"          - {{name: {plain_key(name)}, data_type: {shown}}}")
    return "\n".join(lines) + "\n"


def mapping(name: str, columns: Sequence[Column]) -> str:
    """A map model that builds: every column null until its author names its source.

    What must not be null and is yes or no is no, and a person's name is made of its
    parts.
    """
    mapped = "\n".join(
        _drafted(column) for column in columns if column.name not in _TAIL | {NAME}
    )
    composed = (
        f"select\n    *,\n    {{{{ {NAME}() }}}} as {NAME}\nfrom renamed"
        if any(column.name == NAME for column in columns)
        else "select * from renamed"
    )
    return f"""with

source as (

    select * from {{{{ source('dlo', '{name}') }}}}
    where not _is_deleted

),

renamed as (

    select
        ---------- name the source's column where it has one
{mapped}

        ---------- provenance
        {{{{ dmo_tail('{name}') }}}}

    from source

)

{composed}
"""


def _drafted(column: Column) -> str:
    if column.name in ("id", "party_id"):
        return f"        _record_id as {column.name},"
    if column.required and column.type == "boolean":
        return f"        false as {column.name},"
    return f"        cast(null as {column.type}) as {column.name},"


def mapping_yml(name: str, dmo: str, columns: Sequence[Column]) -> str:
    """The model's yml: what each column comes from."""
    known = {
        "id": "The record.",
        "party_id": "The record.",
        "data_source_id": f"{source_system(name)}.",
        "data_source_object_id": f"{name}.",
        "source_record_id": "The record.",
        "last_modified_date": "What the stream declares as the time of change.",
        "_load_seq": "The load that brought the record.",
        NAME: "Made of its parts.",
    }
    lines = ["models:", f"  - name: {name}__{dmo}", "    description: >"]
    lines += ["      One row per record of the source.", "    columns:"]
    for column in columns:
        unsaid = "Not in this source: " + (
            "must be given." if column.required else "null."
        )
        says = quoted_text(known.get(column.name, unsaid))
        lines.append(f"      - {{name: {column.name}, description: {says}}}")
    return "\n".join(lines) + "\n"


def _columns(contract: Path, dmo: str) -> list[Column]:
    content = yaml.safe_load(contract.read_text(encoding="utf-8"))
    (model,) = (each for each in content["models"] if each["name"] == dmo)
    return [
        Column(
            each["name"],
            each["data_type"],
            any("not_null" in test for test in each.get("data_tests", ())),
        )
        for each in model["columns"]
    ]
