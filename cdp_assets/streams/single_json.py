"""A JSON document that holds no list of records: it is one, or it is refused."""

import json
from typing import Any

from cdp_assets.streams.scan import Scan, UnreadableError
from cdp_assets.streams.spec import StreamSpec

# A document with one record in it is parsed whole; no single record is larger.
_SINGLE_BYTES = 64 << 20


def single_record(scan: Scan, spec: StreamSpec) -> str:
    """The one record of a document that holds no list of them; '' if it holds none."""
    if scan.bytes > _SINGLE_BYTES:
        raise UnreadableError(_no_records(spec, None))
    try:
        document = json.loads(scan.text.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UnreadableError(
            f"not JSON: {error.msg} at line {error.lineno}"
        ) from error
    record: Any = document
    for part in (spec.connection.record_path or "").split("."):
        if not part:
            break
        if not isinstance(record, dict) or part not in record:
            record = document
            break
        record = record[part]
    if record is None:
        return ""
    keys = {key.lower() for key in record} if isinstance(record, dict) else set()
    if not all(spec.sent_as(name).lower() in keys for name in spec.primary_key):
        raise UnreadableError(_no_records(spec, document))
    return json.dumps(record, ensure_ascii=False) + "\n"


def _no_records(spec: StreamSpec, document: Any) -> str:
    where = spec.connection.record_path
    expected = f"a list under {where!r}" if where else "a list of records"
    key = ", ".join(spec.primary_key)
    keys = list(document)[:20] if isinstance(document, dict) else []
    there = f"; the document has {', '.join(keys)}" if keys else ""
    return f"no records: expected {expected}, or one record with {key}{there}"
