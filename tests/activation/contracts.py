"""A server that speaks the documented contracts of the services we send to.

Each contract refuses what the service's documentation says it refuses: a wrong token,
an unknown field, too many rows. ``script`` says what goes wrong first, one per request.
"""

import base64
import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

Answer = tuple[int, Any]
HASH = re.compile(r"[0-9a-f]{64}")


@dataclass
class Service:
    """What a service holds, and what it was asked."""

    held: dict[str, Any] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    script: list[Answer | str] = field(default_factory=list)
    tokens: int = 0
    url: str = ""
    forgets_names: bool = False
    """Whether errors say that something was refused, and not which."""


def bearer(headers: Any, token: str) -> bool:
    return bool(headers.get("authorization") == f"Bearer {token}")


def segment(service: Service, _: str, path: str, headers: Any, body: Any) -> Answer:
    expected = base64.b64encode(b"write-key:").decode()
    if headers.get("authorization") != f"Basic {expected}" or path != "/batch":
        return 401, {"success": False}
    if set(body) != {"batch"} or len(body["batch"]) > 2500:
        return 400, {"success": False}
    for event in body["batch"]:
        needed = {"identify": {"traits"}, "alias": {"previousId"}}[event["type"]]
        if set(event) != {"type", "messageId", "timestamp", "userId"} | needed:
            return 400, {"success": False}
        if len(json.dumps(event)) > 32_000:
            return 400, {"success": False}
        # The same messageId again is dropped.
        service.held.setdefault(event["messageId"], event)
    return 200, {"success": True}


def hubspot(service: Service, _: str, path: str, headers: Any, body: Any) -> Answer:
    if not bearer(headers, "token"):
        return 401, {"category": "INVALID_AUTHENTICATION"}
    if path != "/crm/v3/objects/contacts/batch/upsert" or len(body["inputs"]) > 100:
        return 400, {"category": "VALIDATION_ERROR"}
    known = {"email", "first_name", "in_welcome"}
    errors = []
    for one in body["inputs"]:
        if set(one) != {"id", "idProperty", "objectWriteTraceId", "properties"}:
            return 400, {"category": "VALIDATION_ERROR"}
        if set(one["properties"]) - known or "@" not in one["id"]:
            errors.append(
                {
                    "status": "error",
                    "category": "VALIDATION_ERROR",
                    "message": f"{one['id']} is not valid",
                    "context": {}
                    if service.forgets_names
                    else {"objectWriteTraceId": [one["objectWriteTraceId"]]},
                }
            )
        else:
            service.held.setdefault(one["id"], {}).update(one["properties"])
    status = 207 if errors else 200
    return status, {"status": "COMPLETE", "results": [], "errors": errors}


def marketing_cloud(
    service: Service, _: str, path: str, headers: Any, body: Any
) -> Answer:
    if path == "/v2/token":
        asked = {"grant_type", "client_id", "client_secret", "account_id"}
        if set(body) != asked or body["client_secret"] != "secret":
            return 401, {"error": "invalid_client"}
        service.tokens += 1
        return 200, {"access_token": f"token{service.tokens}", "expires_in": 1079}
    if not bearer(headers, f"token{service.tokens}"):
        return 401, {"message": "Not Authorized"}
    if path != "/hub/v1/dataevents/key:Welcome%20DE/rowset":
        return 404, {}
    columns = {"email", "first_name", "IsMember"}
    for row in body:
        if set(row) != {"keys", "values"} or set(row["values"]) - columns:
            return 400, {"message": "Unable to save rows", "errorcode": 10006}
    for row in body:
        key = row["keys"]["UnifiedIndividualId"]
        service.held.setdefault(key, {}).update(row["values"])
    return 200, body


def google_token(body: Any) -> Answer:
    if body.get("grant_type") != "refresh_token" or body["client_secret"] != "s":
        return 400, {"error": "invalid_grant"}
    return 200, {"access_token": "google", "expires_in": 3599}


def google(service: Service, _: str, path: str, headers: Any, body: Any) -> Answer:
    if path == "/token":
        return google_token(body)
    if not bearer(headers, "google"):
        return 401, {"error": {"status": "UNAUTHENTICATED"}}
    fields = {"destinations", "encoding", "audienceMembers"}
    if path == "/audienceMembers:ingest":
        fields |= {"termsOfService", "consent"}
    elif path != "/audienceMembers:remove":
        return 404, {}
    account = {"accountType": "GOOGLE_ADS", "accountId": "123"}
    where = [{"operatingAccount": account, "productDestinationId": "77"}]
    if set(body) != fields or body["destinations"] != where:
        return 400, {"error": {"status": "INVALID_ARGUMENT"}}
    identifiers = [
        item
        for member in body["audienceMembers"]
        for one in member["userData"]["userIdentifiers"]
        for item in one.items()
    ]
    for kind, value in identifiers:
        if kind not in ("emailAddress", "phoneNumber") or not HASH.fullmatch(value):
            return 400, {"error": {"status": "INVALID_ARGUMENT"}}
    for _, value in identifiers:
        if "consent" in body:
            service.held[value] = True
        else:
            service.held.pop(value, None)
    return 200, {"requestId": "1"}


def meta(service: Service, method: str, path: str, headers: Any, body: Any) -> Answer:
    if not bearer(headers, "token"):
        return 400, {"error": {"code": 190, "type": "OAuthException"}}
    payload = body["payload"]
    matched = {"EMAIL", "PHONE"}
    keys = matched | {"EXTERN_ID", "FN", "LN", "CT", "ST", "ZIP", "COUNTRY"}
    if path != "/777/users" or set(body) != {"payload"}:
        return 400, {"error": {"code": 100, "type": "GraphMethodException"}}
    if set(payload) != {"schema", "data"} or set(payload["schema"]) - keys:
        return 400, {"error": {"code": 100, "type": "OAuthException"}}
    invalid = 0
    for row in payload["data"]:
        user = dict(zip(payload["schema"], row, strict=True))
        known = {user[key] for key in matched if user.get(key)}
        if not known or not all(map(HASH.fullmatch, known)):
            invalid += 1
        elif method == "DELETE":
            for mine, other in list(service.held.items()):
                if known & {other.get(key) for key in matched}:
                    del service.held[mine]
        else:
            service.held[user["EXTERN_ID"]] = user
    return 200, {
        "audience_id": "777",
        "num_received": len(payload["data"]),
        "num_invalid_entries": invalid,
        "invalid_entry_samples": {},
    }


def slack(service: Service, _: str, path: str, headers: Any, body: Any) -> Answer:
    if path != "/services/T0/B0/secret":
        return 404, "no_service"
    if set(body) != {"text"} or not body["text"]:
        return 400, "invalid_payload"
    service.held[str(len(service.held))] = body["text"]
    return 200, "ok"


def pagerduty(service: Service, _: str, path: str, headers: Any, body: Any) -> Answer:
    fields = {"routing_key", "event_action", "dedup_key"}
    wrong = {"status": "invalid event", "message": "Event object is invalid"}
    if path != "/v2/enqueue" or body.get("routing_key") != "key":
        return 400, wrong
    if body["event_action"] == "resolve":
        if set(body) != fields:
            return 400, wrong
        service.held.pop(body["dedup_key"], None)
    else:
        payload = body["payload"]
        if set(body) != fields | {"payload"} or len(payload["summary"]) > 1024:
            return 400, wrong
        if payload["severity"] not in ("critical", "error", "warning", "info"):
            return 400, wrong
        service.held[body["dedup_key"]] = payload
    return 202, {"status": "success", "dedup_key": body["dedup_key"]}


CONTRACTS: dict[str, Callable[..., Answer]] = {
    "segment": segment,
    "hubspot": hubspot,
    "marketing_cloud": marketing_cloud,
    "google_audience": google,
    "meta_audience": meta,
    "slack": slack,
    "pagerduty": pagerduty,
}


@contextlib.contextmanager
def serving(
    contract: Callable[..., Answer],
    seen: list[tuple[dict[str, str], bytes]] | None = None,
) -> Iterator[Service]:
    """Serve a contract on the loopback for the block; ``seen`` gets what came."""
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            if self.headers["content-type"] == "application/json":
                body = json.loads(raw)
            else:
                body = {key: value[0] for key, value in parse_qs(raw.decode()).items()}
            service.requests.append((self.command, self.path, body))
            fault = service.script.pop(0) if service.script else None
            if fault == "drop":
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            if seen is not None:
                seen.append((headers, raw))
            status, said = (
                fault
                if isinstance(fault, tuple)
                else contract(service, self.command, self.path, headers, body)
            )
            content = said if isinstance(said, str) else json.dumps(said)
            if fault == "drop-after":
                self.close_connection = True
                return
            self.send_response(status)
            if status == 429:
                self.send_header("retry-after", "7")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content.encode())

        do_POST = do_DELETE = answer  # noqa: N815 - the server's names

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        service.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
