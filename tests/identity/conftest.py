"""A canonical model written by hand: what the dbt models would deliver, row by row."""

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest

from cdp_assets.identity.outcome import ResolutionResult
from cdp_assets.identity.resolve import resolve
from cdp_assets.identity.rules import Ruleset
from cdp_assets.warehouse import Warehouse

AS_OF = dt.datetime(2026, 11, 1)

TABLES = """
create table dmo.individual (
    id varchar, first_name varchar, middle_name varchar, last_name varchar,
    name_suffix varchar, salutation varchar, birth_date date, gender_id varchar,
    title_name varchar, is_anonymous boolean, data_source_id varchar,
    last_modified_date timestamp, _load_seq bigint
);
create table dmo.contact_point_email (
    id varchar, party_id varchar, email_address varchar, normalised_email varchar,
    _load_seq bigint
);
create table dmo.contact_point_phone (
    id varchar, party_id varchar, telephone_number varchar,
    formatted_e164_phone_number varchar, _load_seq bigint
);
create table dmo.contact_point_address (
    id varchar, party_id varchar, address_line1 varchar, city_name varchar,
    postal_code_text varchar, country_id varchar, normalised_address_line1 varchar,
    normalised_city varchar, _load_seq bigint
);
create table dmo.lead (
    id varchar, individual_id varchar, converted_contact_id varchar, _load_seq bigint
);
create table dmo.party_identification (
    id varchar, party_id varchar, identification_number varchar,
    identification_name varchar, party_identification_type_id varchar,
    _load_seq bigint
);
create table dmo.account (
    id varchar, name varchar, website varchar, website_domain varchar,
    phone_e164 varchar, address_line1 varchar, city_name varchar,
    postal_code_text varchar, country_id varchar, data_source_id varchar,
    _load_seq bigint
);
create table reference.nickname (name varchar, canonical varchar);
insert into reference.nickname values
    ('bill', 'william'), ('bob', 'robert'), ('liz', 'elizabeth'), ('toni', 'anton');
"""


class Scene:
    """A warehouse whose canonical model is written by the test."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.runs = 0
        connection.execute(TABLES)

    def person(
        self,
        record: str,
        first: str | None = None,
        last: str | None = None,
        **more: Any,
    ) -> None:
        """Add one record; ``more``: born, suffix, middle, email(s), phone, street, …"""
        self.connection.execute(
            "insert into dmo.individual values "
            "(?, ?, ?, ?, ?, null, ?, ?, ?, false, ?, ?, 1)",
            [
                record,
                first,
                more.get("middle"),
                last,
                more.get("suffix"),
                more.get("born"),
                more.get("gender"),
                more.get("title"),
                record.split("_")[0],
                AS_OF,
            ],
        )
        emails = more.get("emails") or [more[key] for key in ("email",) if key in more]
        for number, email in enumerate(emails):
            self.connection.execute(
                "insert into dmo.contact_point_email values (?, ?, ?, ?, 1)",
                [f"{record}:{number}", record, email, email],
            )
        if "phone" in more:
            self.connection.execute(
                "insert into dmo.contact_point_phone values (?, ?, ?, ?, 1)",
                [record, record, more["phone"], more["phone"]],
            )
        if "number" in more:
            self.connection.execute(
                "insert into dmo.party_identification values "
                "(?, ?, ?, 'SAP KUNNR', 'customer_number', 1)",
                [record, record, more["number"]],
            )
        if {"street", "city", "postal"} & set(more):
            self.connection.execute(
                "insert into dmo.contact_point_address values "
                "($1, $1, $2, $3, $4, 'DE', lower($2), lower($3), 1)",
                [record, more.get("street"), more.get("city"), more.get("postal")],
            )

    def account(self, record: str, name: str, **more: Any) -> None:
        """Add one company; ``more``: domain, city, country."""
        self.connection.execute(
            "insert into dmo.account values "
            "(?, ?, ?, ?, null, null, ?, null, ?, 'crm', 1)",
            [
                record,
                name,
                more.get("domain"),
                more.get("domain"),
                more.get("city"),
                more.get("country", "DE"),
            ],
        )

    def forget(self, record: str) -> None:
        """Delete one record from its source."""
        for table, column in (
            ("individual", "id"),
            ("account", "id"),
            ("contact_point_email", "party_id"),
            ("contact_point_phone", "party_id"),
            ("contact_point_address", "party_id"),
            ("party_identification", "party_id"),
        ):
            self.connection.execute(
                f"delete from dmo.{table} where {column} = ?", [record]
            )

    def resolve(
        self, ruleset: Ruleset | None = None, *, full: bool | None = None
    ) -> ResolutionResult:
        """Run a resolution, silently."""
        self.runs += 1
        return resolve(
            self.connection,
            run=self.runs,
            as_of=AS_OF,
            say=lambda _: None,
            ruleset=ruleset,
            full=full,
        )

    def people(self) -> set[frozenset[str]]:
        """Which records are together."""
        return {
            frozenset(records)
            for (records,) in self.connection.execute(
                "select list(record) from identity.unified_link_individual "
                "group by unified_individual_id"
            ).fetchall()
        }

    def id_of(self, record: str) -> str:
        """The person a record belongs to."""
        found = self.connection.execute(
            "select unified_individual_id from identity.unified_link_individual "
            "where record = ?",
            [record],
        ).fetchall()
        return str(found[0][0])

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query yields."""
        return self.connection.execute(query, list(values)).fetchall()


@pytest.fixture
def scene_of() -> Callable[[Warehouse, int], contextlib.AbstractContextManager[Scene]]:
    """An empty canonical model in the warehouse given, on so many threads."""

    @contextlib.contextmanager
    def make(warehouse: Warehouse, threads: int) -> Iterator[Scene]:
        with warehouse.writing("a test") as connection:
            connection.execute(f"set threads = {threads}")
            yield Scene(connection)

    return make


@pytest.fixture
def scene(warehouse: Warehouse) -> Iterator[Scene]:
    """An empty canonical model."""
    with warehouse.writing("a test") as connection:
        yield Scene(connection)
