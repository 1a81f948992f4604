"""The fold of partial updates: each field keeps what was said of it last.

A row says some fields, at its modified time. A field it does not say keeps what it had;
one it says as null becomes null. The table remembers in ``_fields_at`` when each field
was said last, so late is not last field by field: of two values the greater by (time,
value) stands, null being the greatest value. A record starts anew with its last
deletion (``_deleted_at``): what was said until then no longer counts, and what the
deletion itself said stands only until something is said after it. Each of these is a
greatest element, so a table depends on the set of rows that came, not on their order,
split or repetition.
"""

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.streams import casting
from cdp_assets.streams.dlo import table_name
from cdp_assets.streams.places import LINE, PLACED
from cdp_assets.streams.spec import StreamSpec
from cdp_assets.streams.staging import GOOD

_COUNTS = """{at} is not null and (
    horizon is null or {at} > horizon
    or ({at} = horizon and is_deletion and horizon = modified_at)
)"""
_IS_SAME = """(
    kept._row_hash = merged.row_hash and kept._is_deleted = merged.is_deleted
    and kept._modified_at = merged.modified_at
)"""
_IS_IDENTICAL = f"""coalesce({_IS_SAME}
    and kept._fields_at is not distinct from merged.fields_at
    and kept._deleted_at is not distinct from merged.deleted_at, false)"""


def judge_partial(connection: duckdb.DuckDBPyConnection, spec: StreamSpec) -> None:
    """Merge the good rows into records, and decide on every one of them.

    Makes ``merged``, one row per record of the stage as it will be, and
    ``verdict(row, verdict)``: the greatest row of a record answers for what becomes of
    it; the others of the same load went into one with it and count as superseded.
    """
    fields = ", ".join(f"field_{place}" for place in range(len(spec.fields)))
    connection.execute(
        f"""
        create or replace temp table merged as
        with {_versions(spec)},
        record as (
            select record_id, max(instant) as modified_at, max(deleted_at) as horizon,
                count(*) as versions
            from version group by record_id
        ),
        field as (
            select record_id, {_only_values(spec)}
            from version join record using (record_id) where versions = 1
            union all
            select record_id, {_greatest_values(spec)}
            from version join record using (record_id) where versions > 1
            group by record_id
        ),
        {_STRANGE},
        newest as (
            select record_id, max({{
                'instant': ordered_at, 'is_deleted': is_deleted, 'hash': row_hash,
                'file_no': file_no, 'row': rowid
            }}).row as row
            from stage where kind = {GOOD} group by record_id
        ),
        joined as (
            select record_id, row, modified_at, horizon as deleted_at,
                coalesce(horizon = modified_at, false) as is_deleted,
                undeclared, strange_at, {fields}
            from newest
            join record using (record_id)
            join field using (record_id)
            left join strange using (record_id)
        )
        select *, {_fields_at(spec)} as fields_at,
            {casting.row_hash(spec, _values(spec), "undeclared")} as row_hash
        from joined
        """
    )
    connection.execute(
        f"""
        create or replace temp table verdict as
        select merged.row, {_verdict(spec)} as verdict
        from merged
        join stage on stage.rowid = merged.row
        left join {table_name(spec)} as kept on kept._record_id = merged.record_id
        union all
        select rowid, 'superseded' from stage
        where kind = {GOOD} and rowid not in (select row from merged)
        """
    )


def write_partial(
    connection: duckdb.DuckDBPyConnection, spec: StreamSpec, load_seq: int
) -> None:
    """Write the merged records that differ from what is kept.

    One whose memory alone changed, as by a deletion that came too late, keeps its
    sequence number: nobody downstream has anything to do.
    """
    table = table_name(spec)
    own = ", ".join(quoted(name) for name in spec.fields)
    connection.execute(
        f"""
        create or replace temp table remembered as
        select merged.row, {_IS_SAME} as is_same,
            kept._file as file, kept._line as line, kept._load_seq as load_seq
        from merged
        left join {table} as kept on kept._record_id = merged.record_id
        where not {_IS_IDENTICAL}
        """
    )
    connection.execute(
        f"""
        delete from {table} where _record_id in (
            select record_id from merged join remembered using (row)
        )
        """
    )
    connection.execute(
        f"""
        insert into {table} ({own}, _record_id, _file, _line, _load_seq, _modified_at,
            _is_deleted, _row_hash, _undeclared, _fields_at, _deleted_at)
        select {", ".join(_values(spec).values())}, merged.record_id,
            if(is_same, remembered.file, staged_file.file),
            if(is_same, remembered.line, {LINE}),
            if(is_same, remembered.load_seq, $load_seq),
            merged.modified_at, merged.is_deleted, merged.row_hash, merged.undeclared,
            merged.fields_at, merged.deleted_at
        from {PLACED}
        join merged on merged.row = stage.rowid
        join remembered on remembered.row = stage.rowid
        """,
        {"load_seq": load_seq},
    )


def _versions(spec: StreamSpec) -> str:
    """What the rows of the stage say, and beside them what is kept of their records."""
    staged = ", ".join(
        f"case when said[{place + 1}] then ordered_at end as at_{place}, "
        f"{quoted('f_' + name)} as value_{place}"
        for place, name in enumerate(spec.fields)
    )
    # A table of whole rows has no memory yet: each row said all of it at its time.
    kept = ", ".join(
        f"if(_fields_at is null, _modified_at, _fields_at['{name}']), {quoted(name)}"
        for name in spec.fields
    )
    return f"""version as (
        select record_id, ordered_at as instant, is_deleted as is_deletion,
            if(is_deleted, ordered_at, null) as deleted_at, undeclared,
            null::map(varchar, timestamp) as memory, {staged}
        from stage where kind = {GOOD}
        union all
        select _record_id, _modified_at, _is_deleted,
            coalesce(_deleted_at, if(_is_deleted, _modified_at, null)), _undeclared,
            _fields_at, {kept}
        from {table_name(spec)}
        where _record_id in (select record_id from stage where kind = {GOOD})
    )"""


def _only_values(spec: StreamSpec) -> str:
    """As below, for records of which there is one version: nothing to compare."""
    return ", ".join(
        f"case when {_COUNTS.format(at=f'at_{place}')} "
        f"then {{'instant': at_{place}, 'value': value_{place}}} end as field_{place}"
        for place in range(len(spec.fields))
    )


def _greatest_values(spec: StreamSpec) -> str:
    return ", ".join(
        f"max({{'instant': at_{place}, 'value': value_{place}}}) "
        f"filter ({_COUNTS.format(at=f'at_{place}')}) as field_{place}"
        for place in range(len(spec.fields))
    )


# Undeclared columns, each a field of its own.
_STRANGE = f"""
    said_strangely as (
        select record_id, entry.key as name, entry.value as value,
            coalesce(memory[entry.key], instant) as said_at,
            is_deletion, modified_at, horizon
        from (select *, unnest(map_entries(undeclared)) as entry from version)
        join record using (record_id)
    ),
    strange_field as (
        select record_id, name, max({{'instant': said_at, 'value': value}}) as latest
        from said_strangely where {_COUNTS.format(at="said_at")}
        group by record_id, name
    ),
    strange as (
        select record_id,
            map_from_entries(list({{'key': name, 'value': latest.value}} order by name))
                as undeclared,
            list({{'key': name, 'value': latest.instant}}) as strange_at
        from strange_field group by record_id
    )
"""


def _values(spec: StreamSpec) -> dict[str, str]:
    return {name: f"field_{place}.value" for place, name in enumerate(spec.fields)}


def _fields_at(spec: StreamSpec) -> str:
    """The instants by name, in the names' order, so that equal memories are equal."""
    places = {name: place for place, name in enumerate(spec.fields)}
    entries = ", ".join(
        f"{{'key': '{name}', 'value': field_{places[name]}.instant}}"
        for name in sorted(places)
    )
    names = ", ".join(f"'{name}'" for name in places)
    said = f"list_filter([{entries}], lambda entry: entry.value is not null)"
    # A value that does not fit its later declaration is still kept undeclared.
    others = f"""list_filter(strange_at,
        lambda entry: not list_contains([{names}], entry.key))"""
    # Declared names are in order already; only undeclared ones make a sort needed.
    return f"""map_from_entries(case when strange_at is null then {said}
        else list_sort(list_concat({said}, {others})) end)"""


def _verdict(spec: StreamSpec) -> str:
    says_what_is_kept = " and ".join(
        f"(not said[{place + 1}] or "
        f"{quoted('f_' + name)} is not distinct from kept.{quoted(name)})"
        for place, name in enumerate(spec.fields)
    )
    return f"""
        case
            when kept._record_id is null
                then case when merged.is_deleted then 'deleted' else 'inserted' end
            when {_IS_SAME} then case
                when stage.is_deleted = kept._is_deleted and {says_what_is_kept}
                then 'unchanged' else 'superseded' end
            when merged.is_deleted and not kept._is_deleted then 'deleted'
            else 'updated'
        end
    """
