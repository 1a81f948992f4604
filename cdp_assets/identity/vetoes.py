"""Facts that no score may overrule: two records that cannot be one person.

A father and a son share name, address and often the inbox; only hard facts tell them
apart. Each fact is a condition on the two sides of a pair, true when they contradict.
"""

import re

import duckdb

from cdp_assets.identity.comparisons import FIRST_NAME_SIMILARITY
from cdp_assets.identity.model import same_first_name
from cdp_assets.identity.sections import CannotLink


def sided(condition: str) -> str:
    """A condition of the model (``name_l = name_r``) over two joined rows l and r."""
    return re.sub(r"\b(\w+)_([lr])\b", r"\2.\1", condition)


# A swapped day and month, one wrong component or a few days are a slip of the pen; more
# is another birthday.
_BIRTH_DATES = """
    abs(l.birth_date - r.birth_date) > 31
    and cast(year(l.birth_date) = year(r.birth_date) as integer)
        + cast(month(l.birth_date) = month(r.birth_date) as integer)
        + cast(day(l.birth_date) = day(r.birth_date) as integer) < 2
    and not (
        year(l.birth_date) = year(r.birth_date)
        and month(l.birth_date) = day(r.birth_date)
        and day(l.birth_date) = month(r.birth_date)
    )
"""

# The last letter of the Latin script, to which folding brings most others.
LATIN = 0x24F
# Of those it leaves, nothing can be told by the letters: Faisal may be فيصل. Whoever
# shares his home need not be; a birthday or a number has to say so.
_IN_TWO_SCRIPTS = f"""
    (unicode(l.first_name) > {LATIN}) <> (unicode(r.first_name) > {LATIN})
    and (coalesce(l.birth_date = r.birth_date, false)
        or list_has_any(l.identifiers, r.identifiers))
"""

# Anna and Peter are two people; so are Lena and Lea, names that many bear, however
# alike. Whatever the model takes for a form of the same name is no contradiction, nor
# is a middle name used as the first; below 0.75 two names share not even a typo.
_FIRST_NAMES = f"""
    not coalesce({_IN_TWO_SCRIPTS}, false)
    and not ({sided(" or ".join(f"({form})" for form in same_first_name()))})
    and (
        {sided(FIRST_NAME_SIMILARITY)} < 0.75
        or (l.first_name_known and r.first_name_known)
    )
    and not coalesce(list_contains(r.first_name_forms, l.middle_name), false)
    and not coalesce(list_contains(l.first_name_forms, r.middle_name), false)
    and not coalesce(l.first_name = r.last_name, false)
    and not coalesce(l.last_name = r.first_name, false)
"""

# Junior is the second of his name: jr and ii do not contradict each other.
_SUFFIXES = """
    l.name_suffix <> r.name_suffix
    and not (l.name_suffix in ('jr', 'ii') and r.name_suffix in ('jr', 'ii'))
"""

# A suffix says that the family has two of the name. Of a record without one, only what
# the two do not share can tell whose it is; a home they do.
_SUFFIX_ON_ONE_SIDE = """
    (l.name_suffix is null) <> (r.name_suffix is null)
    and not list_has_any(l.emails, r.emails)
    and not list_has_any(l.phones, r.phones)
    and not list_has_any(l.identifiers, r.identifiers)
    and not coalesce(l.birth_date = r.birth_date, false)
    and not coalesce(l.birth_year = r.birth_year, false)
"""

_ISSUERS = (
    "list_transform({0}.identifiers, "
    "lambda number: regexp_replace(number, '[|][^|]*$', ''))"
)

# Two numbers of one issuer, unless one is the other with up to two typos.
_IDENTIFIERS = f"""
    not list_has_any(l.identifiers, r.identifiers)
    and list_has_any({_ISSUERS.format("l")}, {_ISSUERS.format("r")})
    and (len(l.identifiers) + len(r.identifiers) > 2
        or damerau_levenshtein(l.identifiers[1], r.identifiers[1]) > 2)
"""

# What a name sounds like without its vowels: Keeley and Kaylee, Mohamed and Muhammed.
_CONSONANTS = "regexp_replace({0}.first_name_sound, '[aeiou]', '', 'g')"

# Who lives together shares last name, address and often the inbox. First names that
# have nothing in common are two people, unless birth date or a number say otherwise.
_NOTHING_PERSONAL = f"""
    not ({sided(" or ".join(f"({form})" for form in same_first_name()))})
    and {sided(FIRST_NAME_SIMILARITY)} < 0.75
    and not coalesce(length({_CONSONANTS.format("l")}) > 1
        and {_CONSONANTS.format("l")} = {_CONSONANTS.format("r")}, false)
    and not coalesce(list_contains(r.first_name_forms, l.middle_name), false)
    and not coalesce(list_contains(l.first_name_forms, r.middle_name), false)
    and not coalesce(list_contains(l.last_name_words, r.first_name), false)
    and not coalesce(list_contains(r.last_name_words, l.first_name), false)
    and not coalesce(damerau_levenshtein(
        strftime(l.birth_date, '%Y%m%d'), strftime(r.birth_date, '%Y%m%d')) <= 2, false)
    and not list_has_any(l.identifiers, r.identifiers)
"""

FACTS: dict[CannotLink, str] = {
    "birth_dates_conflict": _BIRTH_DATES,
    "first_names_conflict": _FIRST_NAMES,
    "suffixes_conflict": _SUFFIXES,
    "suffix_on_one_side": _SUFFIX_ON_ONE_SIDE,
    "identifiers_conflict": _IDENTIFIERS,
    "nothing_personal_agrees": _NOTHING_PERSONAL,
}


def stage_vetoes(
    connection: duckdb.DuckDBPyConnection,
    facts: list[CannotLink],
    pairs: str,
    into: str,
) -> None:
    """Write the contradicted pairs of ``pairs``, one row per pair and fact."""
    found = ", ".join(f"if({FACTS[fact]}, '{fact}', null)" for fact in facts)
    connection.execute(
        f"""
        create or replace temp table {into} as
        select node_l, node_r, unnest(facts) as fact
        from (
            select
                pair.node_l, pair.node_r,
                list_filter(
                    [{found}]::varchar[], lambda fact: fact is not null
                ) as facts
            from {pairs} as pair
            inner join staged_matchable as l on pair.node_l = l.node_id
            inner join staged_matchable as r on pair.node_r = r.node_id
        )
        where len(facts) > 0
        """
    )
