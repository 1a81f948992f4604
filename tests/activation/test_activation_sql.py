"""A table as a destination, in a PostgreSQL that the test starts, and in SQLite."""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cdp_assets.activation.delivery import deliver_activation
from cdp_assets.activation.destinations.protocol import (
    Batch,
    Change,
    NotConfiguredError,
)
from cdp_assets.activation.destinations.sql import SqlDestination
from cdp_assets.activation.outbox import Outbox
from cdp_assets.paths import Paths
from tests.activation.waiting import AS_OF, asked, declare, fill

FIELDS = (("email", "VARCHAR"), ("value", "DECIMAL(18,2)"), ("since", "TIMESTAMP"))
BINARIES = [Path(p) for p in sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
TABLE = """
    create table audience (
        unified_individual_id varchar(40) primary key, idempotency_key varchar(40),
        email varchar(60) not null, value decimal(18,2), since timestamp
    )
"""


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL of this module's own, behind a socket in its folder."""
    found = shutil.which("pg_ctl") or next(
        (str(path / "pg_ctl") for path in BINARIES if (path / "pg_ctl").exists()), None
    )
    if found is None:
        pytest.skip("PostgreSQL's server programs are not installed")
    binaries = Path(found).resolve().parent
    folder = tmp_path_factory.mktemp("pg")
    as_other: list[str] = []
    if os.geteuid() == 0:  # It refuses to run as root.
        as_other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        for above in (folder, *folder.parents[:3]):
            above.chmod(above.stat().st_mode | 0o011)
        os.chown(folder, 65534, 65534)
    data = folder / "data"

    def run(*command: str) -> None:
        subprocess.run(
            [*as_other, *command], check=True, stdout=subprocess.DEVNULL, cwd=folder
        )

    run(str(binaries / "initdb"), "-D", str(data), "-U", "cdp", "-A", "trust", "-N")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    run(
        str(binaries / "pg_ctl"),
        *("-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start"),
    )
    yield f"postgresql+psycopg://cdp@/postgres?host={folder}"
    run(str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")


@pytest.fixture(params=["postgresql", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path / 'audience.db'}"
    else:
        address = request.getfixturevalue("postgres")
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        connection.execute(sa.text("drop table if exists audience"))
        connection.execute(sa.text(TABLE))
    engine.dispose()
    return str(address)


def rows(url: str) -> list[tuple[Any, ...]]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(
            sa.text(
                "select unified_individual_id, email, value, idempotency_key "
                "from audience order by 1"
            )
        ).fetchall()
    engine.dispose()
    return [tuple(row) for row in found]


SQL = {"kind": "sql", "url_env": "DATABASE", "table": "audience"}


def change(
    number: int, operation: Any = "add", previous: str | None = None, **fields: Any
) -> Change:
    content = {
        "email": f"p{number}@example.test",
        "value": 12.5,
        "since": "2026-05-01 10:00:00",
    }
    return Change(
        number,
        f"msg_{number}",
        "welcome",
        f"u_{fields.pop('person', number)}",
        operation,
        json.dumps(content | fields),
        "2026-06-01T12:00:00.000000",
        previous,
    )


@pytest.fixture
def send(url: str) -> Iterator[Any]:
    spec: Any = declare(destination=SQL).destination
    destination = SqlDestination.from_environment(spec, {"DATABASE": url})

    def run(*changes: Change) -> list[tuple[str, str | None]]:
        replies = destination.send(Batch("1", "welcome", FIELDS, changes))
        return [(reply.outcome, reply.reason) for reply in replies]

    yield run
    destination.close()


def test_rows_are_upserted_and_deleted_however_often(url: str, send: Any) -> None:
    for _ in range(2):
        send(change(1), change(2))
        send(change(3, "update", person=1, email="new@example.test", value=None))
    send(change(4, "remove", person=2))

    assert rows(url) == [("u_1", "new@example.test", None, "msg_3")]


def test_an_alias_gives_the_row_to_the_living_person(url: str, send: Any) -> None:
    send(change(1), change(2), change(3))
    send(change(4, "alias", "u_1", person=9))
    send(change(5, "alias", "u_2", person=3))

    assert [row[0] for row in rows(url)] == ["u_3", "u_9"]


def test_a_row_that_the_table_refuses_stops_none_of_its_batch(
    url: str, paths: Paths
) -> None:
    outbox = Outbox(paths.outbox)
    fill(outbox, range(20))
    with outbox.connect() as connection:
        connection.execute(
            """update outbox set payload = '{"email": null}' where sequence = 7"""
        )
        connection.execute(
            "insert into target_field values ('welcome', 1, 'email', 'VARCHAR')"
        )

    result = deliver_activation(
        outbox, declare(destination=SQL), paths, environ={"DATABASE": url}, at=AS_OF
    )

    assert (result.delivered, result.dead) == (19, 1)
    assert len(rows(url)) == 19
    ((reason,),) = asked(outbox, "select reason from outbox where state = 'dead'")
    assert reason in ("refused: NotNullViolation", "refused: IntegrityError")


def test_a_table_that_is_missing_closes_the_destination(url: str, send: Any) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("drop table audience"))
    engine.dispose()

    ((outcome, _),) = send(change(1))

    assert outcome == "unavailable"


def test_a_value_that_is_sql_is_a_value(url: str, send: Any) -> None:
    attack = "x'); drop table audience; --"
    send(change(1, email=attack))

    assert rows(url)[0][1] == attack


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "set the environment variable DATABASE"),
        ("hunter2", "DATABASE must be written like postgresql"),
        ("nosuch://hunter2@host/db", "DATABASE: its driver is not installed"),
    ],
)
def test_an_address_that_cannot_be_used_is_named_and_not_shown(
    value: str | None, complaint: str
) -> None:
    spec: Any = declare(destination=SQL).destination
    environ = {} if value is None else {"DATABASE": value}
    with pytest.raises(NotConfiguredError, match=complaint) as caught:
        SqlDestination.from_environment(spec, environ)
    assert "hunter2" not in str(caught.value)


def test_a_database_that_is_away_is_unavailable(tmp_path: Path) -> None:
    spec: Any = declare(destination=SQL).destination
    locked = tmp_path / "locked.db"
    holder = sqlite3.connect(locked, isolation_level=None)
    holder.execute(TABLE)
    holder.execute("begin exclusive")
    address = f"sqlite:///{locked}?timeout=0"
    destination = SqlDestination.from_environment(spec, {"DATABASE": address})

    (reply,) = destination.send(Batch("1", "welcome", FIELDS, (change(1),)))

    destination.close()
    holder.close()
    assert (reply.outcome, reply.reason) == ("unavailable", "OperationalError")
