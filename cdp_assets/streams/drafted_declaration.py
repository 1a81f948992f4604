"""The declaration that a stream's first file suggests."""

import re
from collections.abc import Iterator

import yaml

from cdp_assets.declarations import identifier
from cdp_assets.errors import OperatorError
from cdp_assets.streams.guessing import Guess, Guessed
from cdp_assets.streams.spec import load_streams


class SkeletonError(OperatorError, ValueError):
    """A draft that cannot be written; the message says what would do."""


def declared(name: str, guessed: Guessed, category: str) -> Iterator[str]:
    """The declaration, line by line, with what to look at as comments."""
    order, event = guessed.modified_at, guessed.event_time
    if category == "engagement" and event is None:
        raise SkeletonError(
            "an engagement stream needs the time of the event, and no column of the "
            "file is a time in every row; use --category profile or other"
        )
    yield f"name: {name}"
    yield f"source_system: {source_system(name)}"
    yield f"source_object: {name.split('_', 1)[1]}"
    yield "description: One row per …  # say what a row is"
    yield "connection:"
    yield "  kind: files"
    yield f"  pattern: {quoted_text(guessed.pattern)}"
    yield f"  format: {guessed.format}"
    if guessed.encoding != "utf-8":
        yield f"  encoding: {guessed.encoding}"
    if guessed.record_path:
        yield f"  record_path: {guessed.record_path}"
    if guessed.delimiter != ",":
        yield f"  delimiter: {quoted_text(guessed.delimiter)}"
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


def source_system(name: str) -> str:
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


def plain_key(name: str) -> str:
    """A key as YAML reads it back: No, on and y are booleans there."""
    return name if yaml.safe_load(name) == name else quoted_text(name)


def quoted_text(text: str) -> str:
    return (
        '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t") + '"'
    )


def _phones(guessed: Guessed) -> Iterator[str]:
    phones = [each for each in guessed.fields if each.pii == "phone"]
    texts = [each for each in phones if each.type == "string"]
    country = next(
        (each.name for each in guessed.fields if "country" in each.name.lower()), None
    )
    if texts:
        yield "phones:  # become E.164; a national number needs a country"
    for each in texts:
        typed_in = f", country: {plain_key(country)}" if country else ""
        yield f"  - {{number: {plain_key(each.name)}{typed_in}}}"


def _field(field: Guess, is_needed: bool) -> str:
    parts = [f"type: {field.type}"]
    if field.sent_as != field.name:
        parts.append(f"sent_as: {quoted_text(field.sent_as)}")
    if is_needed and field.is_filled:
        parts.append("required: true")
    if field.pii:
        parts.append(f"pii: {field.pii}")
    name = plain_key(field.name)
    if len(parts) == 1:
        return f"  {name}: {field.type}"
    return f"  {name}: {{{', '.join(parts)}}}"
