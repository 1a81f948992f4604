"""Payment card numbers: found by network, length and check digit; masked, never stored.

A number counts when it has a network's prefix and length and passes the Luhn check, as
one run of digits or printed in groups. Of random 16-digit numbers 2 % do, so the key,
numbers and dates are not searched, and a field that may hold card numbers says so by
``pii: card_number``. What stands after ``+`` or ``00`` is a phone number.

Everything here is an SQL expression. The check digit is worked out for suspicious rows
only; a regular expression finds those, in 0.6 s of processor for a million contacts.
"""

# No look-around in RE2: a sign before the number is taken along and ruled out later,
# as decimals (52.4111111111111111) and phone numbers (+4915112345678) are none.
_WRITTEN = (
    r"[+.]?\b(?:\d{13,19}|\d{8}[ -]\d{8}|\d{4}[ -]\d{6}[ -]\d{4,5}"
    r"|\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{4}(?:[ -]?\d{1,3})?)\b"
)
_SUSPICIOUS = r"(?:^|[^+.\w])[2-6](?:[ -]?\d){12}"
_NETWORKS = "|".join(
    (
        r"4\d{12}(\d{3}){0,2}",  # Visa; 13 digits are old
        r"5[1-5]\d{14}|2(22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}",  # Mastercard
        r"3[47]\d{13}",  # American Express
        r"3(0[0-5]|095|[689]\d)\d{11,16}",  # Diners Club
        r"35(2[89]|[3-8]\d)\d{12,15}",  # JCB
        r"6(011|4[4-9]\d|5\d\d)\d{12,15}",  # Discover
        r"62\d{14,17}",  # UnionPay
        r"(5018|5020|5038|5893|6304|6759|676[1-3])\d{9,15}",  # Maestro
    )
)
_DOUBLED = "[0, 2, 4, 6, 8, 1, 3, 5, 7, 9]"
REASON = (
    "holds a payment card number, which is not stored; declare pii: card_number "
    "on a field that may hold them"
)


def is_suspicious(text: str) -> str:
    """Whether a text may hold a card number: cheap, and right when it says no."""
    # Most texts are shorter than a card number, which costs a tenth of a look at them.
    return f"""case when strlen({text}) >= 13
        then regexp_matches({text}, '{_SUSPICIOUS}') else false end"""


def found(text: str, spared: str = "''") -> str:
    """The card numbers in a text as they are written, except those in ``spared``."""
    return f"""list_filter(
        regexp_extract_all({text}, '{_WRITTEN}'),
        lambda number: {_is_card("number")} and not contains({spared}, number)
    )"""


def is_among(numbers: str, text: str, *, is_phone: bool = False) -> str:
    """Whether a text holds one of the numbers found.

    A phone number has at most 15 digits, so in a field of phones only more count.
    """
    longer = f" and length({_digits('number')}) > 15" if is_phone else ""
    return f"""coalesce(len(list_filter({numbers},
        lambda number: contains({text}, number){longer})) > 0, false)"""


def masked(text: str, spared: str = "''") -> str:
    """The text with all but the last four characters of card numbers starred out."""
    return f"""case when {is_suspicious(text)} then list_reduce(
        {found(text, spared)},
        lambda done, number: replace(
            done, number, repeat('*', length(number) - 4) || right(number, 4)),
        {text}
    ) else {text} end"""


def _digits(number: str) -> str:
    return rf"regexp_replace({number}, '\D', '', 'g')"


def _is_card(number: str) -> str:
    digits = _digits(number)
    # Of barcodes (EAN-13) that begin with 4, as German ones do, a tenth passes as Visa.
    return f"""(
        not starts_with({number}, '+') and not starts_with({number}, '.')
        and regexp_full_match({digits}, '{_NETWORKS}')
        and {_sum_of(digits, f"{_DOUBLED}[digit + 1]", "digit")} % 10 = 0
        and not (length({digits}) = 13
            and {_sum_of(digits, "digit * 3", "digit")} % 10 = 0)
    )"""


def _sum_of(digits: str, second: str, other: str) -> str:
    """The sum over digits, every second one from the right counted as ``second``."""
    return f"""list_sum(list_transform(
        string_split(reverse({digits}), ''),
        lambda text, place: list_transform([text::integer],
            lambda digit: case when place % 2 = 0 then {second} else {other} end)[1]
    ))"""
