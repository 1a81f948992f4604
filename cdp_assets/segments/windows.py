"""Engagement windows: what a person did in the last hours or days, as a column.

A segment declares its windows by name and uses them as ``engagement.<name>``. A window
ends at the run's ``as_of`` and begins that much earlier, to the instant, so a condition
answers the same for the same facts whenever it is asked. Somebody who did nothing has
0, and no last time.
"""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Literal

import pydantic

from cdp_assets.declarations import Declaration, nearest, quoted
from cdp_assets.segments.namespace import GRAIN

ENGAGEMENT = "engagement"
# What unified.unified_engagement_event has; a test holds it equal to the models.
EVENTS = (
    "EmailOpen",
    "EmailClick",
    "EmailComplaint",
    "WebVisit",
    "CartAdd",
    "CartRemove",
    "CartView",
    "CheckoutStart",
    "Purchase",
)
_LENGTH = re.compile(r"(\d{1,4}) (hour|day|week)s?")
_TYPES = {
    "count": "bigint",
    "days": "bigint",
    "last": "timestamp",
    "amount": "decimal(38,2)",
}


def length(text: str) -> dt.timedelta:
    """Read ``30 days``, ``6 hours`` or ``1 week``.

    Raises:
        ValueError: It is none of these.
    """
    found = _LENGTH.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise ValueError(f"{text!r} is no length of time: write one like 30 days")
    return dt.timedelta(**{f"{found[2]}s": int(found[1])})


class Window(Declaration):
    """One figure about one person's engagement in a window that ends with the run."""

    event: tuple[str, ...]
    within: str
    # How often, on how many days, when last, or for how much (reporting currency).
    measure: Literal["count", "days", "last", "amount"] = "count"

    @pydantic.field_validator("event", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @pydantic.field_validator("event")
    @classmethod
    def _events_exist(cls, events: tuple[str, ...]) -> tuple[str, ...]:
        for event in events:
            if event not in EVENTS:
                raise ValueError(
                    f"{event!r} is no event{nearest(event, EVENTS)} "
                    f"(there are {', '.join(EVENTS)})"
                )
        if not events:
            raise ValueError(f"name at least one of {', '.join(EVENTS)}")
        return events

    @pydantic.field_validator("within")
    @classmethod
    def _within_is_a_length(cls, text: str) -> str:
        length(text)
        return text

    @pydantic.model_validator(mode="after")
    def _only_purchases_have_amounts(self) -> "Window":
        if self.measure == "amount" and self.event != ("Purchase",):
            raise ValueError("measure: only the event Purchase has an amount")
        return self


def window_columns(windows: Mapping[str, Window]) -> dict[str, str]:
    """The columns of ``engagement`` and their SQL types."""
    return {name: _TYPES[window.measure] for name, window in windows.items()}


def engagement_relation(
    windows: Mapping[str, Window],
) -> tuple[str, dict[str, object]]:
    """The query with one row per person and one column per window.

    Returns:
        The SQL, and its parameters beside ``$as_of``.
    """
    parameters: dict[str, object] = {}
    for name, window in windows.items():
        parameters[f"window_{name}"] = length(window.within)
        if window.measure != "amount":
            parameters[f"events_{name}"] = list(window.event)
    columns = ", ".join(_outer(name, window) for name, window in windows.items())
    joins = "".join(
        f"\nleft join ({query}) as {name} on {name}.{GRAIN} = person.{GRAIN}"
        for name, query in (
            ("event", _events({n: w for n, w in windows.items() if not _paid(w)})),
            ("paid", _payments({n: w for n, w in windows.items() if _paid(w)})),
        )
        if query
    )
    return (
        f"select person.{GRAIN}, {columns}\n"
        f"from unified.unified_individual as person{joins}",
        parameters,
    )


def _paid(window: Window) -> bool:
    return window.measure == "amount"


def _outer(name: str, window: Window) -> str:
    column = f"{'paid' if _paid(window) else 'event'}.{quoted(name)}"
    if window.measure != "last":
        column = f"coalesce({column}, 0)"
    return f"{column} as {quoted(name)}"


def _events(windows: Mapping[str, Window]) -> str:
    measures = {
        "count": "count(*)",
        "days": "count(distinct event_date::date)",
        "last": "max(event_date)",
    }
    columns = ", ".join(
        f"{measures[window.measure]} filter ({_holds(name, 'event_date')} "
        f"and list_contains($events_{name}, event_type)) as {quoted(name)}"
        for name, window in windows.items()
    )
    return columns and (
        f"select {GRAIN}, {columns} from unified.unified_engagement_event "
        f"where {_any(windows, 'event_date')} group by {GRAIN}"
    )


def _payments(windows: Mapping[str, Window]) -> str:
    columns = ", ".join(
        f"(sum(net_amount_reporting) filter ({_holds(name, 'order_date')}))"
        f"::decimal(38,2) as {quoted(name)}"
        for name in windows
    )
    return columns and (
        f"select {GRAIN}, {columns} from unified.unified_sales_order "
        f"where is_counted and ({_any(windows, 'order_date')}) group by {GRAIN}"
    )


def _holds(name: str, column: str) -> str:
    return (
        f"{column} > $as_of::timestamp - $window_{name}::interval "
        f"and {column} <= $as_of::timestamp"
    )


def _any(windows: Mapping[str, Window], column: str) -> str:
    return " or ".join(f"({_holds(name, column)})" for name in windows)
