"""Finding one person's document by whatever is at hand.

A key is an id, living or retired, a record's name, an e-mail address or a phone number
in any usual way of writing. A key that several people share finds all of them: the
answer then lists who they are, for the reader to choose.
"""

import contextlib
import json
import re
import sqlite3
from typing import Any

from cdp_assets.errors import OperatorError
from cdp_assets.paths import Paths
from cdp_assets.publication.rendering import render
from cdp_assets.publication.store import store_path

__all__ = ["Document", "NotPublishedError", "Profiles", "find", "render"]

Document = dict[str, Any]

# Junk such as test@test.com may lead to thousands, and nobody reads such a list.
LISTED = 50

# Shorter numbers are extensions, and would be the end of many.
SHORTEST_PHONE = 6


class NotPublishedError(OperatorError, FileNotFoundError):
    """There are no profiles yet; the message says how to make them."""


class Profiles:
    """The published profiles, open for reading; one thread's at a time.

    Whoever answers many requests keeps one open: 0.1 ms a request. To open and close
    the file for each takes 20 ms where no other process has it open, because SQLite
    makes its log anew and removes it again.
    """

    def __init__(self, paths: Paths) -> None:
        """Open the store.

        Args:
            paths: The runtime folder.

        Raises:
            NotPublishedError: Nothing was published yet.
        """
        path = store_path(paths)
        if path.exists():
            self._store = sqlite3.connect(
                f"{path.as_uri()}?mode=ro", uri=True, timeout=10, isolation_level=None
            )
            # After a restore the store is there before anybody is in it.
            if self._store.execute("select 1 from profile limit 1").fetchone():
                return
            self._store.close()
        raise NotPublishedError(
            f"{path.name} holds nobody yet: publish first, for instance with `make run`"
        )

    def close(self) -> None:
        """Give the file back."""
        self._store.close()

    def find(self, key: str) -> Document | None:
        """Find who ``key`` belongs to, as of the last publication.

        Args:
            key: An id, a retired id, a record, an e-mail address or a phone number.

        Returns:
            The person's document. If several people share the key, a document of
            ``key``, ``count`` and ``people`` instead, the latter their ids and names.
            None if it is nobody's.
        """
        # Ids and documents come from the same publication.
        self._store.execute("begin")
        try:
            ids = _ids(self._store, key.strip())
            documents = [_document(self._store, each) for each in ids[:LISTED]]
        finally:
            self._store.execute("rollback")
        if len(ids) < 2:
            return documents[0] if documents else None
        return {
            "count": len(ids),
            "key": key,
            "people": [_brief(document) for document in documents],
        }


def find(paths: Paths, key: str) -> Document | None:
    """Find who ``key`` belongs to, once; see ``Profiles.find``.

    Raises:
        NotPublishedError: Nothing was published yet.
    """
    with contextlib.closing(Profiles(paths)) as profiles:
        return profiles.find(key)


def _ids(store: sqlite3.Connection, key: str) -> list[str]:
    for kind, form in _exact_forms(key):
        found = store.execute(
            "select unified_individual_id from lookup "
            "where key_kind = ? and key = ? order by 1",
            (kind, form),
        ).fetchall()
        if found:
            return [row[0] for row in found]
    national = _national_digits(key)
    if national is None:
        return []
    backwards = national[::-1]
    return [
        row[0]
        for row in store.execute(
            "select distinct unified_individual_id from lookup "
            # The colon is the character after nine. A country code has up to three
            # digits; what is missing more than that is another number.
            "where key_kind = 'phone_reversed' and key >= ?1 and key < ?1 || ':' "
            "and length(key) <= length(?1) + 3 order by 1",
            (backwards,),
        )
    ]


def _exact_forms(key: str) -> list[tuple[str, str]]:
    """What the key may be, most literal first."""
    forms = [("id", key), ("record", key), ("retired_id", key)]
    if "@" in key:
        # As mail programs copy it: mailto:ann@…, or Ann <ann@…>.
        address = re.sub(r"^(mailto:|.*<)|>.*$", "", key).strip().lower()
        return [*forms, ("email", address), ("email_match", match_form(address))]
    number = _international(key)
    return [*forms, ("phone", number)] if number else forms


def match_form(address: str) -> str:
    """The form addresses are compared in: what the dbt macro emailmatch_form gives."""
    mailbox, _, domain = address.partition("@")
    if domain not in ("gmail.com", "googlemail.com"):
        return address
    inbox = mailbox.partition("+")[0].replace(".", "")
    return f"{inbox}@gmail.com" if inbox else address


def _international(key: str) -> str | None:
    """A number that names its country, in E.164."""
    import phonenumbers

    written = re.sub(r"^\s*(tel:)?\s*00", "+", key)
    if not re.match(r"\s*(tel:)?\s*\(?\+", written):
        return None
    try:
        number = phonenumbers.parse(written, None)
    except phonenumbers.NumberParseException:
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _national_digits(key: str) -> str | None:
    """The digits of a number that does not name its country, without trunk zeros."""
    if not re.fullmatch(r"[\d\s().\-/]+", key):
        return None
    digits = re.sub(r"\D", "", key).lstrip("0")
    return digits if len(digits) >= SHORTEST_PHONE else None


def _document(store: sqlite3.Connection, unified_individual_id: str) -> Document:
    (document,) = store.execute(
        "select document from profile where unified_individual_id = ?",
        (unified_individual_id,),
    ).fetchone()
    found = json.loads(document)
    return dict(found)


def _brief(document: Document) -> Document:
    name = document["fields"].get("person_name", {}).get("value")
    return {
        "person_name": name,
        "records": [record["record"] for record in document["records"]],
        "unified_individual_id": document["unified_individual_id"],
    }
