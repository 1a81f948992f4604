"""The first draft of a stream: its declaration, its dbt source, a map model.

``cdp stream new`` writes them from one file of the source. The declaration loads that
very file; what was guessed says so, and is for its author to confirm.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from cdp_assets.declarations import identifier, read_declaration
from cdp_assets.errors import OperatorError
from cdp_assets.paths import DBT_PROJECT, PACKAGE
from cdp_assets.streams.declared import BOOKKEEPING, SQL_TYPES
from cdp_assets.streams.guessing import Guess, Guessed
from cdp_assets.streams.spec import StreamSpec, load_streams

MODELS = DBT_PROJECT / "models"


class SkeletonError(OperatorError, ValueError):
    """A draft that cannot be written; the message says what would do."""


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
        system = _system(name)
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


def declared(name: str, guessed: Guessed, category: str) -> Iterator[str]:
    """The declaration, line by line, with what to look at as comments."""
    order, event = guessed.modified_at, guessed.event_time
    if category == "engagement" and event is None:
        raise SkeletonError(
            "an engagement stream needs the time of the event, and no column of the "
            "file is a time in every row; use --category profile or other"
        )
    yield f"name: {name}"
    yield f"source_system: {_system(name)}"
    yield f"source_object: {name.split('_', 1)[1]}"
    yield "description: One row per …  # say what a row is"
    yield "connection:"
    yield "  kind: files"
    yield f"  pattern: {_quoted(guessed.pattern)}"
    yield f"  format: {guessed.format}"
    if guessed.encoding != "utf-8":
        yield f"  encoding: {guessed.encoding}"
    if guessed.record_path:
        yield f"  record_path: {guessed.record_path}"
    if guessed.delimiter != ",":
        yield f"  delimiter: {_quoted(guessed.delimiter)}"
    yield f"category: {category}"
    key = guessed.key or guessed.fields[0]
    doubt = (
        "a guess" if guessed.key else "NOT unique in the file: name what is, together"
    )
    yield f"primary_key: [{key.name}]  # {doubt}"
    if category == "engagement" and event:
        yield f"event_time: {event.name}"
    elif order:
        yield f"modified_at: {order.name}  # a guess"
    else:
        yield "# modified_at: …  # without one, what arrives later counts as newer"
    if guessed.deleted_flag and category != "engagement":
        yield f"deleted_flag: {guessed.deleted_flag.name}  # a guess"
    mode = "incremental" if category == "engagement" else "upsert"
    yield f"refresh_mode: {mode}  # full_refresh if each file holds all there is"
    yield 'schedule: "0 * * * *"'
    yield "retention_days: 3650"
    yield "freshness_hours: 26"
    yield f"expected_records_per_day: {guessed.rows}  # the file's rows"
    yield "authoritative_for: []"
    yield "known_issues: []"
    yield from _phones(guessed)
    yield "fields:"
    needed = {key.name, (event if category == "engagement" else order or key).name}  # type: ignore[union-attr]
    yield from (_field(each, each.name in needed) for each in guessed.fields)


def source_block(spec: StreamSpec) -> str:
    """The stream's table as ``_dlo.yml`` lists it, the loader's columns included."""
    description = _quoted(spec.description)
    lines = [f"      - name: {spec.name}", f"        description: {description}"]
    lines.append("        columns:")
    types = {name: SQL_TYPES[field.type] for name, field in spec.fields.items()}
    for name, type_ in (types | BOOKKEEPING).items():
        shown = _quoted(type_) if "(" in type_ else type_
        lines.append(f"          - {{name: {_plain(name)}, data_type: {shown}}}")
    return "\n".join(lines) + "\n"


def mapping(name: str, columns: dict[str, str]) -> str:
    """A map model that builds: every column null until its author names its source."""
    tail = set(_TAIL)
    mapped = "\n".join(
        f"        _record_id as {column},"
        if column in ("id", "party_id")
        else f"        cast(null as {type_}) as {column},"
        for column, type_ in columns.items()
        if column not in tail
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

select * from renamed
"""


def mapping_yml(name: str, dmo: str, columns: dict[str, str]) -> str:
    """The model's yml: what each column comes from."""
    known = {
        "id": "The record.",
        "party_id": "The record.",
        "data_source_id": f"{_system(name)}.",
        "data_source_object_id": f"{name}.",
        "source_record_id": "The record.",
        "last_modified_date": "What the stream declares as the time of change.",
        "_load_seq": "The load that brought the record.",
    }
    lines = ["models:", f"  - name: {name}__{dmo}", "    description: >"]
    lines += ["      One row per record of the source.", "    columns:"]
    for column in columns:
        says = _quoted(known.get(column, "Not in this source: null."))
        lines.append(f"      - {{name: {column}, description: {says}}}")
    return "\n".join(lines) + "\n"


_TAIL = (
    "data_source_id",
    "data_source_object_id",
    "source_record_id",
    "created_date",
    "last_modified_date",
    "_load_seq",
)


def _system(name: str) -> str:
    """The system of a stream: what stands before the first underscore."""
    if name in load_streams():
        raise SkeletonError(f"{name}: is a stream already; choose another name")
    try:
        identifier(name)
    except ValueError as error:
        raise SkeletonError(str(error)) from None
    if not re.fullmatch(r"[a-z][a-z0-9]*_[a-z0-9_]+", name):
        raise SkeletonError(
            f"{name!r}: name a stream <system>_<object> in small letters, such as "
            "crm_contact; the system becomes data_source_id"
        )
    return name.split("_")[0]


def _columns(contract: Path, dmo: str) -> dict[str, str]:
    content = yaml.safe_load(contract.read_text(encoding="utf-8"))
    (model,) = (each for each in content["models"] if each["name"] == dmo)
    return {each["name"]: each["data_type"] for each in model["columns"]}


def _phones(guessed: Guessed) -> Iterator[str]:
    phones = [each for each in guessed.fields if each.pii == "phone"]
    texts = [each for each in phones if each.type == "string"]
    country = next(
        (each.name for each in guessed.fields if "country" in each.name.lower()), None
    )
    if texts:
        yield "phones:  # become E.164; a national number needs a country"
    for each in texts:
        typed_in = f", country: {_plain(country)}" if country else ""
        yield f"  - {{number: {_plain(each.name)}{typed_in}}}"


def _field(field: Guess, is_needed: bool) -> str:
    parts = [f"type: {field.type}"]
    if field.sent_as != field.name:
        parts.append(f"sent_as: {_quoted(field.sent_as)}")
    if is_needed and field.is_filled:
        parts.append("required: true")
    if field.pii:
        parts.append(f"pii: {field.pii}")
    name = _plain(field.name)
    if len(parts) == 1:
        return f"  {name}: {field.type}"
    return f"  {name}: {{{', '.join(parts)}}}"


def _plain(name: str) -> str:
    """A key as YAML reads it back: No, on and y are booleans there."""
    return name if yaml.safe_load(name) == name else _quoted(name)


def _quoted(text: str) -> str:
    return (
        '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t") + '"'
    )
