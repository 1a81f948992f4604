"""What the match model compares, level by level: conditions over a pair of records."""

# Comparisons; of each the first level that holds counts. Every condition is symmetric,
# or the result would depend on which record is on the left. Edit distances cost five
# times a Jaro-Winkler, which therefore goes first and spares most of them.
_SWAPPED = "first_name_l = last_name_r and last_name_l = first_name_r"


# Two names that many people bear are two names, however alike: Lena and Lea, Peter and
# Petra. A typo makes a name that hardly anybody bears.
_BOTH_KNOWN = "(first_name_known_l and first_name_known_r)"


# Thmoas is like Thomas, and so are both of them like Tommy, who is Thomas in full.
FIRST_NAME_SIMILARITY = (
    "greatest(jaro_winkler_similarity(first_name_l, first_name_r), "
    "jaro_winkler_similarity(first_name_canonical_l, first_name_canonical_r))"
)


# Flo is Florian, Lisa Elisabeth; but one last letter more is Daniela, not Daniel.
_SHORT_FORM = (
    "least(length(first_name_l), length(first_name_r)) > 1 "
    "and (starts_with(first_name_sound_l, first_name_sound_r) "
    "or starts_with(first_name_sound_r, first_name_sound_l) "
    "or (least(length(first_name_l), length(first_name_r)) > 3 "
    "and (contains(first_name_l, first_name_r) "
    "or contains(first_name_r, first_name_l)))) "
    f"and not ({_BOTH_KNOWN} and abs(length(first_name_l) - length(first_name_r)) = 1)"
)


_SAME_PLACE = (
    "(list_has_any(postal_codes_l, postal_codes_r) or list_has_any(cities_l, cities_r))"
)


COMPARISONS: dict[str, list[tuple[str, str]]] = {
    "first_name": [
        ("missing", "first_name_l is null or first_name_r is null"),
        # Before "same", or two people of the same initial would bear the same name.
        (
            "initial",
            "least(length(first_name_l), length(first_name_r)) = 1 "
            "and (first_name_l[1] = first_name_r[1] "
            "or first_name_canonical_l[1] = first_name_canonical_r[1])",
        ),
        ("same", "first_name_l = first_name_r"),
        (
            "nickname or one of several",
            "list_has_any(first_name_forms_l, first_name_forms_r)",
        ),
        ("first and last swapped", _SWAPPED),
        ("another spelling", "first_name_sound_l = first_name_sound_r"),
        ("short form", _SHORT_FORM),
        ("one typo", f"{FIRST_NAME_SIMILARITY} >= 0.9 and not {_BOTH_KNOWN}"),
        ("similar", f"{FIRST_NAME_SIMILARITY} >= 0.8 and not {_BOTH_KNOWN}"),
        ("different", "else"),
    ],
    "last_name": [
        # Swapped names are counted once, by the comparison of first names.
        ("missing", f"last_name_l is null or last_name_r is null or ({_SWAPPED})"),
        ("same", "last_name_l = last_name_r"),
        ("one of several", "list_has_any(last_name_words_l, last_name_words_r)"),
        ("one typo", "jaro_winkler_similarity(last_name_l, last_name_r) >= 0.92"),
        ("similar", "jaro_winkler_similarity(last_name_l, last_name_r) >= 0.85"),
        ("different", "else"),
    ],
    # Many people put the year of their birth into their mailbox. It stands in for a
    # date that is missing, unless both years come from one and the same address.
    "birth_date": [
        (
            "missing",
            "(birth_date_l is null or birth_date_r is null) "
            "and (birth_year_l is null or birth_year_r is null "
            "or list_has_any(emails_l, emails_r))",
        ),
        ("same", "birth_date_l = birth_date_r"),
        (
            "day and month swapped",
            "year(birth_date_l) = year(birth_date_r) "
            "and month(birth_date_l) = day(birth_date_r) "
            "and day(birth_date_l) = month(birth_date_r)",
        ),
        (
            "a month apart, or two of day, month and year",
            "abs(birth_date_l - birth_date_r) <= 31 "
            "or cast(year(birth_date_l) = year(birth_date_r) as integer) "
            "+ cast(month(birth_date_l) = month(birth_date_r) as integer) "
            "+ cast(day(birth_date_l) = day(birth_date_r) as integer) = 2",
        ),
        (
            "different",
            "birth_date_l is not null and birth_date_r is not null",
        ),
        ("same year in mailbox", "birth_year_l = birth_year_r"),
        ("other year in mailbox", "else"),
    ],
    # Most mailboxes are made of the name, which is compared already: the same one at
    # another provider says something only where it holds a number of its own.
    "email": [
        ("missing", "len(emails_l) = 0 or len(emails_r) = 0"),
        ("same", "list_has_any(emails_l, emails_r)"),
        ("same mailbox elsewhere", "list_has_any(mailboxes_l, mailboxes_r)"),
        (
            "one typo",
            "jaro_winkler_similarity(emails_l[1], emails_r[1]) >= 0.92 "
            "and damerau_levenshtein(emails_l[1], emails_r[1]) = 1",
        ),
        ("different", "else"),
    ],
    "phone": [
        ("missing", "len(phones_l) = 0 or len(phones_r) = 0"),
        ("same", "list_has_any(phones_l, phones_r)"),
        (
            "one digit",
            "jaro_winkler_similarity(phones_l[1], phones_r[1]) >= 0.92 "
            "and damerau_levenshtein(phones_l[1], phones_r[1]) <= 1",
        ),
        ("different", "else"),
    ],
    "address": [
        (
            "missing",
            "(len(postal_codes_l) = 0 or len(postal_codes_r) = 0) "
            "and (len(cities_l) = 0 or len(cities_r) = 0)",
        ),
        (
            "same street and place",
            f"list_has_any(streets_l, streets_r) and {_SAME_PLACE}",
        ),
        (
            "similar street, same place",
            f"jaro_winkler_similarity(streets_l[1], streets_r[1]) >= 0.9 "
            f"and {_SAME_PLACE}",
        ),
        ("same postal code", "list_has_any(postal_codes_l, postal_codes_r)"),
        ("same city", "list_has_any(cities_l, cities_r)"),
        ("different", "else"),
    ],
    "gender": [
        ("missing", "gender_l is null or gender_r is null"),
        ("same", "gender_l = gender_r"),
        ("different", "else"),
    ],
}
