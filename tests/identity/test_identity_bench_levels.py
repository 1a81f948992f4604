"""What two records of a labelled file say to one comparison, level by level."""

import duckdb
import pytest

from cdp_assets.identity.bench.levels import stage_levels
from cdp_assets.identity.bench.profile import Profile, levels_at_home

KNOWN = {"first_name": 1.0, "last_name": 1.0, "birth_date": 1.0}
PEOPLE = Profile(KNOWN, {"employer": (1, 2, False)}).comparisons("individual")
PEOPLE |= Profile({"phone": 1}, {}).comparisons("individual")
PEOPLE |= Profile({"address": 1}, {}).comparisons("individual")


def level(comparison: str, left: str, right: str) -> str:
    """The label of the level that two records, given as SQL structs, agree on."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            create temp table staged_matchable as
            select 1 as node_id, unnest({left}) union all select 2, unnest({right})
            """
        )
        stage_levels(
            connection,
            {comparison: PEOPLE[comparison]},
            "select 1 as node_l, 2 as node_r",
            "asked_level",
        )
        rank = connection.execute("select c0 from asked_level").fetchall()[0][0]
    # The first label is that of a missing value, the last one of rank 0.
    return PEOPLE[comparison][0 if rank < 0 else len(PEOPLE[comparison]) - 1 - rank][0]


def person(first: str, last: str) -> str:
    words = ", ".join(f"'{word}'" for word in f"{first} {last}".split())
    return (
        f"{{first_name: '{first}', last_name: '{last}', name_words: [{words}], "
        f"last_name_sound: '{last}', first_name_sound: '{first}', "
        f"first_name_forms: ['{first}']}}"
    )


@pytest.mark.parametrize(
    ("left", "right", "first", "last"),
    [
        (("henry", "howard"), ("howard", "hughes"), "among the words", "different"),
        (("jay", "jones"), ("jones", "jay"), "among the words", "among the words"),
        (("ann", "lee park"), ("ann", "park"), "same", "among the words"),
        # As likely by chance whether or not the first names agree, which weighs apart.
        (("ann", "lee park"), ("bob", "park"), "different", "among the words"),
        (("ann", "lee"), ("ann", "lee"), "same", "same"),
    ],
)
def test_a_word_in_common_counts_once(
    left: tuple[str, str], right: tuple[str, str], first: str, last: str
) -> None:
    for name, expected in (("first_name", first), ("last_name", last)):
        assert level(name, person(*left), person(*right)) == expected
        assert level(name, person(*right), person(*left)) == expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("王杰", "jie", "missing"),
        ("王杰", "王伟", "different"),
        ("aleksandr pavlovich", "alexander", "similar"),
        ("maria jose", "peter", "different"),
    ],
)
def test_a_first_name_in_another_script_or_with_more_behind_it(
    left: str, right: str, expected: str
) -> None:
    assert level("first_name", person(left, "a"), person(right, "b")) == expected
    assert level("first_name", person(right, "b"), person(left, "a")) == expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("4 hillview rise", "01 11 hillv2 4 hillview rise 667979", "similar street"),
        ("hillview rise", "01 11 hillv2 4 hillview rise 667979", "different"),
        ("4 hillview rise", "4 hillview rise", "same street"),
    ],
)
def test_a_street_is_found_in_a_whole_address_of_one_line(
    left: str, right: str, expected: str
) -> None:
    def record(street: str, place: str) -> str:
        words = ", ".join(f"'{word}'" for word in street.split())
        return (
            f"{{street: '{street}', street_words: [{words}], city: '{place}', "
            "postal_code: null::varchar, postal_area: null::varchar}"
        )

    assert level("address", record(left, "a"), record(right, "zzz")) == expected
    assert level("address", record(right, "zzz"), record(left, "a")) == expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("+914936202565", "+14936202565", "same but for the prefix"),
        ("+914936202565", "+914936202565", "same"),
        ("+914936202565", "+914936202566", "one digit"),
        ("+914936202565", "+14155550123", "different"),
    ],
)
def test_a_guessed_country_is_no_other_number(
    left: str, right: str, expected: str
) -> None:
    def record(number: str) -> str:
        return (
            f"{{phone: '{number}', phones: ['{number}'], "
            f"phone_tails: ['{number[-7:]}']}}"
        )

    assert level("phone", record(left), record(right)) == expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("1951-03-27", "1951-03-27", "same"),
        ("1951-03-27", "1951-03-21", "one digit"),
        ("1951-03-27", "1951-01-01", "same year, no day"),
        ("1951-03-09", "1951-09-03", "day and month swapped"),
        ("1951-03-09", "1951-03-27", "one part differs"),
        ("1951-03-27", "1984-03-27", "one part differs"),
        ("1951-03-27", "1951-11-27", "one part differs"),
        # The first of January is where a day is not known: two of them agree on less.
        ("1951-01-01", "1984-01-01", "two digits"),
        ("1951-03-27", "1960-08-14", "different"),
    ],
)
def test_a_date_with_one_part_wrong_is_no_other_date(
    left: str, right: str, expected: str
) -> None:
    def record(date: str) -> str:
        year, month, day = date.split("-")
        return (
            f"{{birth_date: date '{date}', birth_text: '{year}{month}{day}', "
            f"year_of_birth: {int(year)}, day_of_birth: '{month}{day}', "
            f"birth_is_rough: {month + day == '0101'}}}"
        )

    assert level("birth_date", record(left), record(right)) == expected
    assert level("birth_date", record(right), record(left)) == expected


def test_who_lives_together_is_compared_with_who_does() -> None:
    """A family has one name; among its members that says next to nothing."""
    levels = Profile({**KNOWN, "phone": 1, "address": 1}, {}).comparisons("individual")
    at_home = ["alike, at one home", "different, at one home"]
    assert [label for label, _ in levels["last_name"][1:3]] == at_home
    assert [label for label, _ in levels["phone"][1:3]] == at_home
    assert levels_at_home(levels["last_name"]) == 2
    assert levels_at_home(levels["first_name"]) == 0
    assert levels_at_home(PEOPLE["last_name"]) == 0, "nothing tells of homes there"
    shared = {"last_name": 1.0, "name": 1.0, "phone": 1.0, "address": 1.0}
    for who in ("individual", "account"):
        nobody = Profile(shared, {}).comparisons(who)
        assert not any(levels_at_home(levels) for levels in nobody.values())


def test_a_short_text_has_words_too() -> None:
    def record(text: str) -> str:
        words = ", ".join(f"'{word}'" for word in text.split())
        return f"{{attribute_employer: '{text}', attribute_employer_words: [{words}]}}"

    name = "attribute_employer"
    india = record("india exports"), record("universal exports india")
    assert level(name, *india) == "most words"
    assert level(name, record("acme"), record("globex")) == "different"
