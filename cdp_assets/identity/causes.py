"""Why people changed in a run: its versions, and the decisions that took effect."""

import datetime as dt
from dataclasses import dataclass

import duckdb


@dataclass(frozen=True)
class Cause:
    """What a promoted run worked with, and what of it was new."""

    at: dt.datetime | None
    ruleset: str | None
    model: str | None
    news: list[str]


def cause_of(
    connection: duckdb.DuckDBPyConnection,
    object_name: str,
    run: int,
    records: list[str],
) -> Cause:
    """What was new in a run, as far as it concerns these records."""
    runs = connection.execute(
        """
        select finished_at, ruleset_version, model_version from identity.run
        where object = ? and run <= ? and status = 'promoted'
        order by run desc limit 2
        """,
        [object_name, run],
    ).fetchall()
    news = _decisions(connection, run, records)
    at, ruleset, model = runs[0] if runs else (None, None, None)
    if len(runs) == 2:
        _, old_ruleset, old_model = runs[1]
        if ruleset != old_ruleset:
            news.append(f"another ruleset, {ruleset} after {old_ruleset}")
        if model != old_model:
            news.append(f"another model, {model} after {old_model}")
    return Cause(at, ruleset, model, news)


def _decisions(
    connection: duckdb.DuckDBPyConnection, run: int, records: list[str]
) -> list[str]:
    """What was decided or undone, one line per command."""
    rows = connection.execute(
        """
        select
            coalesce(given_with, decision) as number,
            first(kind order by decision), first(record_l order by decision),
            first(record_r order by decision), count(*),
            any_value(decided_by), any_value(reason), any_value(undone_by),
            any_value(undone_reason), bool_or(lifted_run = $run)
        from identity.decision
        where (applied_run = $run or lifted_run = $run)
            and record_l in (select unnest($records::varchar[]))
            and record_r in (select unnest($records::varchar[]))
        group by number order by number
        """,
        {"run": run, "records": records},
    ).fetchall()
    news = []
    for (
        number,
        kind,
        left,
        right,
        pairs,
        by,
        why,
        undone_by,
        undone_why,
        lifted,
    ) in rows:
        more = f" and {pairs - 1} more pairs" if pairs > 1 else ""
        said = f"decision {number}, {left} {kind} {right}{more}, by {by}: {why or '-'}"
        if lifted:
            said = f"undone by {undone_by}: {undone_why or '-'}; {said}"
        news.append(said)
    return news
