"""From the loaded file to the canonical model: the mapping a map stands for.

The tables have the columns that the dbt project's contracts give them, and values go
through the project's own normalisers. What the canonical model has no column for goes
to ``dmo.party_attribute``, and is compared as text.
"""

from collections.abc import Iterable

import duckdb

from cdp_assets.declarations import quoted
from cdp_assets.identity.bench.cells import create_tables, stage_cells
from cdp_assets.identity.bench.declared import BenchMap
from cdp_assets.identity.bench.macros import Macros
from cdp_assets.identity.bench.people import names
from cdp_assets.identity.bench.records import STREAM, column_fields
from cdp_assets.identity.bench.values import cell
from cdp_assets.identity.derived import slug

_TAIL = (
    "source as data_source_id, "
    f"'{STREAM}' as data_source_object_id, id as source_record_id, "
    "null::timestamp as created_date, null::timestamp as last_modified_date, _load_seq"
)

# What the canonical model of the object has a place for; the rest is text.
_ROOM = {
    "individual": {
        "first_name", "middle_name", "last_name", "name_suffix", "salutation",
        "full_name", "birth_date", "gender", "email_address", "telephone_number",
        "address_line_1", "city_name", "postal_code", "country_name",
        "organization_name",
    },
    "account": {
        "organization_name", "full_name", "first_name", "last_name", "website",
        "telephone_number", "address_line_1", "city_name", "postal_code",
        "country_name", "middle_name",
    },
}  # fmt: skip


class Canonical:
    """Builds the canonical model from one labelled file."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, declared: BenchMap
    ) -> None:
        """Stage the file's cells, cleaned, under the names of the attributes."""
        self._connection = connection
        self._map = declared
        self._macros = Macros()
        self._fields = column_fields(declared)
        create_tables(connection)
        stage_cells(connection, declared, self._fields)

    def build(self) -> None:
        """Fill every table that the map has something for."""
        if self._map.object == "individual":
            self._insert("individual", names(self._map, self._macros))
            self._emails()
            self._phones()
            self._addresses()
        else:
            self._accounts()
        self._numbers()
        self._attributes()

    def _insert(self, table: str, rows: str) -> None:
        self._connection.execute(f"insert into dmo.{quoted(table)} by name {rows}")

    def _columns_of(self, attribute: str) -> Iterable[str]:
        source = self._map.attributes.get(attribute)
        return (self._fields[column] for column in (source.columns if source else ()))

    def _emails(self) -> None:
        for field in self._columns_of("email_address"):
            rows = f"""
                with cells as (
                    select *, unnest(string_split_regex({cell(field)}, '[;, ]+')) as one
                    from map.bench_cell where {field} is not null
                ),
                mapped as (
                    select id || '/{field}' as id, id as party_id,
                        {self._macros.normalise_email("one")} as email_address,
                        true as primary_flag, false as is_undeliverable, {_TAIL}
                    from cells
                )
                {self._macros.with_email_forms("mapped")}
            """
            self._insert("contact_point_email", rows)

    def _phones(self) -> None:
        country = (
            "country_name"
            if "country_name" in self._map.attributes
            else "null::varchar"
        )
        for field in self._columns_of("telephone_number"):
            rows = f"""
                with mapped as (
                    select id || '/{field}' as id, id as party_id,
                        {field} as telephone_number,
                        {self._macros.clean_text(country)} as country_typed,
                        true as primary_flag, {_TAIL}
                    from map.bench_cell
                )
                {self._macros.with_e164("mapped")}
            """
            self._insert("contact_point_phone", rows)

    def _address(self) -> str:
        """The rows that say where, as the mappings of streams write them."""
        macros = self._macros
        given = {
            name: name if name in self._map.attributes else "null::varchar"
            for name in (
                "address_line_1", "address_line_2", "city_name", "postal_code",
                "state_province_name", "country_name",
            )
        }  # fmt: skip
        return f"""
            with mapped as (
                select id as id, id as party_id, 'mailing' as address_type_id,
                    {macros.clean_label(given["address_line_1"])} as address_line1,
                    {macros.clean_label(given["address_line_2"])} as address_line2,
                    {macros.clean_name(given["city_name"])} as city_name,
                    {macros.clean_postal_code(given["postal_code"])}
                        as postal_code_text,
                    {macros.clean_label(given["state_province_name"])}
                        as state_province_name,
                    {macros.clean_text(given["country_name"])} as country_typed,
                    {_TAIL}
                from map.bench_cell
            )
            {macros.with_country("mapped")}
        """

    def _addresses(self) -> None:
        self._insert("contact_point_address", self._address())

    def _accounts(self) -> None:
        given = self._map.attributes
        named = [part for part in ("organization_name", "full_name") if part in given]
        person = [p for p in ("first_name", "middle_name", "last_name") if p in given]
        if person:
            named.append(f"nullif(concat_ws(' ', {', '.join(person)}), '')")
        name = f"coalesce({', '.join(named)})" if named else "null::varchar"
        website = "website" if "website" in given else "null::varchar"
        phones = list(self._columns_of("telephone_number"))
        country = "country_name" if "country_name" in given else "null::varchar"
        phone = (
            f"""
            select number.id, min(phone.e164) as e164
            from map.bench_cell as number
            left join reference.country as country on country.alias
                = {self._macros.fold(self._macros.clean_text(country))}
            inner join reference.phone as phone on phone.raw = number.{phones[0]}
                and phone.country_hint = coalesce(country.iso2, '')
            group by number.id
            """
            if phones
            else "select null::varchar as id, null::varchar as e164"
        )
        self._insert(
            "account",
            f"""
            with address as ({self._address()}), phone as ({phone})
            select cells.id, {self._macros.clean_label(name)} as name,
                {website} as website, {self._macros.website_domain(website)}
                    as website_domain,
                phone.e164 as phone_e164, address.address_line1, address.city_name,
                address.postal_code_text, address.country_id, cells.source
                    as data_source_id, '{STREAM}' as data_source_object_id,
                cells.id as source_record_id, cells._load_seq
            from map.bench_cell as cells
            left join address on cells.id = address.party_id
            left join phone on cells.id = phone.id
            """,
        )

    def _numbers(self) -> None:
        for place, issued in enumerate(self._map.party_identification):
            value = cell(self._fields[issued.number])
            self._connection.execute(
                f"""
                insert into dmo.party_identification by name
                select id || '/{place}' as id, id as party_id,
                    number as identification_number, ? as identification_name,
                    ? as party_identification_type_id, {_TAIL}
                from (
                    select *, nullif(upper(regexp_replace(
                        {value}, '[^\\p{{L}}\\p{{N}}]+', '', 'g')), '') as number
                    from map.bench_cell
                )
                where regexp_matches(number, '[1-9A-Z]')
                """,
                [issued.name, issued.type],
            )

    def _attributes(self) -> None:
        """Everything else, by its name in the map."""
        given = self._map.attributes
        rest = {name: name for name in given if name not in _ROOM[self._map.object]}
        if "city_name" in given or "postal_code" in given:
            # They say the state as well.
            rest.pop("state_province_name", None)
        if (
            "organization_name" in self._map.attributes
            and self._map.object != "account"
        ):
            rest["organization_name"] = "organization_name"
        taken = {slug(name) for name in rest} | {""}
        for column in dict.fromkeys(self._map.other):
            # What only differs in signs or in another script would be one attribute.
            name = column if slug(column) not in taken else self._fields[column]
            taken.add(slug(name))
            rest[name] = cell(self._fields[column])
        for name, value in rest.items():
            self._connection.execute(
                f"""
                insert into dmo.party_attribute by name
                select id as party_id, ? as attribute_name,
                    {self._macros.clean_text(f"cast({value} as varchar)")}
                        as attribute_value, {_TAIL}
                from map.bench_cell where ({value}) is not null
                """,
                [name],
            )
