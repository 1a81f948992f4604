"""Screening: which texts of a row are searched for card numbers, and which are spared.

Searched are texts and JSON that are no part of the key and not declared to hold card
numbers, and whatever is not declared at all. How a number is told stands in cards.py.
"""

from cdp_assets.streams import cards
from cdp_assets.streams.declared import CARD_NUMBER
from cdp_assets.streams.spec import StreamSpec

_UNDECLARED_TEXT = "array_to_string(map_values(undeclared), chr(10))"


def is_searched(spec: StreamSpec, name: str) -> bool:
    """Whether a field is searched for card numbers."""
    declared = spec.fields[name]
    return (
        declared.type in ("string", "json")
        and declared.pii != CARD_NUMBER
        and name not in spec.primary_key
    )


def cards_in(spec: StreamSpec, text: dict[str, str]) -> str:
    """The card numbers in what is searched of a row that is well otherwise."""
    texts = [
        f"{text[name]}::varchar" for name in spec.fields if is_searched(spec, name)
    ]
    texts.append(_UNDECLARED_TEXT)
    is_suspicious = " or ".join(cards.is_suspicious(text) for text in texts)
    return f"""case when misfit is null and ({is_suspicious})
        then {cards.found(f"concat_ws(chr(10), {', '.join(texts)})")} end"""


def spared(spec: StreamSpec, text: dict[str, str], typed: dict[str, str]) -> str:
    """What of a refused record is masked for no card number that it may look like.

    Keys, numbers, dates and phones: without them it could not be replayed.
    """
    texts = ["''"]
    for name, declared in spec.fields.items():
        if not is_searched(spec, name):
            texts.append(f"{typed[name]}::varchar")
        elif declared.pii == "phone":
            texts.append(f"case when length({text[name]}) <= 15 then {text[name]} end")
    return f"concat_ws(chr(10), {', '.join(texts)})"


def place_of_card(spec: StreamSpec, text: dict[str, str], undeclared: int) -> str:
    """The position of the field with a card number, ``undeclared``, or null."""
    tests = []
    for position, (name, declared) in enumerate(spec.fields.items()):
        if is_searched(spec, name):
            is_there = cards.is_among(
                "cards", f"{text[name]}::varchar", is_phone=declared.pii == "phone"
            )
            tests.append(f"when {is_there} then {position}")
    is_there = cards.is_among("cards", _UNDECLARED_TEXT)
    tests.append(f"when {is_there} then {undeclared}")
    return f"case when len(cards) > 0 then case {' '.join(tests)} end end"


def undeclared_with_card() -> str:
    """The name of the undeclared column that holds one of the numbers found."""
    is_there = cards.is_among("cards", "entry.value")
    return f"""list_filter(map_entries(undeclared), lambda entry: {is_there})[1].key"""
