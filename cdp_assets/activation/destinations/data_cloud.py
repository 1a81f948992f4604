"""Webhooks in Data Cloud's form: its event envelope, signed with ``x-signature``.

For receivers that were built for data actions of Salesforce Data Cloud. The signature
is the Base64 of the HMAC-SHA256 of the body under the secret as it is written.
"""

import base64
import hashlib
import hmac
import json

from cdp_assets.activation.destinations.protocol import Change

_PROMPTS = {"add": "INSERT", "update": "UPDATE", "alias": "UPDATE", "remove": "DELETE"}


def envelope(change: Change) -> bytes:
    """The body: one event, whose payload is JSON in a text."""
    schema = {"schema": change.activation, "schemaId": change.activation}
    event = {
        "ActionDeveloperName": change.activation,
        "EventUuid": change.idempotency_key,
        "EventType": "CDCEvent",
        "EventPrompt": _PROMPTS[change.operation],
        "EventCreationDateTime": f"{change.planned_at[:23]}Z",
        "EventSchemaVersion": "1",
        "SourceObjectDeveloperName": change.activation,
        "PayloadCurrentValue": change.payload,
        "PayloadMetadata": {"previousProfileId": change.previous_individual_id},
        "ProfileIdValue": change.unified_individual_id,
    }
    return json.dumps(
        {
            "schemas": [schema],
            "count": 1,
            "creationDateTime": f"{change.planned_at[:23]}Z",
            "events": [event],
        },
        ensure_ascii=False,
    ).encode()


def signature(secret: str, body: bytes) -> str:
    """What ``x-signature`` holds."""
    digest = hmac.digest(secret.encode(), body, hashlib.sha256)
    return base64.b64encode(digest).decode()
