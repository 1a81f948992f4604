"""What a segment's members should look like at a destination: fields, contact point.

Which contact point they are reached at is decided before, in ``contact``.
"""

import duckdb

from cdp_assets.activation.spec import CONTACT, ActivationSpec
from cdp_assets.declarations import quoted
from cdp_assets.segments.expression import read_expression
from cdp_assets.segments.hashing import define_hashes
from cdp_assets.segments.namespace import people_with


def desired_people(spec: ActivationSpec) -> str:
    """The query for what members should look like: fields and contact point.

    It needs the parameter ``$segment`` and the table of ``contact.fill_contacts``.
    """
    mapping = {name: read_expression(sql) for name, sql in spec.mapping.items()}
    aliases = {alias for value in mapping.values() for alias in value.aliases}
    point = spec.contact_point
    fields = ",\n".join(
        f"{value.enclosed} as {quoted(name)}" for name, value in mapping.items()
    )
    return f"""
        select profile.unified_individual_id as _person,
            {CONTACT}.{point.column} as _contact_point_value,
            {fields}
        {people_with(aliases - {CONTACT})}
        left join (
            select unified_individual_id, contact_point_value as {point.column}
            from activation_contact
        ) as {CONTACT}
            on {CONTACT}.unified_individual_id = profile.unified_individual_id
        where profile.unified_individual_id in (
            select unified_individual_id from segments.membership
            where segment = $segment and left_at is null
        )
    """


def fill_desired(connection: duckdb.DuckDBPyConnection, spec: ActivationSpec) -> None:
    """Fill ``activation_desired`` with one row per member, and note the field types."""
    define_hashes(connection)
    connection.execute(
        f"create or replace temp table activation_field as {desired_people(spec)}",
        {"segment": spec.segment},
    )
    columns = connection.execute("describe activation_field").fetchall()[2:]
    packed = ", ".join(f"{quoted(name)} := {quoted(name)}" for name, *_ in columns)
    connection.execute(
        f"""
        create or replace temp table activation_desired as
        with packed as (
            select _person as unified_individual_id,
                to_json(struct_pack({packed}))::varchar as payload,
                case when _contact_point_value is not null then ? end
                    as contact_point_type,
                _contact_point_value as contact_point_value
            from activation_field
        )
        select *, sha256(concat_ws(chr(31), payload, contact_point_type,
            contact_point_value)) as payload_hash
        from packed
        """,
        [spec.contact_point.type],
    )
    connection.execute("drop table activation_field")
    note_fields(connection, spec.name, [(name, kind) for name, kind, *_ in columns])


def note_fields(
    connection: duckdb.DuckDBPyConnection,
    activation: str,
    fields: list[tuple[str, str]],
) -> None:
    """Keep the fields of a payload and their types, so that files have a schema."""
    # Lists and structs travel as JSON: a CSV cell has no other form for them.
    flat = [(name, "JSON" if is_nested(kind) else kind) for name, kind in fields]
    held = connection.execute(
        "select field, data_type from activation.target_field where activation = ? "
        "order by ordinal",
        [activation],
    ).fetchall()
    if held == flat:
        return
    connection.execute(
        "delete from activation.target_field where activation = ?", [activation]
    )
    connection.executemany(
        "insert into activation.target_field values (?, ?, ?, ?)",
        [[activation, i, name, kind] for i, (name, kind) in enumerate(flat)],
    )


def is_nested(kind: str) -> bool:
    """Whether values of a type are made of others."""
    return kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION"))
