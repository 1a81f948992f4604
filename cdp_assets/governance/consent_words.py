"""The words that answers to consent are read in, whatever way a source writes them.

In two ways that are one, as the decision is: SQL for the warehouse, Python for a row.
"""

import re

PURPOSES = ("marketing", "service", "analytics", "all")
CHANNELS = ("email", "sms", "phone", "all")
# What a purpose or channel that is none of these becomes.
UNKNOWN = "unknown"

NO_ROW = "no consent row"
REASONS = {
    "opt_in": "consent given",
    "opt_out": "opted out",
    "pending": "double opt-in not confirmed",
    # Not a status that a source gives: see governance.answers.
    "quarantined": "an answer about it lies in quarantine",
}


def status_of(text: str) -> str:
    """The SQL that reads a status as ``decide`` does."""
    known = ", ".join(f"'{status}'" for status in REASONS)
    word = _bare_sql(text)
    return f"case when {word} in ({known}) then {word} else 'opt_out' end"


def aim_of(text: str, known: tuple[str, ...]) -> str:
    """The SQL that reads a purpose or channel as ``decide`` does."""
    names = ", ".join(f"'{name}'" for name in known)
    word = _bare_sql(text)
    return f"case when {word} in ({names}) then {word} else '{UNKNOWN}' end"


def _bare_sql(text: str) -> str:
    return (
        rf"regexp_replace(regexp_replace(lower(coalesce({text}, '')), "
        r"'^[\s_-]+|[\s_-]+$', '', 'g'), '[\s_-]+', '_', 'g')"
    )


def bare(text: str | None) -> str:
    """A word in lower case, with one underscore for whatever joins its parts."""
    trimmed = re.sub(r"^[ \t\n\v\f\r_-]+|[ \t\n\v\f\r_-]+$", "", (text or "").lower())
    return re.sub(r"[ \t\n\v\f\r_-]+", "_", trimmed)
