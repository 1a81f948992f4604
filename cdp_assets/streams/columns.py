"""Which of a file's columns is which declared field.

Names match whatever their case, since exports of one system differ in it. A column that
is not declared is left out and noted; a declared one that is not there is null, unless
the record cannot do without it: then the file is refused.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cdp_assets.streams.scan import UnreadableError
from cdp_assets.streams.spec import StreamSpec


@dataclass(frozen=True)
class Matched:
    """How a file's columns meet the declaration."""

    positions: dict[str, int]
    """Declared field to position in the file."""
    ignored: tuple[str, ...]
    missing: tuple[str, ...]

    def notes(self) -> list[str]:
        """What an operator should know about these columns, in words."""
        found = []
        if self.ignored:
            found.append(f"columns not declared, ignored: {_listed(self.ignored)}")
        if self.missing:
            found.append(f"declared columns not sent, null: {_listed(self.missing)}")
        return found


def match_columns(spec: StreamSpec, names: Sequence[str]) -> Matched:
    """Match a file's column names with the declared fields.

    Raises:
        UnreadableError: A column of the key or a required one is missing, or a
            declared one is there twice.
    """
    folded = [name.strip().lower() for name in names]
    declared = {spec.sent_as(name).lower(): name for name in spec.fields}
    for name, count in Counter(folded).items():
        if count > 1 and name in declared:
            column = spec.sent_as(declared[name])
            raise UnreadableError(
                f"column {column!r} stands {count} times in the header; "
                "which one counts cannot be told, so give each column its own name"
            )
    positions = {
        declared[name]: position
        for position, name in enumerate(folded)
        if name in declared
    }
    missing = [name for name in spec.fields if name not in positions]
    needed = [
        name
        for name in missing
        if name in spec.primary_key or spec.fields[name].required
    ]
    if needed:
        column = spec.sent_as(needed[0])
        raise UnreadableError(
            f"column {column!r} is missing; the file has {_listed(names)}"
        )
    ignored = tuple(
        name.strip() for name in names if name.strip().lower() not in declared
    )
    return Matched(positions, ignored, tuple(missing))


def unique_names(names: Sequence[str]) -> list[str]:
    """The names with a number where one repeats, fit for the keys of an object."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return found


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name.strip() or "(no name)" for name in names[:30])
    return shown if len(names) <= 30 else f"{shown} and {len(names) - 30} more"
