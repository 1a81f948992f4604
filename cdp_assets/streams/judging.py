"""What is wrong with a row, and the words for it, as SQL over a source's rows."""

from cdp_assets.streams import cards, casting, screening
from cdp_assets.streams.declared import Field
from cdp_assets.streams.sources import ABSENT, Column, Source
from cdp_assets.streams.spec import StreamSpec

# What is wrong with a row: a field's position, or one of these.
BROKEN, DRIFTED, CARD_UNDECLARED = -1, -2, -3


def judged(
    spec: StreamSpec, source: Source, text: dict[str, str], typed: dict[str, str]
) -> str:
    """The source's rows with their texts, typed values, and what is wrong first."""
    columns = {name: source.columns.get(name, ABSENT) for name in spec.fields}
    exact = {name for name, column in columns.items() if column.is_exact}
    texts = ", ".join(
        f"{_sent(columns[name], field)} as {text[name]}"
        for name, field in spec.fields.items()
    )
    values = ", ".join(
        f"{_value(columns[name], field, text[name])} as {typed[name]}"
        for name, field in spec.fields.items()
    )
    return f"""
        select *, {_first_misfit(spec, text, typed, exact)} as misfit from (
            select *, {values} from (
                select *, {source.fault} as fault, {source.undeclared} as undeclared,
                    {source.drifted} as drifted, {_said(spec, columns)} as said, {texts}
                from {source.sql}
            )
        )
    """


def _sent(column: Column, declared: Field) -> str:
    return column.sql if column.is_exact else casting.cleaned(declared.type, column.sql)


def _value(column: Column, declared: Field, text: str) -> str:
    return text if column.is_exact else casting.value(declared.type, text)


def _said(spec: StreamSpec, columns: dict[str, Column]) -> str:
    """Which fields the row says, by position; null where every row says them all."""
    if not spec.is_partial:
        return "null::boolean[]"
    said = (f"coalesce({columns[name].said}, false)" for name in spec.fields)
    return f"[{', '.join(said)}]"


def _first_misfit(
    spec: StreamSpec, text: dict[str, str], typed: dict[str, str], exact: set[str]
) -> str:
    """What is wrong with the row first, other than a card number; null if nothing."""
    tests = [
        f"when fault is not null then {BROKEN}",
        f"when drifted is not null then {DRIFTED}",
    ]
    for position, (name, declared) in enumerate(spec.fields.items()):
        failures = []
        if spec.must_be_sent(name):
            failures.append(_is_missing(declared, text[name]))
        elif declared.required:
            missing = _is_missing(declared, text[name])
            failures.append(f"(said[{position + 1}] and {missing})")
        if declared.type != "string" and name not in exact:
            failures.append(f"({text[name]} is not null and {typed[name]} is null)")
        if _is_part(spec, name):
            failures.append(f"contains({text[name]}, '|')")
        if name == spec.order_field:
            failures.append(_is_to_come(typed[name]))
        if failures:
            tests.append(f"when {' or '.join(failures)} then {position}")
    return f"case {' '.join(tests)} end"


def why_of(
    spec: StreamSpec, name: str, texts: dict[str, str], typed: dict[str, str]
) -> str:
    """Why a field does not fit, as SQL for the rows in which it is what is wrong."""
    declared, text = spec.fields[name], texts[name]
    cases = []
    if name in spec.primary_key:
        cases.append((_is_missing(declared, text), "'the key is missing'"))
    elif declared.required or spec.must_be_sent(name):
        cases.append((_is_missing(declared, text), "'a required field is empty'"))
    if screening.is_searched(spec, name):
        cases.append(("len(cards) > 0", f"'{cards.REASON}'"))
    if _is_part(spec, name):
        cases.append((f"contains({text}, '|')", "'holds |, which joins key parts'"))
    if name == spec.order_field:
        to_come = "is still to come; expected an instant at most a day after the load"
        shown = f"chr(39) || left({text}::varchar, 40) || chr(39) || ' {to_come}'"
        cases.append((_is_to_come(typed[name]), shown))
    whens = " ".join(f"when {test} then {then}" for test, then in cases)
    wrong = casting.reason(declared.type, f"{text}::varchar", "shown")
    return f"case {whens} else {wrong} end" if whens else wrong


def _is_missing(declared: Field, text: str) -> str:
    if declared.type == "string":
        return f"coalesce(trim({text}), '') = ''"
    return f"{text} is null"


def _is_to_come(typed: str) -> str:
    return f"coalesce({typed} > getvariable('latest_instant')::timestamp, false)"


def _is_part(spec: StreamSpec, name: str) -> bool:
    """Whether a text that holds the key's separator would make the key ambiguous.

    The last part may: what comes before it has ended by then.
    """
    return name in spec.primary_key[:-1] and spec.fields[name].type == "string"
