"""The plan of an undo as text; values are personal data and shown only if asked for."""

from collections.abc import Iterator

from cdp_assets.what_if.undoing import Correction, UndoOutlook

_NOUNS = {"individual": "people", "account": "companies"}


def in_words(outlook: UndoOutlook, *, show_values: bool = False) -> str:
    """The whole of it."""
    return "\n".join(_lines(outlook, show_values))


def _lines(outlook: UndoOutlook, show_values: bool) -> Iterator[str]:
    yield "Nothing was written. Without"
    for decision in outlook.undone:
        yield f"  {decision}"
    for moves in outlook.people:
        if moves.records_moved:
            yield (
                f"{moves.before:,} {_NOUNS[moves.object]} would be {moves.after:,}; "
                f"{moves.records_moved:,} records in another id"
            )
    for gate in outlook.gates:
        yield f"  the run would be held: {gate}"
    yield ""
    yield from _corrections(outlook, show_values)
    if outlook.told:
        yield ""
        yield "Told meanwhile about these people, which nothing takes back"
    for message in outlook.told:
        day = f"{message.planned_at:%Y-%m-%d %H:%M}"
        yield f"  {day}  {message.action}  {message.unified_individual_id}"


def _corrections(outlook: UndoOutlook, show_values: bool) -> Iterator[str]:
    if not outlook.corrections:
        yield "No destination would be sent anything"
    for name in dict.fromkeys(each.activation for each in outlook.corrections):
        yield name
        for each in outlook.corrections:
            if each.activation == name:
                yield f"  {_operation(each, show_values)}"


def _operation(each: Correction, show_values: bool) -> str:
    if show_values:
        fields = ", ".join(
            f"{name}: {old!r} -> {new!r}" for name, (old, new) in each.fields.items()
        )
    else:
        fields = ", ".join(each.fields)
    if each.previous_individual_id:
        fields = f"was {each.previous_individual_id}"
    return (
        f"{each.operation:<7} {each.unified_individual_id}  ({each.cause})  {fields}"
    ).rstrip()
