"""Which of a file's columns is which declared field.

Names match whatever their case, since exports of one system differ in it. What becomes
of a column that is not declared is the stream's ``on_drift`` (drift.py); a declared one
that is not there is null, unless the record cannot do without it: then the file is
refused.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cdp_assets.streams import drift
from cdp_assets.streams.scan import UnreadableError
from cdp_assets.streams.spec import StreamSpec


@dataclass(frozen=True)
class Matched:
    """How a file's columns meet the declaration."""

    positions: dict[str, int]
    """Declared field to position in the file."""
    undeclared: dict[str, int]
    """Name of what is not declared to position; a number where a name repeats."""
    missing: tuple[str, ...]

    def notes(self, spec: StreamSpec) -> list[str]:
        """What an operator should know about these columns, in words."""
        found = []
        if self.undeclared:
            found.append(drift.note(spec, tuple(self.undeclared)))
        if self.missing and not spec.is_partial:
            missing = drift.listed(self.missing)
            found.append(f"declared columns not sent, null: {missing}")
        return found


def match_columns(spec: StreamSpec, names: Sequence[str]) -> Matched:
    """Match a file's column names with the declared fields.

    Raises:
        UnreadableError: A column that the record cannot do without is missing, a
            declared one is there twice, or the declaration is frozen and the file has
            others.
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
    needed = [name for name in missing if spec.must_be_sent(name)]
    if needed:
        column = spec.sent_as(needed[0])
        raise UnreadableError(
            f"column {column!r} is missing; the file has {drift.listed(names)}"
        )
    strange = set(drift.undeclared(spec, names))
    undeclared = {
        unique: position
        for position, (name, unique) in enumerate(
            zip(names, unique_names([n.strip() for n in names]), strict=True)
        )
        if name in strange
    }
    if undeclared and spec.on_drift == "freeze":
        raise UnreadableError(drift.refusal(tuple(undeclared)))
    return Matched(positions, undeclared, tuple(missing))


def unique_names(names: Sequence[str]) -> list[str]:
    """The names with a number where one repeats, fit for the keys of an object."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return found
