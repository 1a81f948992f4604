"""May a change leave now: consent as it is at this moment, and what was sent before.

It is asked right before every attempt, of the outbox alone, which holds the rows of
consent and the merges that its waiting changes depend on.
"""

import datetime as dt
import json
import sqlite3
from collections.abc import Callable

from cdp_assets.activation.claims import Waiting
from cdp_assets.activation.identifiers import others_know
from cdp_assets.activation.outbox import as_instant
from cdp_assets.activation.sendable import Sendable
from cdp_assets.governance.consent import ConsentRow, Decision, decide

NO_CONTACT_POINT = "no contact point"
NOTHING_SENT = "nothing was sent that could be removed"
KNOWN_ANEW = "what the destination knows them by is somebody's who stays"
NOT_MERGED = "the merge does not stand any more"


class Decider:
    """Decides about single changes; not safe to call from several threads at once."""

    def __init__(
        self,
        spec: Sendable,
        reader: sqlite3.Connection,
        at: Callable[[], dt.datetime],
    ) -> None:
        """Prepare; ``at`` is the instant for consent (UTC), ``reader`` is only read."""
        self._spec = spec
        self._reader = reader
        self._at = at

    def decide(self, row: Waiting) -> tuple[Decision, str]:
        """May it leave now, and with which payload."""
        if row.operation == "remove":
            return self._of_removal(row)
        if row.previous_individual_id is not None:
            return self._of_alias(row, row.previous_individual_id)
        if self._spec.purpose is None or self._spec.channel is None:
            return Decision(True, None, "internal"), row.payload
        consent = self._consent(row.contact_point_type, row.contact_point_value)
        return consent, row.payload

    def _of_removal(self, row: Waiting) -> tuple[Decision, str]:
        """A removal names nothing by which somebody else is known who stays."""
        decision, payload = self._of_earlier(row, row.unified_individual_id, "removal")
        if not decision.allowed:
            return decision, payload
        known = others_know(self._reader, row.sequence, payload)
        if not any(known.values()):
            return decision, payload
        if all(known.values()):
            return Decision(False, None, KNOWN_ANEW), payload
        named = json.loads(payload)
        named.update((field, None) for field, taken in known.items() if taken)
        return decision, json.dumps(named)

    def _of_alias(self, row: Waiting, previous: str) -> tuple[Decision, str]:
        """An alias needs consent for both people, and that they still are one.

        No destination can be untold that two people are one. It names what was sent
        last of the one who is another now.
        """
        stands = self._reader.execute(
            """
            select 1 from merge
            where previous_individual_id = ? and unified_individual_id = ?
            """,
            [previous, row.unified_individual_id],
        ).fetchone()
        if stands is None:
            return Decision(False, None, NOT_MERGED), row.payload
        decision, payload = self._of_earlier(row, previous, "alias")
        if not decision.allowed:
            return decision, payload
        before = self._consent(
            row.previous_contact_point_type, row.previous_contact_point_value
        )
        if not before.allowed:
            return before, payload
        now = self._consent(row.contact_point_type, row.contact_point_value)
        return now, payload

    def _consent(self, kind: str | None, value: str | None) -> Decision:
        """What the rows of consent of a contact point say."""
        purpose, channel = self._spec.purpose, self._spec.channel
        if value is None or purpose is None or channel is None:
            return Decision(False, None, NO_CONTACT_POINT)
        rows = self._reader.execute(
            """
            select id, purpose, channel, status, source, captured_at, effective_from,
                effective_to
            from consent where contact_point_type = ? and contact_point_value = ?
            """,
            [kind, value],
        ).fetchall()
        answers = [
            ConsentRow(
                *found[:5],  # type: ignore[call-arg]
                as_instant(found[5]),
                as_instant(found[6]),
                as_instant(found[7]),
            )
            for found in rows
        ]
        return decide(answers, purpose, channel, self._at())

    def _of_earlier(
        self, row: Waiting, person: str, reason: str
    ) -> tuple[Decision, str]:
        """A removal or alias needs something of ours that it changes.

        It names what was sent last of ``person``; an alias that made another of them
        counts as sent, but carries the other's payload. Where the outbox no longer
        knows them, the plan is believed; where an alias or a removal did away with them
        nothing is held any more.
        """
        earlier = self._reader.execute(
            """
            with earlier as (
                select sequence, payload, operation, operation <> 'remove'
                        and attempts > 0
                        and state in ('delivered', 'dead', 'dropped', 'withheld')
                    as was_sent
                from outbox
                where activation = ? and unified_individual_id = ? and sequence < ?
            )
            select (
                    select payload from earlier
                    where was_sent and operation <> 'alias'
                    order by sequence desc limit 1
                ), was_sent, sequence
            from earlier order by was_sent desc, sequence desc limit 1
            """,
            [self._spec.name, person, row.sequence],
        ).fetchone()
        # Told that they are another, or to forget them: an address that was theirs may
        # be somebody else's by now.
        (gone,) = self._reader.execute(
            """
            select max(sequence) from outbox
            where activation = ?1 and sequence < ?3 and state = 'delivered' and (
                previous_individual_id = ?2
                or (unified_individual_id = ?2 and operation = 'remove')
            )
            """,
            [self._spec.name, person, row.sequence],
        ).fetchone()
        if gone is not None and (earlier is None or gone > earlier[2]):
            return Decision(False, None, NOTHING_SENT), row.payload
        if earlier is None:
            return Decision(True, None, reason), row.payload
        payload, was_sent, _ = earlier
        if not was_sent:
            return Decision(False, None, NOTHING_SENT), row.payload
        return Decision(True, None, reason), payload or row.payload
