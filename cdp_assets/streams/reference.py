"""Reference data that a model cannot work out in SQL: phone numbers in E.164.

``reference.phone`` holds every (number as sent, country hint) that the streams have,
once: a number costs 15 µs, so only new pairs are worked out. Mapping models join it on
the same text and hint. The hint is the ISO code that the seed ``country`` has for what
was typed as country, or '' when it has none.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from cdp_assets.declarations import identifier, quoted
from cdp_assets.paths import DBT_PROJECT
from cdp_assets.streams.declared import PhonePlace
from cdp_assets.streams.spec import StreamSpec, load_streams
from cdp_assets.warehouse import transaction

if TYPE_CHECKING:
    import phonenumbers

# Raise it when the rules below change: every number is then worked out again.
_RULES = 2
_BATCH = 100_000
# Under which name ops.model_state keeps what was looked through.
_STATE = "reference.phone"
# Keyboards and forms yield these. Plans have numbers among them (01 23 45 67 89 is one
# of Paris), but who types one hides the own number, and it would join strangers.
_RUNS = ("0123456789", "1234567890", "9876543210")
# Up to this many digits a real number may have just two different ones: 444 1 444.
_SHORT = 7

# The folding of the dbt macros clean_text and fold; a test compares them.
_CLEANED = r"""trim(regexp_replace(nfc_normalize({typed}),
    '[\s\p{{Z}}\x{{200B}}\x{{FEFF}}]+', ' ', 'g'))"""
_FOLDED = """translate(
    replace(replace(replace(lower(strip_accents({text})), 'ß', 'ss'), 'æ', 'ae'),
        'œ', 'oe'),
    'øłđðıþ', 'olddit'
)"""


@dataclass(frozen=True)
class Phone:
    """What a number as sent is: a number, or why it is none."""

    e164: str | None
    country: str | None
    reason: str | None


@dataclass(frozen=True)
class PhoneRefresh:
    """What a refresh found."""

    new: int
    """Pairs that were worked out."""
    valid: int
    """How many of them are numbers."""


def refresh_phones(
    connection: duckdb.DuckDBPyConnection, specs: Iterable[StreamSpec] | None = None
) -> PhoneRefresh:
    """Work out the numbers that ``reference.phone`` has not, in one transaction.

    The streams say where they have them (``phones``); default: those of this package.
    Only what was loaded since the last refresh is looked through, unless the rules or
    the declarations have changed since.
    """
    version = normaliser_version()
    places = list(load_streams().values() if specs is None else specs)
    with transaction(connection):
        (outdated,) = connection.execute(
            "delete from reference.phone where normaliser_version <> ?", [version]
        ).fetchone() or (0,)
        mark = _advance_mark(connection, places)
        pairs = _new_pairs(connection, places, -1 if outdated else mark)
        valid = 0
        for begin in range(0, len(pairs), _BATCH):
            batch = pairs[begin : begin + _BATCH]
            phones = [normalise_phone(number, hint) for number, hint in batch]
            valid += sum(phone.e164 is not None for phone in phones)
            connection.execute(
                """
                insert into reference.phone
                select unnest($numbers), unnest($hints), unnest($e164s::varchar[]),
                    unnest($countries::varchar[]), unnest($reasons::varchar[]), $version
                """,
                {
                    "numbers": [number for number, _ in batch],
                    "hints": [hint for _, hint in batch],
                    "e164s": [phone.e164 for phone in phones],
                    "countries": [phone.country for phone in phones],
                    "reasons": [phone.reason for phone in phones],
                    "version": version,
                },
            )
    return PhoneRefresh(new=len(pairs), valid=valid)


def normaliser_version() -> str:
    """What numbers are worked out with: the library's metadata and our rules."""
    import phonenumbers

    return f"phonenumbers {phonenumbers.__version__}, rules {_RULES}"


def normalise_phone(number: str, hint: str) -> Phone:
    """Read one number as somebody in the country ``hint`` would have written it."""
    import phonenumbers

    digits = "".join(character for character in number if character.isdigit())
    if not digits:
        return Phone(None, None, "no digits")
    fewest = 2 if len(digits) <= _SHORT else 3
    if len(set(digits)) < fewest or any(digits in run for run in _RUNS):
        return Phone(None, None, "a placeholder")
    text = number.strip()
    if text.startswith("00"):
        # The way out of most countries; without a hint it is no way out of any.
        text = "+" + text[2:]
    try:
        parsed = phonenumbers.parse(text, hint or None)
    except phonenumbers.NumberParseException as error:
        kinds = phonenumbers.NumberParseException
        if error.error_type == kinds.INVALID_COUNTRY_CODE and not text.startswith("+"):
            return Phone(None, None, "no country code and no country known")
        return Phone(None, None, "not a phone number")
    return _judged(parsed)


def country_aliases() -> dict[str, str]:
    """The seed ``country``: folded spelling to ISO code."""
    with (DBT_PROJECT / "seeds" / "country.csv").open(encoding="utf-8") as seed:
        return {row["alias"]: row["iso2"] for row in csv.DictReader(seed)}


def _judged(parsed: "phonenumbers.PhoneNumber") -> Phone:
    import phonenumbers

    country = phonenumbers.region_code_for_number(parsed)
    if phonenumbers.is_valid_number(parsed):
        e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
        return Phone(e164, country, None)
    possible = phonenumbers.is_possible_number_with_reason(parsed)
    verdicts = phonenumbers.ValidationResult
    if possible in (verdicts.TOO_SHORT, verdicts.IS_POSSIBLE_LOCAL_ONLY):
        return Phone(None, None, "too short")
    if possible == verdicts.TOO_LONG:
        return Phone(None, None, "too long")
    return Phone(None, None, f"no number of +{parsed.country_code} begins like this")


def _advance_mark(
    connection: duckdb.DuckDBPyConnection, specs: Sequence[StreamSpec]
) -> int:
    """The last load that was looked through; from here on, all that there are now."""
    definition = f"{normaliser_version()}; " + "; ".join(
        f"{spec.name} {place.model_dump_json()}"
        for spec in sorted(specs, key=lambda spec: spec.name)
        for place in spec.phones
    )
    found = connection.execute(
        "select mark from ops.model_state where model = $model and definition = $now",
        {"model": _STATE, "now": definition},
    ).fetchone()
    connection.execute("delete from ops.model_state where model = ?", [_STATE])
    connection.execute(
        """
        insert into ops.model_state
        select ?, ?, coalesce(max(load_seq), -1) from ops.load
        """,
        [_STATE, definition],
    )
    return int(found[0]) if found else -1


def _new_pairs(
    connection: duckdb.DuckDBPyConnection, specs: Sequence[StreamSpec], mark: int
) -> list[tuple[str, str]]:
    there = {
        name
        for (name,) in connection.execute(
            """
            select table_name from duckdb_tables()
            where database_name = current_database() and schema_name = 'dlo'
            """
        ).fetchall()
    }
    places = [
        (spec, place) for spec in specs if spec.name in there for place in spec.phones
    ]
    if not places:
        return []
    only: dict[str, str] = {}
    typed = " union ".join(_typed(spec, place, only) for spec, place in places)
    aliases = country_aliases()
    found = connection.execute(
        f"""
        with country as (
            select unnest($aliases) as alias, unnest($codes) as iso2
        ),
        sent as (
            select distinct number, coalesce(iso2, '') as hint
            from ({typed}) left join country
                on alias = {_FOLDED.format(text=_CLEANED.format(typed="typed"))}
            where number is not null
        )
        from sent anti join reference.phone as known
            on known.raw = sent.number and known.country_hint = sent.hint
        order by all
        """,
        {
            "aliases": list(aliases),
            "codes": list(aliases.values()),
            "mark": mark,
            **only,
        },
    )
    return found.fetchall()


def _typed(spec: StreamSpec, place: PhonePlace, only: dict[str, str]) -> str:
    """One place's numbers and countries as SQL; parameters are added to ``only``."""
    conditions = ["not _is_deleted", "_load_seq > $mark"]
    for field, value in place.only.items():
        only[f"only_{len(only)}"] = value.lower()
        conditions.append(f"lower(trim({quoted(field)})) = $only_{len(only) - 1}")
    country = _cell(place.country) if place.country else "null"
    return (
        f"select {_cell(place.number)} as number, {country}::varchar as typed "
        f"from dlo.{quoted(spec.name)} where {' and '.join(conditions)}"
    )


def _cell(place: str) -> str:
    """The SQL of a field, or of a key inside a JSON one."""
    field, _, key = place.partition(".")
    return f"{quoted(field)} ->> '$.{identifier(key)}'" if key else quoted(field)
