"""Names put right before they are compared: their order, and what the mailbox tells.

Some systems hold one name field with first and last name in either order, others leave
the name out and keep ada.lovelace85@. How frequent a word is as a first and as a last
name, which the model knows, decides both. What is put right serves comparisons only.
"""

import duckdb

from cdp_assets.identity.model import MatchModel

# A word the model does not know is rarer than the rarest it knows (one in 16,000).
_UNKNOWN = 1e-5

# Twenty times likelier the other way round: Martin Thomas stays as written.
_SURELY = 20


def stage_names(
    connection: duckdb.DuckDBPyConnection, model: MatchModel | None
) -> None:
    """Build ``staged_name``: the names of the nodes in ``compared_node``, put right."""
    for column in ("first_name", "last_name"):
        frequencies = model.frequencies.get(column, {}) if model else {}
        connection.execute(
            f"""
            create or replace temp table known_{column} as
            select
                unnest($names::varchar[]) as name, unnest($shares::double[]) as share
            """,
            {"names": list(frequencies), "shares": list(frequencies.values())},
        )
    _order(connection)
    _ask_mailbox(connection)
    connection.execute(_FORMS)


def _order(connection: duckdb.DuckDBPyConnection) -> None:
    """Swap first and last name where the words say so."""
    connection.execute(
        f"""
        create or replace temp table name_ordered as
        select
            node_id,
            if(swapped, tail, first_name) as first_name,
            if(swapped, trim(first_name || ' ' || head), last_name) as last_name,
            emails
        from (
            select
                node.*,
                -- Both words must be known in the other role; a word the model has
                -- not met says nothing.
                first_as_last.share is not null
                and (tail_as_first.share is not null or length(node.tail) = 1)
                and coalesce(tail_as_first.share, {_UNKNOWN}) * first_as_last.share
                > {_SURELY} * coalesce(first_as_first.share, {_UNKNOWN})
                * coalesce(last_as_last.share, {_UNKNOWN}) as swapped
            from (
                select
                    node_id, first_name, last_name, emails,
                    -- "Jimenez Fernandez Sergio": the last word is the first name.
                    regexp_extract(last_name, '[^ ]+$') as tail,
                    regexp_replace(last_name, ' ?[^ ]+$', '') as head
                from compared_node
            ) as node
            left join known_first_name as first_as_first
                on node.first_name = first_as_first.name
            left join known_last_name as first_as_last
                on node.first_name = first_as_last.name
            left join known_first_name as tail_as_first
                on node.tail = tail_as_first.name
            left join known_last_name as last_as_last
                on node.last_name = last_as_last.name
        )
        """
    )


def _ask_mailbox(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill a missing name from the words of the mailbox, where exactly one fits."""
    connection.execute(
        """
        create or replace temp table mailbox_word as
        with box as (
            select
                node_id,
                last_name,
                regexp_replace(split_part(emails[1], '@', 1), '[0-9]+', '', 'g') as box,
                replace(last_name, ' ', '') as compact
            from name_ordered
            where len(emails) > 0 and (first_name is null or last_name is null)
        ),
        word as (
            select node_id, last_name, unnest(list_distinct(
                list_transform(
                    string_split_regex(box, '[._-]+'), lambda part: fold_name(part)
                )
                || if(starts_with(fold_name(box), compact),
                    [fold_name(box)[length(compact) + 1:]], [])
                || if(ends_with(fold_name(box), compact),
                    [fold_name(box)[:-length(compact) - 1]], [])
            )) as word
            from box
        )
        select
            word.node_id,
            if(count(first.name) = 1, any_value(first.name), null) as first_name,
            if(count(last.name) = 1, any_value(last.name), null) as last_name
        from word
        left join known_first_name as first on word.word = first.name
        left join known_last_name as last on word.word = last.name
            and word.word is distinct from first.name
        where length(word.word) > 1
            and word.word is distinct from replace(word.last_name, ' ', '')
        group by word.node_id
        """
    )


# A first name's forms are itself, its words and the full names they are short for.
_FORMS = """
create or replace temp table staged_name as
with filled as (
    select
        named.node_id,
        coalesce(named.first_name, mailbox.first_name) as first_name,
        coalesce(named.last_name, mailbox.last_name) as last_name
    from name_ordered as named
    left join mailbox_word as mailbox on named.node_id = mailbox.node_id
),

forms as (
    select
        words.first_name,
        distinct_values(list(words.word) || list(nickname.canonical)) as forms
    from (
        select distinct first_name, unnest(name_words(first_name)) as word
        from filled
        where first_name is not null
    ) as words
    left join node_nickname as nickname on words.word = nickname.name
    group by words.first_name
)

select
    filled.node_id,
    filled.first_name,
    coalesce(nickname.canonical, filled.first_name) as first_name_canonical,
    coalesce(forms.forms, []) as first_name_forms,
    name_sound(filled.first_name) as first_name_sound,
    known.name is not null as first_name_known,
    filled.last_name,
    name_words(filled.last_name) as last_name_words,
    array_to_string(list_sort(string_split(
        coalesce(nickname.canonical, filled.first_name) || ' ' || filled.last_name, ' '
    )), ' ') as full_name
from filled
left join forms on filled.first_name = forms.first_name
left join node_nickname as nickname on filled.first_name = nickname.name
left join known_first_name as known on filled.first_name = known.name
"""
