"""JSON over HTTP: each shipped destination against a server of its contract."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdp_assets.activation.delivery import deliver_activation
from cdp_assets.activation.destinations.http import HttpDestination
from cdp_assets.activation.destinations.protocol import (
    Batch,
    Change,
    NotConfiguredError,
    Reply,
)
from cdp_assets.activation.destinations.template import (
    HttpTemplate,
    load_templates,
)
from cdp_assets.activation.outbox import Outbox
from cdp_assets.activation.spec import ActivationSpec, check_destination
from cdp_assets.declarations import DeclarationError, read_declaration
from cdp_assets.paths import Paths
from tests.activation.contracts import CONTRACTS, Service, serving
from tests.activation.waiting import AS_OF, declare, fill


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


MAIL = {"email": "ada@example.test", "first_name": "Ada"}
HASHED = {"email": sha("ada@example.test")}
# Per template: secrets, settings but for addresses, and the fields of a good change.
GIVEN: dict[str, tuple[dict[str, str], dict[str, str], dict[str, Any]]] = {
    "segment": ({"write_key": "write-key"}, {}, MAIL),
    "hubspot": ({"token": "token"}, {"member_property": "in_welcome"}, MAIL),
    "marketing_cloud": (
        {"client_id": "id", "client_secret": "secret"},
        {"data_extension": "Welcome DE", "account_id": "9"},
        MAIL,
    ),
    "google_audience": (
        {"client_id": "i", "client_secret": "s", "refresh_token": "r"},
        {"account_id": "123", "audience_id": "77"},
        HASHED,
    ),
    "meta_audience": ({"token": "token"}, {"audience_id": "777"}, HASHED),
    "slack": ({"webhook_url": ""}, {}, {"text": "Ada's cart lies there"}),
    "pagerduty": ({"routing_key": "key"}, {}, {"summary": "Ada is angry"}),
}
ADDRESSES = {
    "marketing_cloud": {"auth_url": "", "rest_url": ""},
    "google_audience": {"base_url": "", "token_url": "/token"},
    "slack": {},
    "pagerduty": {"url": "/v2/enqueue"},
}
# A field that the documented contract refuses.
WRONG: dict[str, dict[str, Any]] = {
    "segment": {"bio": "x" * 33_000},
    "hubspot": {"no_such_property": "x"},
    "marketing_cloud": {"NoSuchColumn": "x"},
    "google_audience": {"email": "ada@example.test"},
    "meta_audience": {"email": "ada@example.test"},
    "slack": {"text": ""},
    "pagerduty": {"summary": "x" * 1025},
}


def declared(name: str, service: Service, **changes: Any) -> dict[str, Any]:
    secrets, settings, _ = GIVEN[name]
    addresses = ADDRESSES.get(name, {"base_url": ""})
    return {
        "kind": "http",
        "template": name,
        "environment": {secret: f"SECRET_{secret.upper()}" for secret in secrets},
        "settings": settings
        | {key: service.url + path for key, path in addresses.items()},
        # What is waited for in production is not waited for here.
        "rate": "1000 per second",
        "timeout_seconds": 5,
    } | changes


def environ(name: str, service: Service) -> dict[str, str]:
    secrets = dict(GIVEN[name][0])
    if name == "slack":
        secrets["webhook_url"] = f"{service.url}/services/T0/B0/secret"
    return {f"SECRET_{secret.upper()}": value for secret, value in secrets.items()}


@pytest.fixture(params=sorted(CONTRACTS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def service(name: str) -> Iterator[Service]:
    with serving(CONTRACTS[name]) as running:
        yield running


@pytest.fixture
def open_it(name: str, service: Service) -> Iterator[Any]:
    opened: list[HttpDestination] = []

    def run(**changes: Any) -> HttpDestination:
        settings = {**environ(name, service), **changes.pop("environ", {})}
        spec = declare(
            destination=declared(name, service, **changes),
            mapping=dict.fromkeys(GIVEN[name][2], "profile.first_name"),
            operations=load_templates()[name].operations,
        )
        check_destination(spec)
        opened.append(HttpDestination.from_environment(spec.destination, settings))
        return opened[-1]

    yield run
    for one in opened:
        one.close()


def change(
    number: int, fields: dict[str, Any], operation: Any = "add", previous: Any = None
) -> Change:
    return Change(
        number,
        f"msg_{number}",
        "welcome",
        f"u_{number}",
        operation,
        json.dumps(fields),
        "2026-06-01T12:00:00.000000",
        previous,
    )


def send(destination: HttpDestination, *changes: Change) -> list[Reply]:
    replies = destination.send(Batch("1-2-abc", "welcome", (), changes))
    by_key = {reply.idempotency_key: reply for reply in replies}
    assert len(by_key) == len(replies) == len(changes)
    return [by_key[one.idempotency_key] for one in changes]


@pytest.mark.parametrize("name", ["hubspot", "google_audience"], indirect=True)
def test_a_change_that_does_not_fit_the_template_stops_nobody_else(
    name: str, paths: Paths, service: Service, open_it: Any
) -> None:
    """Planned under an earlier mapping, it closed the destination for everybody."""
    _, _, fields = GIVEN[name]
    outbox = Outbox(paths.outbox)
    fill(outbox, range(5))
    with outbox.connect() as connection:
        for number in range(5):
            mail = f"p{number}@example.test"
            own = {**fields, "email": mail if "@" in fields["email"] else sha(mail)}
            content = json.dumps({"other": "x"} if number == 2 else own)
            connection.execute(
                "update outbox set payload = ? where sequence = ?",
                [content, number + 1],
            )
    spec = declare(
        destination=declared(name, service),
        mapping=dict.fromkeys(fields, "profile.first_name"),
        operations=load_templates()[name].operations,
        retry={"max_attempts": 1},
    )

    result = deliver_activation(
        outbox, spec, paths, environ=environ(name, service), at=AS_OF
    )

    assert (result.delivered, result.dead) == (4, 1)
    with outbox.connect() as connection:
        ((who, reason),) = connection.execute(
            "select unified_individual_id, reason from outbox where state = 'dead'"
        ).fetchall()
    assert who == "p000002"
    assert "template: UndefinedError" in reason or "template: TypeError" in reason


@pytest.mark.parametrize("name", ["hubspot"], indirect=True)
def test_an_error_that_names_nobody_is_asked_about_one_by_one(
    service: Service, open_it: Any
) -> None:
    service.forgets_names = True
    destination = open_it()
    good, bad = change(1, MAIL), change(2, MAIL | WRONG["hubspot"])

    together = send(destination, good, bad)
    assert [reply.outcome for reply in together] == ["split", "split"]
    assert [send(destination, one)[0].outcome for one in (good, bad)] == [
        "delivered",
        "failed",
    ]


def test_there_is_a_contract_for_each_template() -> None:
    assert set(CONTRACTS) == set(load_templates())


def test_what_is_sent_is_what_the_service_documents(
    name: str, service: Service, open_it: Any
) -> None:
    fields = GIVEN[name][2]
    (reply,) = send(open_it(), change(1, fields))

    assert (reply.outcome, reply.reached) == ("delivered", True)
    assert len(service.held) == 1


def test_who_left_is_gone_or_said_to_be(
    name: str, service: Service, open_it: Any
) -> None:
    fields = GIVEN[name][2]
    destination = open_it()
    if "remove" not in load_templates()[name].operations:
        (reply,) = send(destination, change(1, fields, "remove"))
        assert (reply.outcome, reply.reason) == ("rejected", "no request for remove")
        return
    send(destination, change(1, fields))

    (reply,) = send(destination, change(2, fields, "remove"))
    if name in ("google_audience", "meta_audience", "pagerduty"):
        # The person is the same one; only the change is another.
        again = Change(
            3, "msg_3", "welcome", "u_1", "remove", json.dumps(fields), "2026"
        )
        (reply,) = send(destination, again)

    assert reply.outcome == "delivered"
    left = json.dumps(service.held)
    said = {
        "segment": '"welcome": false',
        "hubspot": '"in_welcome": "false"',
        "marketing_cloud": '"IsMember": "False"',
    }
    assert said[name] in left if name in said else left == "{}"


@pytest.mark.parametrize("name", ["google_audience", "meta_audience"], indirect=True)
@pytest.mark.parametrize("shared", ["email", "phone"])
def test_a_removal_may_lack_what_somebody_else_is_known_by(
    name: str, shared: str, service: Service, open_it: Any
) -> None:
    fields = {"email": sha("ada@example.test"), "phone": sha("+491711234567")}
    destination = open_it()
    send(destination, change(1, fields))

    (reply,) = send(destination, change(2, fields | {shared: None}, "remove"))

    assert reply.outcome == "delivered"


def test_an_audience_is_told_something_that_it_knows_people_by() -> None:
    spec = declare(
        destination={
            "kind": "http",
            "template": "meta_audience",
            "environment": {"token": "TOKEN"},
            "settings": {"audience_id": "7"},
        },
        mapping={"fn": "profile.first_name"},
    )
    with pytest.raises(DeclarationError, match="people by email or phone or madid"):
        check_destination(spec)


def test_a_wrong_field_is_refused_and_stops_none_of_its_batch(
    name: str, paths: Paths, service: Service, open_it: Any
) -> None:
    """One row's fault made fifty dead letters."""
    template, (_, _, fields) = load_templates()[name], GIVEN[name]
    outbox = Outbox(paths.outbox)
    people = range(12)
    fill(outbox, people)
    with outbox.connect() as connection:
        for number in people:
            mail = f"p{number}@example.test"
            own = dict(fields)
            if "email" in own:
                own["email"] = mail if own["email"].count("@") else sha(mail)
            if number == 7:
                own |= WRONG[name]
            connection.execute(
                "update outbox set payload = ? where sequence = ?",
                [json.dumps(own), number + 1],
            )
    spec = declare(
        destination=declared(name, service),
        mapping=dict.fromkeys(fields, "profile.first_name"),
        operations=template.operations,
    )

    result = deliver_activation(
        outbox, spec, paths, environ=environ(name, service), at=AS_OF
    )

    assert (result.delivered, result.dead) == (11, 1)
    with outbox.connect() as connection:
        ((who, reason),) = connection.execute(
            "select unified_individual_id, reason from outbox where state = 'dead'"
        ).fetchall()
    assert who == "p000007"
    assert reason.startswith("refused: ")
    assert "example.test" not in reason


@pytest.mark.parametrize(
    ("fault", "outcome", "reached"),
    [
        ((429, {}), "unavailable", False),
        ((500, {}), "failed", True),
        ((503, {}), "unavailable", False),
        ("drop", "failed", True),
        ("drop-after", "failed", True),
    ],
)
def test_every_fault_has_a_stated_meaning(
    name: str,
    service: Service,
    open_it: Any,
    fault: Any,
    outcome: str,
    reached: bool,
) -> None:
    destination = open_it()
    fields = GIVEN[name][2]
    send(destination, change(1, fields))  # a token, where one is needed
    service.script.append(fault)

    (reply,) = send(destination, change(2, fields))

    assert (reply.outcome, reply.reached) == (outcome, reached)
    assert reply.retry_after == (7 if fault == (429, {}) else None)
    assert send(destination, change(2, fields))[0].outcome == "delivered"


def test_a_wrong_secret_closes_the_destination_and_not_the_change(
    name: str, service: Service, open_it: Any
) -> None:
    if name == "pagerduty":
        pytest.skip("PagerDuty calls a wrong routing key an invalid event")
    wrong = {key: f"{value}-wrong" for key, value in environ(name, service).items()}
    (reply,) = send(open_it(environ=wrong), change(1, GIVEN[name][2]))

    assert (reply.outcome, reply.reached) == ("unavailable", False)
    assert not service.held


@pytest.mark.parametrize("name", ["marketing_cloud"])
def test_a_token_is_asked_for_once_and_again_when_it_is_refused(
    service: Service, open_it: Any
) -> None:
    destination = open_it()
    for number in range(3):
        send(destination, change(number, MAIL))
    assert service.tokens == 1
    service.tokens += 1  # it ended early

    assert send(destination, change(4, MAIL))[0].outcome == "delivered"
    assert service.tokens == 3


@pytest.mark.parametrize("name", ["segment"])
def test_an_alias_names_both_people(service: Service, open_it: Any) -> None:
    send(open_it(), change(1, {}, "alias", previous="u_0"))

    ((_, event),) = service.held.items()
    assert (event["type"], event["previousId"], event["userId"]) == (
        "alias",
        "u_0",
        "u_1",
    )


@pytest.mark.parametrize("name", ["hubspot"])
def test_only_a_code_of_an_answer_is_kept(service: Service, open_it: Any) -> None:
    """Services tell what they were sent, and reasons are shown and logged."""
    good, bad = change(1, MAIL), change(2, MAIL | {"no_such_property": "x"})
    first, second = send(open_it(), good, bad)

    assert first.outcome == "delivered"
    assert (second.outcome, second.reason) == ("rejected", "VALIDATION_ERROR")
    service.script.append(
        (
            207,
            {
                "errors": [
                    {
                        "category": "ada@example.test is wrong",
                        "context": {"objectWriteTraceId": ["msg_1"]},
                    }
                ]
            },
        )
    )
    (reply,) = send(open_it(), good)
    assert (reply.outcome, reply.reason) == ("rejected", "named in the answer")


@pytest.mark.parametrize(
    ("name", "answer", "outcome"),
    [
        ("meta_audience", (400, {"error": {"code": 17}}), "unavailable"),
        ("meta_audience", (400, {"error": {"code": 100}}), "rejected"),
        ("meta_audience", (400, "no json"), "rejected"),
        ("meta_audience", (200, {"num_invalid_entries": 1}), "rejected"),
        ("hubspot", (207, {"errors": "none"}), "delivered"),
        ("hubspot", (200, "<html>"), "delivered"),
    ],
)
def test_an_answer_is_read_by_rule(
    service: Service, open_it: Any, name: str, answer: Any, outcome: str
) -> None:
    destination = open_it()
    service.script.append(answer)

    assert send(destination, change(1, GIVEN[name][2]))[0].outcome == outcome


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"template": "hubspt"}, "no template 'hubspt'; did you mean 'hubspot'"),
        ({"settings": {}}, "destination.settings: 'member_property' is missing"),
        (
            {"settings": {"member_property": "a", "bas_url": "b"}},
            r"hubspot has no 'bas_url'; did you mean 'base_url'\?",
        ),
        ({"environment": {}}, "destination.environment: 'token' is missing"),
        ({"environment": {"tokn": "A"}}, r"no 'tokn'; did you mean 'token'\?"),
        (
            {"mapping": {"mail": "profile.first_name"}},
            "hubspot needs the field 'email'",
        ),
        (
            {"operations": ["update", "alias"]},
            "operations: hubspot has no 'alias'; write",
        ),
    ],
)
def test_an_activation_that_cannot_be_is_refused_when_it_loads(
    changes: dict[str, Any], complaint: str
) -> None:
    own = ("mapping", "operations")
    outer = {key: value for key, value in changes.items() if key in own}
    inner = {key: value for key, value in changes.items() if key not in own}
    destination = {
        "kind": "http",
        "template": "hubspot",
        "environment": {"token": "TOKEN"},
        "settings": {"member_property": "in_welcome"},
    } | inner
    spec: ActivationSpec = declare(destination=destination, **outer)

    with pytest.raises(DeclarationError, match=f"^welcome.yaml: .*{complaint}"):
        check_destination(spec)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("body: '{{ chnge.key }}'", r"there is no 'chnge'; did you mean 'change'\?"),
        ("body: {a: ['{{ change. }}']}", "requests.post.body.*expected name"),
        ("body: x\n    header: {}", r"unknown key; did you mean 'headers'\?"),
    ],
)
def test_a_template_that_cannot_be_read_says_where(
    tmp_path: Path, line: str, complaint: str
) -> None:
    text = (
        "name: own\nlabel: Own\ndescription: Own.\ndocumentation: none\n"
        "honours_keys: false\nauthorisation: {kind: none}\nrequests:\n  post:\n"
        f"    operations: [add]\n    url: https://a.example/\n    {line}\n"
    )
    (tmp_path / "own.yaml").write_text(text)

    with pytest.raises(DeclarationError, match=rf"own.yaml: line \d+: .*{complaint}"):
        read_declaration(tmp_path / "own.yaml", HttpTemplate)


def test_secrets_go_out_over_https_only() -> None:
    spec = declare(
        destination={
            "kind": "http",
            "template": "slack",
            "environment": {"webhook_url": "URL"},
        },
        mapping={"text": "profile.first_name"},
        operations=["add"],
    )
    plain = {"URL": "http://hooks.example/services/secret"}

    with pytest.raises(NotConfiguredError, match="must be an https:// address"):
        HttpDestination.from_environment(spec.destination, plain)
