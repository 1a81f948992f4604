"""Why not, as text for a terminal."""

from collections.abc import Iterator

from cdp_assets.identity.explain_text import side_by_side, waterfall
from cdp_assets.identity.why_not import KeyFound, RuleFound, WhyNot


def in_words(found: WhyNot) -> str:
    """The whole of it."""
    a, b = found.record_a, found.record_b
    if found.people[a] == found.people[b]:
        return (
            f"{a} and {b} are one, {found.people[a]}: `cdp identity why {a} {b}` says "
            "why."
        )
    lines = [
        f"{a} and {b} are two, {found.people[a]} and {found.people[b]}:",
        f"  {found.in_short}.",
        "",
    ]
    lines += [*_against(found), "", "Match rules"]
    for rule in found.rules:
        lines += _rule(rule)
    if found.link_weight is not None:
        lines += ["", *_model(found), "", *_keys(found.keys)]
    lines += ["", *side_by_side([a, b], found.values, found.landed)]
    return "\n".join(lines)


def _against(found: WhyNot) -> Iterator[str]:
    yield "Stands against it"
    against = [
        *found.decisions,
        *(f"fact: {fact.replace('_', ' ')}" for fact in found.facts),
        *found.shared,
    ]
    for each in against or [
        "nothing: no decision, no fact, no value shared by too many"
    ]:
        yield f"  {each}"


def _rule(rule: RuleFound) -> Iterator[str]:
    verdict = "holds" if rule.holds else "does not hold"
    if rule.holds and rule.too_common:
        verdict = f"holds for {rule.too_common}: too common to link by"
    yield f"  {rule.name}: {verdict}"
    for each in rule.compared:
        said = "yes" if each.holds else "no "
        left, right = each.left or "nothing", each.right or "nothing"
        yield (
            f"    {said}  {each.criterion.field} by {each.criterion.method}: "
            f"{left} | {right}"
        )


def _model(found: WhyNot) -> Iterator[str]:
    if found.weight is None or found.link_weight is None:
        return
    side = "above" if found.weight >= found.link_weight else "below"
    yield f"The model, asked now: {side} the {found.link_weight:+g} from which it links"
    for line in waterfall(found.weight, found.model_version, found.parts):
        yield f"  {line}"


def _keys(keys: list[KeyFound]) -> Iterator[str]:
    if any(key.brings for key in keys):
        yield "The model gets to see the pair, by the blocking keys that say yes"
    else:
        yield "The model never gets to see the pair: no blocking key brings it"
    for key in sorted(keys, key=lambda key: (not key.brings, not key.agrees)):
        if key.brings:
            yield f"  yes  {key.name}"
        elif key.agrees:
            yield (
                f"  no   {key.name}: agrees, but {key.records:,} records do, above "
                f"the {key.at_most} that are compared"
            )
        else:
            yield f"  no   {key.name}"
