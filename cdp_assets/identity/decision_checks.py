"""What makes a decision impossible, said before it is written down."""

from cdp_assets.declarations import nearest
from cdp_assets.errors import OperatorError
from cdp_assets.identity.contradiction import Decision, contradictions
from cdp_assets.streams.spec import load_streams

Pair = tuple[str, str]


class DecisionError(OperatorError, ValueError):
    """A decision that cannot be given; the message says why and what would help."""


def check_pair(pair: Pair, known: dict[str, str]) -> None:
    """Refuse records that are no two of one kind; ``known`` says whose are known."""
    if pair[0] == pair[1]:
        raise DecisionError(f"{pair[0]} is named twice; name two records")
    for record in pair:
        stream, colon, key = record.partition(":")
        if record in known:
            continue
        declared = load_streams()
        if not (colon and key) or stream not in declared:
            raise DecisionError(
                f"{record!r} names no record{nearest(stream, declared)}; name it as "
                "stream:key, for instance crm_contact:0035f00000AbCdE"
            )
    objects = {known[record] for record in pair if record in known}
    if len(objects) > 1:
        raise DecisionError(
            f"{pair[0]} and {pair[1]}: one is a person's record and the other a "
            "company's; a decision is about two of one kind"
        )


def refuse_contradiction(before: list[Decision], given: list[Decision]) -> None:
    """Refuse decisions that contradict others; what contradicted before is old news."""
    old = {found.different.number for found in contradictions(before)}
    new = [
        found
        for found in contradictions([*before, *given])
        if found.different.number not in old
    ]
    if new:
        first = new[0]
        numbers = {each.number for each in given}
        standing = sorted(
            {each.number for each in (first.different, *first.chain)} - numbers
        )
        said = str(first)
        for number in numbers:
            said = said.replace(f"(decision {number})", "(what is decided now)")
        raise DecisionError(
            f"that contradicts what was decided before: {said}. Undo what stands first "
            f"(`cdp identity undo {standing[0] if standing else 'N'}`)"
        )
