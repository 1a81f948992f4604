"""Forms of what a node holds that only some rulesets and models ask for.

A ruleset that blocks by the sound of last names, or a model that compares a text
attribute, names a column here; ``staged_matchable`` gets the columns asked for and no
other, because each costs a pass over every record.
"""

import re
from collections.abc import Iterable

import duckdb

# Of one row of staged_matchable.
_COLUMNS = {
    "last_name_sound": "name_sound(last_name)",
    "first_initial": "first_name_canonical[1]",
    "last_prefix": "replace(last_name, ' ', '')[1:4]",
    "birth_text": "strftime(birth_date, '%Y%m%d')",
    "year_of_birth": "year(birth_date)",
    "day_of_birth": "strftime(birth_date, '%m%d')",
    "birth_is_rough": "strftime(birth_date, '%m%d') = '0101'",
    "postal_code": "postal_codes[1]",
    "postal_area": "postal_codes[1][1:greatest(2, length(postal_codes[1]) - 3)]",
    "city": "cities[1]",
    "email": "emails[1]",
    "phone": "phones[1]",
    # What is left of a number whose country or area may be missing or guessed.
    "phone_tails": "list_transform(phones, lambda number: number[-7:])",
    "street": "streets[1]",
    "street_words": "list_distinct(string_split(streets[1], ' '))",
    "local_parts": "list_transform(emails, lambda email: split_part(email, '@', 1))",
    "issuers": """list_distinct(list_transform(
        identifiers, lambda number: regexp_replace(number, '[|][^|]*$', '')))""",
    "full_name_words": "list_distinct(string_split(full_name, ' '))",
    "name_words": """list_distinct(name_words(
        concat_ws(' ', first_name, middle_name, last_name)))""",
    "attribute_values": """list_transform(
        map_entries(attributes), lambda entry: entry.key || '=' || entry.value)""",
}

# Counted over all records, so that one more may change another's; see _stage_words.
OVER_ALL_RECORDS = ("words", "word_pairs")
_RAREST = 6
_SHORTEST_WORD = 3


def slug(name: str) -> str:
    """The name of a text attribute as it may stand in a column's name."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def derive(connection: duckdb.DuckDBPyConnection, wanted: Iterable[str]) -> None:
    """Add the columns asked for to ``staged_matchable``, where it has them not."""
    names = set(wanted)
    columns = {name: sql for name, sql in _COLUMNS.items() if name in names}
    for name in _attribute_names(connection):
        value, column = (
            f"attributes['{name.replace(chr(39), chr(39) * 2)}']",
            slug(name),
        )
        if f"attribute_{column}" in names:
            columns[f"attribute_{column}"] = value
        if f"attribute_{column}_words" in names:
            columns[f"attribute_{column}_words"] = (
                f"list_distinct(string_split({value}, ' '))"
            )
    if columns:
        added = ", ".join(f"{sql} as {name}" for name, sql in columns.items())
        connection.execute(
            "create or replace temp table staged_matchable as "
            f"select *, {added} from staged_matchable"
        )
    if names.intersection(OVER_ALL_RECORDS):
        _stage_words(connection)


def _attribute_names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute(
        """
        select distinct unnest(map_keys(attributes)) as name from staged_matchable
        order by name
        """
    ).fetchall()
    return [name for (name,) in rows]


def _stage_words(connection: duckdb.DuckDBPyConnection) -> None:
    """The rarest words of each record that another has as well, and pairs of them."""
    connection.execute(
        f"""
        create or replace temp table matchable_word as
        with word as (
            select node_id, unnest(list_distinct(string_split(concat_ws(' ',
                first_name, middle_name, last_name, full_name, street,
                array_to_string(map_values(attributes), ' ')
            ), ' '))) as word
            from (select *, streets[1] as street from staged_matchable)
        ),
        counted as (
            select node_id, word, count(*) over (partition by word) as records
            from word where length(word) >= {_SHORTEST_WORD}
        ),
        rarest as (
            select node_id, list(word order by records, word) as rarest
            from (
                select * from counted where records > 1
                qualify row_number() over (
                    partition by node_id order by records, word) <= {_RAREST}
            )
            group by node_id
        )
        select node_id, rarest as words from rarest
        """
    )
    connection.execute(
        """
        create or replace temp table staged_matchable as
        select
            node.* ,
            coalesce(word.words, []) as words,
            list_distinct(flatten(list_transform(coalesce(word.words, []), lambda a:
                list_transform(
                    list_filter(word.words, lambda b: b > a), lambda b: a || ' ' || b)
            ))) as word_pairs
        from staged_matchable as node
        left join matchable_word as word using (node_id)
        """
    )
