"""What is compared of a file of which nothing is known but its map.

Chosen by what the file holds: a comparison whose attribute hardly any record has would
be trained on nothing. Levels are written as those of the shipped model: the first that
holds counts, and every condition is symmetric.
"""

from cdp_assets.identity.bench.texts import Levels, overlap
from cdp_assets.identity.comparisons import COMPARISONS
from cdp_assets.identity.vetoes import LATIN

_BIRTH_DATE: Levels = [
    ("missing", "birth_text_l is null or birth_text_r is null"),
    ("same", "birth_text_l = birth_text_r"),
    ("one digit", "damerau_levenshtein(birth_text_l, birth_text_r) = 1"),
    (
        "same year, no day",
        "year_of_birth_l = year_of_birth_r and (birth_is_rough_l or birth_is_rough_r)",
    ),
    (
        "day and month swapped",
        "year_of_birth_l = year_of_birth_r "
        "and day_of_birth_l[1:2] = day_of_birth_r[3:4] "
        "and day_of_birth_l[3:4] = day_of_birth_r[1:2]",
    ),
    (
        "one part differs",
        "(year_of_birth_l = year_of_birth_r and (month(birth_date_l) = "
        "month(birth_date_r) or day(birth_date_l) = day(birth_date_r))) "
        "or (day_of_birth_l = day_of_birth_r and not birth_is_rough_l)",
    ),
    ("two digits", "damerau_levenshtein(birth_text_l, birth_text_r) = 2"),
    ("different", "else"),
]

_PLACE: Levels = [
    (
        "missing",
        "(postal_code_l is null or postal_code_r is null) "
        "and (city_l is null or city_r is null)",
    ),
    ("same postal code", "postal_code_l = postal_code_r"),
    (
        "similar postal code",
        "damerau_levenshtein(postal_code_l, postal_code_r) = 1",
    ),
    ("same city", "city_l = city_r"),
    ("similar city", "jaro_winkler_similarity(city_l, city_r) >= 0.88"),
    ("same postal area", "postal_area_l = postal_area_r"),
    ("different", "else"),
]

# A whole address in one line holds every word of the street alone.
_SIMILAR_STREET = (
    "(jaro_winkler_similarity(street_l, street_r) >= 0.9 "
    f"or {overlap('street_words', 0.5)} "
    "or (least(len(street_words_l), len(street_words_r)) >= 3 "
    "and len(list_intersect(street_words_l, street_words_r)) "
    "= least(len(street_words_l), len(street_words_r))))"
)

# Who lives together shares street and place: one comparison, or it would count twice.
_SAME_PLACE = (
    "(postal_code_l = postal_code_r or city_l = city_r "
    "or postal_area_l = postal_area_r)"
)
_ADDRESS: Levels = [
    (
        "missing",
        f"(street_l is null or street_r is null) and ({_PLACE[0][1]})",
    ),
    ("same street and place", f"street_l = street_r and {_SAME_PLACE}"),
    ("similar street, same place", f"{_SIMILAR_STREET} and {_SAME_PLACE}"),
    ("same street", "street_l = street_r"),
    ("similar street", _SIMILAR_STREET),
    *_PLACE[1:],
]

# A family has one name, and often one phone: what two records have in common because
# they live together is weighed among those who do.
_TOGETHER = {
    "address": f"(street_l = street_r and {_SAME_PLACE})",
    "phone": "list_has_any(phones_l, phones_r)",
}
FOLLOWS = {"last_name": ("address", "phone"), "phone": ("address",)}
AT_HOME = ", at one home"

_EMAIL: Levels = [
    ("missing", "len(emails_l) = 0 or len(emails_r) = 0"),
    ("same", "email_l = email_r"),
    ("one in common", "list_has_any(emails_l, emails_r)"),
    ("same mailbox elsewhere", "list_has_any(local_parts_l, local_parts_r)"),
    (
        "one typo",
        "jaro_winkler_similarity(emails_l[1], emails_r[1]) >= 0.88 "
        "and damerau_levenshtein(emails_l[1], emails_r[1]) <= 2",
    ),
    ("different", "else"),
]

_PHONE: Levels = [
    ("missing", "len(phones_l) = 0 or len(phones_r) = 0"),
    ("same", "phone_l = phone_r"),
    ("one in common", "list_has_any(phones_l, phones_r)"),
    ("same but for the prefix", "list_has_any(phone_tails_l, phone_tails_r)"),
    ("one digit", "damerau_levenshtein(phones_l[1], phones_r[1]) <= 1"),
    ("different", "else"),
]

_IDENTIFIER: Levels = [
    ("missing", "not list_has_any(issuers_l, issuers_r)"),
    ("same", "list_has_any(identifiers_l, identifiers_r)"),
    ("one typo", "damerau_levenshtein(identifiers_l[1], identifiers_r[1]) <= 1"),
    ("different", "else"),
]

_MIDDLE_NAME: Levels = [
    ("missing", "middle_name_l is null or middle_name_r is null"),
    ("same", "middle_name_l = middle_name_r"),
    (
        "initial or similar",
        "(least(length(middle_name_l), length(middle_name_r)) = 1 "
        "and middle_name_l[1] = middle_name_r[1]) "
        "or jaro_winkler_similarity(middle_name_l, middle_name_r) >= 0.85",
    ),
    ("different", "else"),
]

_GENDER: Levels = COMPARISONS["gender"]


def _name(name: str) -> Levels:
    """A first or last name, also where it stands among the other words of the name."""
    value = f"{name}_l", f"{name}_r"
    similar = f"jaro_winkler_similarity({value[0]}, {value[1]})"
    first = name == "first_name"
    # Alexander is Aleksandr Pavlovich, of whom somebody wrote both names.
    begun = f"split_part({value[0]}, ' ', 1), split_part({value[1]}, ' ', 1)"
    begins = f" or jaro_winkler_similarity({begun}) >= 0.85" if first else ""
    elsewhere = (
        f"(list_contains(name_words_l, {value[1]}) "
        f"or list_contains(name_words_r, {value[0]}))"
    )
    if not first:
        # The one word that Henry Howard and Howard Hughes share counts as the first
        # name's. Whether the first names agree must not matter here: it has weighed.
        elsewhere = (
            f"(list_contains(name_words_l, {value[1]}) "
            f"and {value[1]} is distinct from first_name_l) "
            f"or (list_contains(name_words_r, {value[0]}) "
            f"and {value[0]} is distinct from first_name_r) "
            f"or ({value[0]} = first_name_r and {value[1]} = first_name_l)"
        )
    # What another script writes says nothing: 王杰 may be Wang Jie.
    levels = [
        (
            "missing",
            f"{value[0]} is null or {value[1]} is null or "
            f"(unicode({value[0]}) > {LATIN}) <> (unicode({value[1]}) > {LATIN})",
        ),
        ("same", f"{value[0]} = {value[1]}"),
    ]
    if first:
        levels += [
            (
                "initial",
                f"least(length({value[0]}), length({value[1]})) = 1 "
                f"and {value[0]}[1] = {value[1]}[1]",
            ),
            (
                "nickname or one of several",
                "list_has_any(first_name_forms_l, first_name_forms_r)",
            ),
        ]
    levels += [
        ("one typo", f"damerau_levenshtein({value[0]}, {value[1]}) = 1 "
         f"and least(length({value[0]}), length({value[1]})) > 3"),
        ("among the words", elsewhere),
        ("another spelling", f"{name}_sound_l = {name}_sound_r or {similar} >= 0.92"),
        ("similar", f"{similar} >= 0.82{begins}"),
        ("different", "else"),
    ]  # fmt: skip
    return levels


def at_home(levels: Levels, known: list[str]) -> Levels:
    """The levels with two more for those who live together.

    Args:
        levels: Of the comparison, from the missing value to the last resort.
        known: The comparisons that tell who lives together, of ``FOLLOWS``.
    """
    home = f"({' or '.join(_TOGETHER[name] for name in known)})"
    alike = " or ".join(f"({condition})" for _, condition in levels[1:-1])
    return [
        levels[0],
        (f"alike{AT_HOME}", f"{home} and ({alike})"),
        (f"different{AT_HOME}", home),
        *levels[1:],
    ]


PEOPLE: dict[str, Levels] = {
    "first_name": _name("first_name"),
    "last_name": _name("last_name"),
    "middle_name": _MIDDLE_NAME,
    "birth_date": _BIRTH_DATE,
    "identifier": _IDENTIFIER,
    "email": _EMAIL,
    "phone": _PHONE,
    "address": _ADDRESS,
    "place": _PLACE,
    "gender": _GENDER,
}

_WEBSITE: Levels = [
    ("missing", "website_domain_l is null or website_domain_r is null"),
    ("same", "website_domain_l = website_domain_r"),
    ("similar", "jaro_winkler_similarity(website_domain_l, website_domain_r) >= 0.9"),
    ("different", "else"),
]

COMPANIES: dict[str, Levels] = {
    "name": [
        ("missing", "full_name_l is null or full_name_r is null"),
        ("same", "full_name_l = full_name_r"),
        (
            "nearly all words",
            f"{overlap('full_name_words', 0.75)} "
            "or jaro_winkler_similarity(full_name_l, full_name_r) >= 0.96",
        ),
        (
            "most words",
            f"{overlap('full_name_words', 0.5)} "
            "or jaro_winkler_similarity(full_name_l, full_name_r) >= 0.92",
        ),
        ("some words", f"{overlap('full_name_words', 0.3)}"),
        ("similar", "jaro_winkler_similarity(full_name_l, full_name_r) >= 0.8"),
        ("few words", f"{overlap('full_name_words', 0.15)}"),
        ("different", "else"),
    ],
    "website": _WEBSITE,
    "identifier": _IDENTIFIER,
    "phone": _PHONE,
    "address": _ADDRESS,
    "place": _PLACE,
}
