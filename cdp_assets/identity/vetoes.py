"""Facts that no score may overrule: two records that cannot be one person.

A father and a son share name, address and often the inbox; only hard facts tell them
apart. Each fact is a condition on the two sides of a pair, true when they contradict.
"""

import duckdb

from cdp_assets.identity.rules import CannotLink

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

# Below 0.75 two names share neither a typo nor a root: Anna and Hanna (0.93), Lisa and
# Elisa (0.93) may be one person, Anna and Peter (0.48) not. Nicknames, initials, middle
# names and swapped names are no contradiction.
_FIRST_NAMES = """
    jaro_winkler_similarity(l.first_name, r.first_name) < 0.75
    and least(length(l.first_name), length(r.first_name)) > 1
    and not list_has_any(l.first_name_forms, r.first_name_forms)
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

FACTS: dict[CannotLink, str] = {
    "birth_dates_conflict": _BIRTH_DATES,
    "first_names_conflict": _FIRST_NAMES,
    "suffixes_conflict": _SUFFIXES,
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
                list_filter([{found}]::varchar[], lambda fact: fact is not null) as facts
            from {pairs} as pair
            inner join staged_matchable as l on pair.node_l = l.node_id
            inner join staged_matchable as r on pair.node_r = r.node_id
        )
        where len(facts) > 0
        """
    )
