"""Events: each that arrives is looked at once, and old ones are no arrival."""

import datetime as dt
import json
from typing import Any

import pydantic
import pytest

from cdp_assets.declarations import MisplacedError
from tests.data_actions.people import AS_OF

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def ticket(action: Any) -> Any:
    """Declares an action on tickets of people worth something."""

    def declare(**changes: Any) -> Any:
        return action(
            **{
                "name": "ticket",
                "trigger": "case",
                "when": "event.is_open and lifetime_value.lifetime_value >= 10",
                "payload": {
                    "case_number": "event.case_number",
                    "value": "lifetime_value.lifetime_value",
                },
            }
            | changes
        )

    return declare


def opens(people: Any, case: str, record: str, at: dt.datetime) -> None:
    people.connection.execute(
        """
        insert into dmo."case" by name
        select ? as id, ? as case_number, ? as individual_id, ? as opened_date,
            true as is_open
        """,
        [f"support_ticket:{case}", case, record, at],
    )


def payloads(people: Any) -> list[str]:
    return [
        row[0]
        for row in people.ask(
            "select payload::varchar from activation.planned order by sequence"
        )
    ]


def test_each_ticket_is_told_once_with_its_own_content(
    people: Any, ticket: Any
) -> None:
    people.record("r1", "ada", 12)
    people.record("r2", "bob", 3)
    for case, record in (("7", "r1"), ("8", "r1"), ("9", "r2")):
        opens(people, case, record, AS_OF - HOUR)
    people.look(ticket())
    people.look(ticket())
    assert payloads(people) == [
        '{"case_number":"7","value":12.00}',
        '{"case_number":"8","value":12.00}',
    ]
    assert people.ask("select distinct cause from activation.planned") == [("event",)]


def test_what_was_not_so_on_arrival_is_not_told_later(people: Any, ticket: Any) -> None:
    people.record("r1", "ada", 3)
    opens(people, "7", "r1", AS_OF - HOUR)
    people.look(ticket())
    people.record("r1", "ada", 99)
    people.look(ticket(), AS_OF + HOUR)
    assert payloads(people) == []


def test_a_backfill_of_old_tickets_calls_nobody(people: Any, ticket: Any) -> None:
    people.record("r1", "ada", 12)
    people.look(ticket())
    opens(people, "6", "r1", AS_OF - 25 * HOUR)
    opens(people, "7", "r1", AS_OF - 23 * HOUR)
    people.look(ticket())
    assert payloads(people) == ['{"case_number":"7","value":12.00}']


def test_a_ticket_of_somebody_unknown_waits_until_they_are_known(
    people: Any, ticket: Any
) -> None:
    """The user's own record may come a wave after the ticket, or identity be held."""
    people.record("r1", "ada", 12)
    opens(people, "7", "r2", AS_OF - HOUR)
    people.look(ticket())
    people.record("r2", "ada")
    people.look(ticket(), AS_OF + HOUR)
    assert payloads(people) == ['{"case_number":"7","value":12.00}']


def test_with_a_cool_down_the_first_of_a_person_is_told(
    people: Any, ticket: Any
) -> None:
    calm = ticket(cool_down="2 hours")
    people.record("r1", "ada", 12)
    opens(people, "7", "r1", AS_OF - HOUR)
    opens(people, "8", "r1", AS_OF - 2 * HOUR)
    assert people.look(calm).cooling_down == 1
    opens(people, "9", "r1", AS_OF)
    people.look(calm, AS_OF + HOUR)
    # A wave without news of the person forgets nothing.
    people.look(calm, AS_OF + HOUR)
    opens(people, "10", "r1", AS_OF + 2 * HOUR)
    people.look(calm, AS_OF + 2 * HOUR)
    assert [text.split('"')[3] for text in payloads(people)] == ["8", "10"]


def test_a_merge_tells_no_ticket_twice(people: Any, ticket: Any) -> None:
    people.record("r1", "ada", 12)
    people.record("r2", "bob", 12)
    opens(people, "7", "r1", AS_OF - HOUR)
    people.look(ticket())
    people.record("r1", "bob", 12)
    people.look(ticket(), AS_OF + HOUR)
    assert people.told() == ["ada"]


def test_the_first_look_calls_nobody_about_what_lies_there(
    people: Any, ticket: Any
) -> None:
    hold = ticket(on_first_run="hold")
    people.record("r1", "ada", 12)
    opens(people, "7", "r1", AS_OF - HOUR)
    people.look(hold)
    opens(people, "8", "r1", AS_OF - HOUR)
    people.look(hold)
    assert payloads(people) == ['{"case_number":"8","value":12.00}']


def test_what_was_looked_at_is_kept_while_it_could_be_an_arrival(
    people: Any, action: Any
) -> None:
    """Or the table would hold every event there ever was."""
    spec = action(trigger="engagement", when="event.event_type = 'WebVisit'")
    people.record("r1", "ada")
    for hour in range(30):
        people.event(f"e{hour}", "ada", AS_OF + hour * HOUR, "WebVisit")
        people.look(spec, AS_OF + hour * HOUR)
    assert len(people.told()) == 30
    assert people.ask("select count(*) from activation.action_event") == [(24,)]


def test_a_field_may_be_named_like_anything_of_ours(people: Any, ticket: Any) -> None:
    payload = {
        "edges": "lifetime_value.lifetime_value",
        "event_id": "event.event_id",
        "earlier": "event.case_number",
    }
    people.record("r1", "ada", 12)
    opens(people, "7", "r1", AS_OF - HOUR)
    people.look(ticket(on_first_run="fire", payload=payload))
    (told,) = payloads(people)
    assert json.loads(told)["edges"] == 12
    with pytest.raises(
        (MisplacedError, pydantic.ValidationError), match="choose another name"
    ):
        ticket(payload={"_edges": "event.event_id"})
