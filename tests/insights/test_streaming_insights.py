"""Streaming insights: kept up for the people touched, they equal their definition.

The SQL is the models' own, compiled once; waves of events come, go, change their person
as late logins, merges and splits do, and the clock moves over every edge, also back.
"""

import datetime as dt
import random
from pathlib import Path

import duckdb
import pytest
from dbt.cli.main import dbtRunner

from cdp_assets.paths import DBT_PROJECT

MODELS = DBT_PROJECT / "models" / "insights" / "streaming"
# What as_of() is where a test sets nothing; each wave puts its own instant there.
COMPILED_AS_OF = "2026-11-01 00:00:00"
START = dt.datetime(2026, 6, 1, 12)
WAVES = 50
PEOPLE = [f"u_{number}" for number in range(40)]
COLUMNS = {
    "engagement_windows": "event_type varchar",
    "cart_windows": (
        "event_type varchar, shopping_cart_id varchar, currency_code varchar, "
        "amount decimal(18, 2)"
    ),
}


def compiled(folder: Path, text: str) -> str:
    outcome = dbtRunner().invoke(
        [
            "--quiet",
            "compile",
            *("--inline", text),
            *("--project-dir", str(DBT_PROJECT)),
            *("--profiles-dir", str(DBT_PROJECT)),
            *("--target", "lint"),
            *("--target-path", str(folder)),
            *("--log-level-file", "none"),
        ]
    )
    assert outcome.success, outcome.exception
    return str(outcome.result.results[0].node.compiled_code)


@pytest.fixture(scope="module")
def statements(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, ...]]:
    """Per model: its batch definition, what its windows hold, and who is touched."""
    folder = tmp_path_factory.mktemp("dbt")
    found = {}
    for name in COLUMNS:
        text = (MODELS / f"{name}.sql").read_text(encoding="utf-8")
        source = text.split("ref('")[1].split("'")[0]
        text = text.replace(f"ref('{source}')", "'event_now'")
        windows = text.split("-%}")[0] + "-%}"
        found[name] = tuple(
            compiled(folder, each)
            for each in (
                text,
                windows + "{{ windows_now('every_event', windows, 'event_date') }}",
                "{{ touched_people('kept_now', 'kept') }}",
            )
        )
    return found


@pytest.mark.parametrize("model", list(COLUMNS))
def test_fifty_waves_leave_what_the_batch_definition_gives(
    statements: dict[str, tuple[str, ...]], model: str
) -> None:
    batch, held, touched = statements[model]
    chance = random.Random(7)
    replaced = 0
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            create table every_event (
                id integer, unified_individual_id varchar, event_date timestamp,
                {COLUMNS[model]}
            );
            create view event_now as from every_event;
            create table kept (unified_individual_id varchar, content ubigint)
            """
        )
        now = START
        connection.execute(f"create table insight as {at(batch, now)}")
        for wave in range(WAVES):
            change(connection, model, chance, wave, now)
            now += dt.timedelta(minutes=chance.choice([0, 5, 60, 700, 3000, -90]))
            replaced += keep_up(
                connection, tuple(at(text, now) for text in (batch, held, touched))
            )
            different = connection.execute(
                f"""
                (from insight except all ({at(batch, now)}))
                union all (({at(batch, now)}) except all from insight)
                """
            ).fetchall()
            assert different == [], f"wave {wave}"
        (rows,) = connection.execute("select count(*) from kept").fetchone() or (0,)
    assert rows > 0
    # Not everybody in every wave, or it would be a batch by another name.
    assert replaced < WAVES * len(PEOPLE) * 0.6


def at(text: str, now: dt.datetime) -> str:
    return text.replace(COMPILED_AS_OF, now.isoformat(sep=" "))


def keep_up(connection: duckdb.DuckDBPyConnection, statements: tuple[str, ...]) -> int:
    """What the models' hooks do around an increment; how many people were touched."""
    batch, held, touched = statements
    connection.execute(f"create or replace table kept_now as {held}")
    connection.execute(f"create or replace table touched as {touched}")
    connection.execute(
        "delete from insight where unified_individual_id in (from touched)"
    )
    connection.execute(
        """
        create or replace view event_now as
        from every_event where unified_individual_id in (from touched)
        """
    )
    connection.execute(f"insert into insight {batch}")
    connection.execute("create or replace view event_now as from every_event")
    connection.execute("create or replace table kept as from kept_now")
    (count,) = connection.execute("select count(*) from touched").fetchone() or (0,)
    return int(count)


def change(
    connection: duckdb.DuckDBPyConnection,
    model: str,
    chance: random.Random,
    wave: int,
    now: dt.datetime,
) -> None:
    """Events arrive, late and early ones too; some go, move, or say something else."""
    for number in range(chance.randrange(6)):
        minutes = chance.choice([1, 20, 29, 30, 59, 60, 600, 1440, 9000, 10080, -45])
        happened = now - dt.timedelta(minutes=minutes)
        kind = chance.choice(["EmailOpen", "WebVisit", "Purchase", "CartAdd"])
        row: list[object] = [wave * 10 + number, chance.choice(PEOPLE), happened, kind]
        if model == "cart_windows":
            row += [f"c{chance.randrange(5)}", chance.choice(["EUR", "CHF", None])]
            row.append(chance.choice([10, -5, 99.5, None]))
        marks = ", ".join("?" * len(row))
        connection.execute(f"insert into every_event values ({marks})", row)
    one, other = chance.sample(PEOPLE, 2)
    statement = chance.choice(
        [
            "delete from every_event where id % 17 = $wave % 17",
            "update every_event set unified_individual_id = $one "
            "where unified_individual_id = $other",
            "update every_event set unified_individual_id = $other "
            "where unified_individual_id = $one and id % 2 = 0",
            "update every_event set event_type = 'Purchase' where id % 9 = $wave % 9",
        ]
    )
    values = {"wave": wave, "one": one, "other": other}
    connection.execute(
        statement, {name: values[name] for name in values if f"${name}" in statement}
    )


def test_a_window_of_no_kind_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = dbtRunner().invoke(
        [
            "--quiet", "compile", "--inline",
            "{{ in_window('7 days', 'event_date') }}",
            "--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT),
            "--target", "lint", "--target-path", str(tmp_path),
            "--log-level-file", "none",
        ]
    )  # fmt: skip
    assert not outcome.success
    assert "write sliding or tumbling" in capsys.readouterr().out
