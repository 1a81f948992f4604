"""From the text a source sent to the declared types, and the words for what fails.

Everything here is an SQL expression over whole columns. A value that does not fit makes
its row go to quarantine, so each type says both what it takes and what would be right.

No expression here may hold an IN list of more than five: DuckDB makes a join of it, and
rows that went through a join are staged in any order, which puts them on wrong lines.
"""

from cdp_assets.streams.declared import FieldType
from cdp_assets.streams.spec import StreamSpec

# SAP and MySQL write these for "no date".
_NO_DATE = "0{8}|0{14}|0000-00-00( 00:00:00)?"
_DATE = r"\d{4}-\d{2}-\d{2}"
# Zones reach from -12:00 to +14:00; DuckDB takes any two digits.
_OFFSET = r"(?:\+(?:0\d|1[0-4])|-(?:0\d|1[0-2]))(?::?[0-5]\d)?"
_DAY = rf"{_DATE}|\d{{8}}"
_TIME = r"[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?"
_MIDNIGHT = r"[T ]00:00(:00(\.0+)?)?( ?(Z|UTC|[+-]00(:?00)?))?"
_TRUE = "(?i)true|t|1|yes|y|x"


def cleaned(type_: FieldType, text: str) -> str:
    """The text a value is read from; what stands for "nothing" becomes null."""
    if type_ in ("string", "json"):
        return text
    trimmed = f"nullif(trim({text}), '')"
    if type_ in ("date", "timestamp"):
        return (
            f"case when not regexp_full_match({trimmed}, '{_NO_DATE}') "
            f"then {trimmed} end"
        )
    return trimmed


def value(type_: FieldType, text: str) -> str:
    """The typed value of cleaned text, null where it does not fit."""
    match type_:
        case "string":
            return text
        case "integer":
            # A cast alone would round 12.5 to 13 and take 1e3, 0x1F and 1_000.
            return (
                rf"case when regexp_full_match({text}, '[+-]?\d+(\.0*)?') "
                f"then try_cast({text} as bigint) end"
            )
        case "number":
            return _decimal(text, "decimal(18,4)")
        case "decimal8":
            return _decimal(text, "decimal(18,8)")
        case "boolean":
            return (
                f"case when upper({text}) = 'X' then true "
                f"else try_cast({text} as boolean) end"
            )
        case "date":
            return (
                # DuckDB reads year 0000 as 1 BC.
                f"case when starts_with({text}, '0000') then null "
                f"when regexp_full_match({text}, '{_DATE}({_MIDNIGHT})?') "
                f"then try_cast(left({text}, 10) as date) "
                rf"when regexp_full_match({text}, '\d{{8}}') "
                f"then try_strptime({text}, '%Y%m%d')::date end"
            )
        case "timestamp":
            return _timestamp(text)
        case "json":
            return f"try_cast({text} as json)"


def reason(type_: FieldType, text: str, masked: str) -> str:
    """Why cleaned text does not fit, and what would; quotes what ``masked`` has."""
    shown = f"'''' || left({masked}, 40) || '''"
    match type_:
        case "integer":
            return (
                rf"{shown} ' || case when regexp_full_match({text}, '[+-]?\d+(\.0*)?') "
                "then 'is out of range; expected at most 9223372036854775807' "
                "else 'is not a whole number; expected one like 12' end"
            )
        case "number" | "decimal8":
            digits = 14 if type_ == "number" else 10
            return (
                f"{shown} ' || case when isfinite(try_cast({text} as double)) then "
                f"'is out of range; expected at most {digits} digits before the point' "
                "else 'is not a number; expected decimal like 12.50' end"
            )
        case "boolean":
            return f"{shown} is not a boolean; expected true or false'"
        case "date":
            return (
                f"{shown} ' || case when regexp_full_match({text}, '{_DAY}') "
                "then 'is no day of the calendar; expected one like 2026-02-28' "
                "else 'is not a date; expected yyyy-mm-dd or yyyymmdd' end"
            )
        case "timestamp":
            return (
                f"{shown} ' || case when regexp_matches({text}, '^{_DATE}') "
                "then 'is no instant of the calendar' else 'is not a timestamp' end "
                "|| '; expected one like 2026-02-28T13:45:00Z'"
            )
        case "json":
            return f"{shown} is not JSON; expected an object or a list'"
        case "string":
            return f"{shown} is not text'"


def row_hash(spec: StreamSpec, typed: dict[str, str], undeclared: str) -> str:
    """MD5 over what a row says, declared or not: values with names, in names' order.

    Nulls are left out, so a field that is added to the declaration changes no hash
    before it is sent; nor does one change when a text that was kept undeclared gets its
    declaration. The separator is a control character: a length before each value would
    be proof even against texts that hold one, but takes twice as long (2.9 s of
    processor for a million contacts).
    """
    texts = {
        spec.sent_as(name).lower(): _as_text(field.type, typed[name])
        for name, field in spec.fields.items()
    }
    names = sorted(texts)
    texts = {name: f"'{_escaped(name)}=' || {text}" for name, text in texts.items()}
    declared = f"concat_ws(chr(31), {', '.join(texts[name] for name in names)})"
    parts = ", ".join(
        f"{{'name': '{_escaped(name)}', 'says': {texts[name]}}}" for name in names
    )
    both = f"""list_concat([{parts}], list_transform(map_entries({undeclared}),
        lambda entry: {{
            'name': lower(trim(entry.key)),
            'says': lower(trim(entry.key)) || '=' || entry.value
        }}))"""
    said = f"list_sort(list_filter({both}, lambda part: part.says is not null))"
    return f"""md5(case when {undeclared} is null then {declared}
        else array_to_string(
            list_transform({said}, lambda part: part.says), chr(31)) end)"""


def record_id(spec: StreamSpec, typed: dict[str, str]) -> str:
    """``<stream>:<key>``, the parts of a composite key joined by ``|``."""
    parts = " || '|' || ".join(f"{typed[name]}::varchar" for name in spec.primary_key)
    return f"'{spec.name}:' || {parts}"


def deleted(spec: StreamSpec, typed: dict[str, str]) -> str:
    """Whether the source says that the record is gone."""
    if spec.deleted_flag is None:
        return "false"
    flag = typed[spec.deleted_flag]
    match spec.fields[spec.deleted_flag].type:
        case "boolean":
            truth = flag
        case "string":
            truth = f"regexp_full_match(trim({flag}), '{_TRUE}')"
        case "integer" | "number" | "decimal8":
            truth = f"{flag} <> 0"
        case _:
            # A deletion time: there is one or there is none.
            truth = f"{flag} is not null"
    return f"coalesce({truth}, false)"


def _escaped(name: str) -> str:
    return name.replace("'", "''")


def _decimal(text: str, sql_type: str) -> str:
    return (
        f"case when not contains({text}, '_') then try_cast({text} as {sql_type}) end"
    )


def _timestamp(text: str) -> str:
    # A cast to timestamp silently drops an offset, and the cast with zone is
    # slower: only what has another offset than zero takes it. Neither reads
    # a zone after minutes.
    with_seconds = (
        rf"regexp_replace({text}, '({_DATE}[T ]\d{{2}}:\d{{2}})( ?[ZU+-])', '\1:00\2')"
    )
    return (
        f"case when starts_with({text}, '0000') then null "
        f"when regexp_full_match({text}, "
        f"'{_DATE}({_TIME})?( ?(Z|UTC|[+-]00(:?00)?))?') "
        f"then coalesce(try_cast({text} as timestamp), "
        f"try_cast({with_seconds} as timestamp)) "
        f"when regexp_full_match({text}, '{_DATE}{_TIME} ?{_OFFSET}') "
        f"then coalesce({_in_utc(text)}, {_in_utc(with_seconds)}) "
        rf"when regexp_full_match({text}, '\d{{14}}') "
        f"then try_strptime({text}, '%Y%m%d%H%M%S') "
        rf"when regexp_full_match({text}, '\d{{8}}') "
        f"then try_strptime({text}, '%Y%m%d') end"
    )


def _in_utc(text: str) -> str:
    return f"(try_cast({text} as timestamptz) at time zone 'UTC')"


def _as_text(type_: FieldType, typed: str) -> str:
    """A typed value as the text that its row's hash is made of."""
    return f"{f'epoch_us({typed})' if type_ == 'timestamp' else typed}::varchar"
