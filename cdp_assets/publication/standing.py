"""What a published person's answers to consent come to at one instant."""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from cdp_assets.governance.consent import ConsentRow, Decision, decide
from cdp_assets.governance.consent_words import CHANNELS, PURPOSES


@dataclass(frozen=True)
class Standing:
    """Whether a contact point may be used for a purpose through a channel."""

    contact_point: str
    purpose: str
    channel: str
    decision: Decision
    captured_at: dt.datetime | None


def standing_consent(document: dict[str, Any], at: dt.datetime) -> list[Standing]:
    """Decide, as a delivery at ``at`` would, for everything there is an answer to."""
    rows: dict[str, list[ConsentRow]] = defaultdict(list)
    for answer in document["consent"]:
        rows[answer["contact_point"]].append(_row(answer))
    found = []
    for contact_point, answers in rows.items():
        captured = {answer.id: answer.captured_at for answer in answers}
        for purpose, channel in sorted({_aim(answer) for answer in answers}):
            decision = decide(answers, purpose, channel, at)
            found.append(
                Standing(
                    contact_point,
                    purpose,
                    channel,
                    decision,
                    captured.get(decision.consent_record or ""),
                )
            )
    return found


def _aim(answer: ConsentRow) -> tuple[str, str]:
    """What an answer is for; one for what nobody knows is no purpose of its own."""
    return (
        answer.purpose if answer.purpose in PURPOSES else "all",
        answer.channel if answer.channel in CHANNELS else "all",
    )


def _row(answer: dict[str, Any]) -> ConsentRow:
    return ConsentRow(
        answer["consent"],
        answer["purpose"],
        answer["channel"],
        answer["status"],
        answer["source"],
        _instant(answer["captured_at"]),
        _instant(answer["effective_from"]),
        _instant(answer["effective_to"]),
    )


def _instant(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
