"""How decisions stand: one line per command, and what became of each."""

import datetime as dt
from dataclasses import dataclass

import duckdb


@dataclass(frozen=True)
class Command:
    """What one command decided."""

    number: int
    command: str
    pairs: list[tuple[str, str]]
    by: str
    at: dt.datetime
    why: str
    state: str

    def __str__(self) -> str:
        """As ``cdp identity decisions`` prints it."""
        one, other = self.pairs[0]
        more = f" and {len(self.pairs) - 1} more pairs" if len(self.pairs) > 1 else ""
        return (
            f"{self.number:>5}  {self.command:<10}{one}  {other}{more}\n"
            f"       by {self.by} on {self.at:%Y-%m-%d %H:%M} UTC: {self.why or '-'}\n"
            f"       {self.state}"
        )


def commands(connection: duckdb.DuckDBPyConnection) -> list[Command]:
    """Every decision ever given, those of one command together, the latest last."""
    rows = connection.execute(
        """
        select
            coalesce(given_with, decision) as number,
            any_value(coalesce(command, kind)),
            list([record_l, record_r] order by decision),
            any_value(decided_by), any_value(decided_at), any_value(reason),
            max(undone_at), any_value(undone_by), any_value(undone_reason),
            max(applied_run), max(lifted_run),
            list_sort(list_distinct(flatten(list([
                if(l.record is null, record_l, null),
                if(r.record is null, record_r, null)
            ])))) as absent
        from identity.decision as decision
        left join identity.node as l on decision.record_l = l.record
        left join identity.node as r on decision.record_r = r.record
        group by number
        order by number
        """
    ).fetchall()
    return [
        Command(
            number,
            command,
            [(a, b) for a, b in pairs],
            by,
            at,
            why or "",
            _state(*more),
        )
        for number, command, pairs, by, at, why, *more in rows
    ]


def _state(
    undone_at: dt.datetime | None,
    undone_by: str | None,
    undone_why: str | None,
    applied: int | None,
    lifted: int | None,
    absent: list[str | None],
) -> str:
    if undone_at is not None:
        since = f"since run {lifted}" if lifted else "with the next run"
        if applied is None:
            since = "before any run took it up"
        return (
            f"undone by {undone_by} on {undone_at:%Y-%m-%d %H:%M} UTC"
            f"{f': {undone_why}' if undone_why else ''}; {since}"
        )
    gone = [record for record in absent if record]
    if gone:
        return f"dormant: there is no {', no '.join(gone)} now"
    return f"holds since run {applied}" if applied else "takes effect with the next run"
