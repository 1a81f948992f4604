"""The outlook of a trial as text."""

from collections.abc import Iterator

from cdp_assets.what_if.consequences import Consequences
from cdp_assets.what_if.people import Example, Moves
from cdp_assets.what_if.rehearsal import Outlook

_NOUNS = {"individual": ("people", "records"), "account": ("companies", "records")}


def in_words(outlook: Outlook) -> str:
    """The whole of it."""
    lines = [f"With {outlook.tried}, of what is published now (nothing was written):"]
    if outlook.waiting:
        lines.append("  changes that no run has published yet are taken as published")
    for moves in outlook.people:
        lines += ["", *_people(moves)]
    lines += ["", *_gates(outlook)]
    if outlook.consequences is not None:
        lines += ["", *_consequences(outlook.consequences)]
    return "\n".join(lines)


def _people(moves: Moves) -> Iterator[str]:
    noun, records = _NOUNS[moves.object]
    yield f"{moves.before:,} {noun} would be {moves.after:,}"
    yield f"  {moves.merges:,} made of several, {moves.splits:,} split"
    yield f"  {moves.records_moved:,} {records} in another id"
    for verb, examples in (("merge", moves.merged), ("split", moves.split)):
        for example in examples:
            yield f"  {verb}: {_example(example)}"


def _example(example: Example) -> str:
    return "  |  ".join(
        ", ".join(part[:4]) + (f" and {len(part) - 4} more" if len(part) > 4 else "")
        for part in example.parts
    )


def _gates(outlook: Outlook) -> Iterator[str]:
    if not outlook.gates:
        yield "Every gate would be passed"
        return
    yield "The run would be held:"
    for gate in outlook.gates:
        yield f"  {gate}"


def _consequences(found: Consequences) -> Iterator[str]:
    yield "Profile fields that would change, in profiles that keep their id"
    for name, count in sorted(found.fields.items(), key=lambda item: -item[1]):
        yield f"  {count:>8,}  {name}"
    if not found.fields:
        yield "       none"
    yield "Insights that would say another thing"
    for name, count in found.insights.items():
        yield f"  {count:>8,}  {name}"
    yield "Segments: who would enter, leave, be carried over a merge"
    for name, (entered, left, carried) in found.segments.items():
        yield f"  {entered:>+8,} {-left:>+8,} {carried:>8,}  {name}"
    yield "Activations: what would be added, updated, removed"
    for name, (adds, updates, removes) in found.activations.items():
        yield f"  {adds:>8,} {updates:>8,} {removes:>8,}  {name}"
