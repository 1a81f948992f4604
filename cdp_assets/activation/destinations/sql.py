"""A table of any SQL database as a destination: one row per person, upserted.

The row bears the person's id, so a repetition writes what is there already, and its
idempotency key. A batch is one transaction. What the database says about a value is not
kept: it tends to quote it.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cdp_assets.activation.destination_spec import BatchLimit, SqlSpec, interval
from cdp_assets.activation.destinations.protocol import (
    Batch,
    Change,
    NotConfiguredError,
    Reply,
)

KEY = "idempotency_key"


class SqlDestination:
    """Upserts and deletes rows."""

    # A table takes rows of a person in the order they come: one connection.
    concurrency = 1

    def __init__(self, spec: SqlSpec, engine: sa.Engine) -> None:
        """Remember the table; nothing is connected yet."""
        self.label = f"sql:{engine.dialect.name}"
        self.batch = spec.batch or BatchLimit(rows=1_000)
        self.interval = interval(spec.rate) if spec.rate else None
        self.breaker_failures = spec.breaker_failures
        self._spec = spec
        self._engine = engine

    @classmethod
    def from_environment(
        cls, spec: SqlSpec, environ: Mapping[str, str]
    ) -> "SqlDestination":
        """Read the database's address from the variable that the declaration names.

        Raises:
            NotConfiguredError: It is missing, or no address, or its driver is.
        """
        if not environ.get(spec.url_env):
            raise NotConfiguredError(f"set the environment variable {spec.url_env}")
        try:
            engine = sa.create_engine(environ[spec.url_env], hide_parameters=True)
        except (sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
            raise NotConfiguredError(
                f"{spec.url_env}: its driver is not installed ({error}); PostgreSQL's "
                "comes with pip install 'cdp-assets[postgres]'"
            ) from None
        except sa.exc.ArgumentError:
            raise NotConfiguredError(
                f"{spec.url_env} must be written like "
                "postgresql+psycopg://user:password@host/database"
            ) from None
        return cls(spec, engine)

    def send(self, batch: Batch) -> Sequence[Reply]:
        """Write the batch, all of it or nothing."""
        fields = [name for name, _ in batch.fields]
        try:
            with self._engine.begin() as connection:
                self._write(connection, batch.changes, fields)
        except sa.exc.DBAPIError as error:
            return [_refusal(error, batch, change) for change in batch.changes]
        return [
            Reply(change.idempotency_key, "delivered", "written")
            for change in batch.changes
        ]

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()

    def _write(
        self,
        connection: sa.Connection,
        changes: Sequence[Change],
        fields: Sequence[str],
    ) -> None:
        spec = self._spec
        names = [spec.key_column, KEY, *fields]
        # Without types: the database reads each text as what its column is.
        table = sa.table(
            spec.table, *(sa.column(name) for name in names), schema=spec.schema_name
        )
        person = table.c[spec.key_column]
        exact = self._engine.dialect.name != "sqlite"
        rows = [
            _row(change, spec.key_column, fields, exact)
            for change in changes
            if change.operation in ("add", "update")
        ]
        gone = [one for one in changes if one.operation == "remove"]
        for change in changes:
            if change.previous_individual_id is not None:
                _rename(connection, table, person, change)
        if gone:
            ids = [one.unified_individual_id for one in gone]
            connection.execute(sa.delete(table).where(person.in_(ids)))
        if rows:
            self._upsert(connection, table, person, rows)

    def _upsert(
        self,
        connection: sa.Connection,
        table: sa.TableClause,
        person: sa.ColumnClause[Any],
        rows: list[dict[str, Any]],
    ) -> None:
        others = [name for name in rows[0] if name != person.name]
        insert: Any
        if self._engine.dialect.name == "postgresql":
            insert = postgresql.insert(table)
        elif self._engine.dialect.name == "sqlite":
            insert = sqlite.insert(table)
        else:
            # No common word for it; in one transaction nobody sees the gap.
            ids = [row[person.name] for row in rows]
            connection.execute(sa.delete(table).where(person.in_(ids)))
            connection.execute(sa.insert(table), rows)
            return
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=[person],
                set_={name: insert.excluded[name] for name in others},
            ),
            rows,
        )


def _rename(
    connection: sa.Connection,
    table: sa.TableClause,
    person: sa.ColumnClause[Any],
    change: Change,
) -> None:
    """Give an earlier person's row to the living one, unless that has one."""
    living, earlier = change.unified_individual_id, change.previous_individual_id
    found = connection.execute(
        sa.select(sa.func.count()).select_from(table).where(person == living)
    ).scalar()
    if found:
        connection.execute(sa.delete(table).where(person == earlier))
    else:
        connection.execute(
            sa.update(table).where(person == earlier).values({person.name: living})
        )


def _row(
    change: Change, key_column: str, fields: Sequence[str], exact: bool
) -> dict[str, Any]:
    parse = Decimal if exact else float
    content = json.loads(change.payload, parse_float=parse)
    values = {name: content.get(name) for name in fields}
    return {
        key_column: change.unified_individual_id,
        KEY: change.idempotency_key,
        **{
            name: json.dumps(value, default=str)
            if isinstance(value, list | dict)
            else value
            for name, value in values.items()
        },
    }


def _refusal(error: sa.exc.DBAPIError, batch: Batch, change: Change) -> Reply:
    """What a database error means for a change of its batch."""
    kind = type(error.orig).__name__
    if isinstance(error, sa.exc.DataError | sa.exc.IntegrityError):
        outcome: Any = "split" if len(batch.changes) > 1 else "rejected"
        return Reply(change.idempotency_key, outcome, kind)
    # A missing table or right concerns every row; a lost connection may have come
    # after the commit, and writing again does no harm.
    return Reply(change.idempotency_key, "unavailable", kind)
