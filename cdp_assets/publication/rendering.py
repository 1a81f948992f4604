"""One person, or the people who share a key, as text for a terminal.

Documents hold dates; how long ago that was is worked out here, when it is read.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cdp_assets.publication.standing import standing_consent
from cdp_assets.warehouse import utc_now


def render(document: dict[str, Any], as_of: dt.datetime | None = None) -> str:
    """Lay out a found document.

    Args:
        document: What ``find`` returned.
        as_of: The instant that ages refer to; default now.
    """
    if "people" in document:
        return "\n".join(_people(document))
    return "\n".join(_person(document, as_of or utc_now()))


def _people(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['count']} people share {found['key']}; ask for one of them by id:"
    yield from _table(
        (
            person["unified_individual_id"],
            person["person_name"] or "(no name)",
            ", ".join(person["records"]),
        )
        for person in found["people"]
    )
    if (more := found["count"] - len(found["people"])) > 0:
        yield f"  … and {more} more"


def _person(document: dict[str, Any], as_of: dt.datetime) -> Iterator[str]:
    fields = document["fields"]
    name = fields.get("person_name", {}).get("value") or "(no name)"
    yield f"{name}  {document['unified_individual_id']}"
    yield from _section(
        "Fields",
        (
            (field, _text(found["value"]), found.get("record", ""))
            for field, found in fields.items()
        ),
    )
    yield from _section("Contact points", _contact_points(document))
    yield from _section(
        "Records",
        (
            (
                record["record"],
                record.get("person_name") or "",
                record["tier"],
                _date(record.get("last_modified_date"), as_of),
            )
            for record in document["records"]
        ),
    )
    yield from _section("Insights", _insights(document["insights"], as_of))
    yield from _section(
        "Segments",
        (
            (member["segment"], f"since {_date(member['entered_at'], as_of)}")
            for member in document["segments"]
        ),
    )
    yield from _section("Consent", _consent(document, as_of))
    yield from _section("Orders", _orders(document.get("orders"), as_of))
    yield from _section("Cases", _cases(document.get("cases"), as_of))


def _contact_points(document: dict[str, Any]) -> Iterator[Sequence[str]]:
    for point in document["emails"]:
        note = "undeliverable" if point.get("is_undeliverable") else ""
        yield "e-mail", point["email_address"], point["record"], note
    for point in document["phones"]:
        yield "phone", point["number"], point["record"], point.get("type") or ""
    for point in document["addresses"]:
        parts = ("address_line1", "postal_code_text", "city_name", "country_id")
        line = ", ".join(point[part] for part in parts if point.get(part))
        yield "address", line, point["record"], ""


def _insights(insights: dict[str, Any], as_of: dt.datetime) -> Iterator[Sequence[str]]:
    for name, found in insights.items():
        title = name
        for row in found if isinstance(found, list) else [found]:
            for measure, value in row.items():
                shown = _date(value, as_of) if "date" in measure else _text(value)
                yield title, measure, shown
                title = ""


def _consent(document: dict[str, Any], as_of: dt.datetime) -> Iterator[Sequence[str]]:
    for found in standing_consent(document, as_of):
        decision = found.decision
        yield (
            found.contact_point,
            f"{found.purpose} by {found.channel}",
            f"{'allowed' if decision.allowed else 'withheld'}: {decision.reason}",
            _date(found.captured_at and found.captured_at.isoformat(), as_of),
            decision.consent_record or "",
        )


def _orders(
    orders: dict[str, Any] | None, as_of: dt.datetime
) -> Iterator[Sequence[str]]:
    for order in orders["recent"] if orders else ():
        yield (
            order["order"],
            f"{_text(order['net_amount'])} {order['currency_code'] or ''}",
            order["status"] or "",
            _date(order["date"], as_of),
        )
    if orders and orders["count"] > len(orders["recent"]):
        yield (f"… {orders['count']} in all",)


def _cases(cases: dict[str, Any] | None, as_of: dt.datetime) -> Iterator[Sequence[str]]:
    for case in cases["recent"] if cases else ():
        yield (
            case["case"],
            case["subject"] or "",
            "open" if case["is_open"] else "closed",
            _date(case["opened_date"], as_of),
        )
    if cases and cases["count"] > len(cases["recent"]):
        yield (f"… {cases['count']} in all",)


def _section(title: str, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    lines = list(_table(rows))
    if lines:
        yield ""
        yield title
        yield from lines


def _table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows as aligned columns; only the last cell may be longer than its column."""
    cells = list(rows)
    columns = max((len(row) for row in cells), default=0)
    widths = [
        max((len(row[at]) for row in cells if at < len(row) - 1), default=0)
        for at in range(columns)
    ]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        yield ("  " + "  ".join(padded)).rstrip()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and round(value, 2) == value:
        return f"{value:.2f}"  # JSON knows no trailing zeros, and money has them
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items())
    return "" if value is None else str(value)


def _date(value: object, as_of: dt.datetime) -> str:
    """The day and, if it is past, how long ago that is."""
    if not isinstance(value, str):
        return _text(value)
    day = dt.datetime.fromisoformat(value).date()
    days = (as_of.date() - day).days
    if days < 0:
        return day.isoformat()
    for unit, length in (("year", 365), ("month", 30), ("day", 1)):
        if count := days // length:
            return f"{day} ({count} {unit}{'s' if count > 1 else ''} ago)"
    return f"{day} (today)"
