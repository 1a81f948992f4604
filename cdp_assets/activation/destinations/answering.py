"""From an HTTP answer to a reply per change: by rule, by row, or by status.

Of what an answer says only codes are kept: bodies tend to echo what was sent.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from cdp_assets.activation.destinations.protocol import Change, Reply
from cdp_assets.activation.destinations.template import HttpTemplate, RowErrors
from cdp_assets.activation.destinations.templating import described, evaluate
from cdp_assets.activation.destinations.webhook import (
    BEHIND_GATEWAY,
    REJECTED,
    UNAVAILABLE,
)
from cdp_assets.activation.retry import retry_after
from cdp_assets.warehouse import utc_now

_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,60}")


def replies(
    template: HttpTemplate,
    changes: Sequence[Change],
    response: httpx.Response,
    scope: Mapping[str, Any],
) -> list[Reply]:
    """What an answer says about each change of a request.

    Args:
        template: Says how answers are read.
        changes: What was sent, together.
        response: The answer, read.
        scope: Settings, for expressions.
    """
    status = response.status_code
    said = {**scope, "status": status, "answer": _json(template, response)}
    outcome = _by_rule(template, said) or _by_status(status)
    wait = retry_after(response.headers.get("retry-after"), utc_now())
    reason = f"HTTP {status}"
    found, unmatched = _rows(template, changes, said)
    if unmatched and outcome == "delivered":
        # Somebody was refused and nothing says who: each is asked about alone. Who was
        # taken is sent again under the same key.
        rest = "split" if len(changes) > 1 else "failed"
        return [
            found.get(change.idempotency_key)
            or Reply(change.idempotency_key, rest, reason)  # type: ignore[arg-type]
            for change in changes
        ]
    if found and (outcome in ("delivered", "rejected")):
        # Where single changes are named, the others were taken, unless all were
        # refused for their sake.
        rest = "delivered" if outcome == "delivered" else "split"
        return [
            found.get(change.idempotency_key)
            or Reply(change.idempotency_key, rest, reason)  # type: ignore[arg-type]
            for change in changes
        ]
    if outcome == "rejected" and len(changes) > 1:
        outcome = "split"
    reached = outcome != "unavailable" or status in BEHIND_GATEWAY
    return [
        Reply(change.idempotency_key, outcome, reason, wait, reached)  # type: ignore[arg-type]
        for change in changes
    ]


def _json(template: HttpTemplate, response: httpx.Response) -> Any:
    """The answer's content, where the template reads it; None if it is no JSON."""
    if not template.answers and template.rows is None:
        return None
    try:
        return response.json()
    except ValueError:
        return None


def _by_rule(template: HttpTemplate, said: Mapping[str, Any]) -> str | None:
    for rule in template.answers:
        if evaluate(rule.when, said, lenient=True):
            return rule.outcome
    return None


def _by_status(status: int) -> str:
    if 200 <= status < 300:
        return "delivered"
    if status in REJECTED:
        return "rejected"
    return "unavailable" if status in UNAVAILABLE else "failed"


def _rows(
    template: HttpTemplate, changes: Sequence[Change], said: Mapping[str, Any]
) -> tuple[dict[str, Reply], bool]:
    """The changes that an answer names as refused, and whether some it names are none.

    Returns:
        Replies by idempotency key; whether an entry names nothing that was sent.
    """
    rows = template.rows
    if rows is None or said["status"] not in rows.statuses:
        return {}, False
    entries = evaluate(rows.each, said, lenient=True) or []
    if not isinstance(entries, list):
        return {}, False
    by_name = {
        str(
            evaluate(rows.change, {**said, "change": described(change), "index": index})
        ): change.idempotency_key
        for index, change in enumerate(changes)
    }
    found: dict[str, Reply] = {}
    unmatched = False
    for entry in entries:
        here = {**said, "row": entry}
        names = evaluate(rows.names, here, lenient=True)
        named = names if isinstance(names, list) else [names]
        keys = [by_name[str(name)] for name in named if str(name) in by_name]
        found |= {key: _row(key, rows, here) for key in keys}
        unmatched = unmatched or not keys
    return found, unmatched


def _row(key: str, rows: RowErrors, here: Mapping[str, Any]) -> Reply:
    rejected = evaluate(rows.rejected, here, lenient=True)
    code = str(evaluate(rows.reason, here, lenient=True) or "")
    reason = code if _CODE.fullmatch(code) else "named in the answer"
    return Reply(key, "rejected" if rejected else "failed", reason)
