"""The trail of a person: what a support person reads out, in time order."""

from pathlib import Path
from typing import Any

import pytest

from cdp_assets.identity.history import NoHistoryError
from cdp_assets.publication.trail import in_words, trail
from tests.data_actions.people import AS_OF
from tests.data_actions.test_data_action_delivery import MESSAGE, address, send


def promoted(people: Any, run: int) -> None:
    people.connection.execute(
        """
        insert into identity.run by name
        select ? as run, 'individual' as object, ?::timestamp as started_at,
            ?::timestamp as finished_at, ?::timestamp as as_of,
            'promoted' as status, 'r1' as ruleset_version
        """,
        [run, AS_OF, AS_OF, AS_OF],
    )


def test_merges_segments_messages_and_receipts_stand_in_order(
    people: Any, action: Any, tmp_path: Path
) -> None:
    spec = action(**MESSAGE)
    people.record("r1", "ada", 12)
    address(people, "ada", "opt_out")
    people.connection.execute(
        "insert into segments.membership values ('vip', 'ada', ?, null, 1)", [AS_OF]
    )
    people.look(spec)
    promoted(people, 1)
    send(people, spec, tmp_path)
    people.record("r1", "bob", 12)
    people.record("r2", "bob")
    people.look(spec)
    promoted(people, 2)
    people.connection.execute(
        "insert into identity.redirect values ('ada', 'merged', ['bob'], 2)"
    )

    events = trail(people.connection, people.outbox, tmp_path / "none", "bob")

    told = in_words(events)
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert "r1: from ada to this person (run 2)" in told
    assert "r2: from outside to this person (run 2)" in told
    assert "entered vip" in told
    assert "worth_a_call add (became_true), change 1" in told
    assert "withheld: opted out; consent consent_log:ada; receipt msg_" in told
    assert "@" not in told


def test_somebody_never_published_is_said_to_be_so(people: Any, tmp_path: Path) -> None:
    with pytest.raises(NoHistoryError, match="was never published"):
        trail(people.connection, people.outbox, tmp_path / "none", "nobody")
