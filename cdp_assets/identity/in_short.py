"""Why two records are one person, or two, in a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

from cdp_assets.identity.model import MatchModel

# As many comparisons are named as one sentence bears.
_NAMED = 3


@dataclass(frozen=True)
class PairSaid:
    """What rules, blocking, facts and model say of one pair."""

    rules: tuple[str, ...]
    """Match rules that hold, caps counted."""
    keys: tuple[str, ...]
    """Blocking keys that bring the two together."""
    common: tuple[str, ...]
    """Rules and keys on whose value they agree, but too many others do."""
    vetoes: tuple[str, ...]
    """Facts that contradict, and vetoes of the published evidence."""
    weight: float | None
    levels: tuple[int, ...]
    link_weight: float | None


def why_apart(said: PairSaid, model: MatchModel | None) -> str:
    """Why the two are not one: the first of the obstacles that would have to go."""
    if not (said.rules or said.keys):
        return "; ".join([*_never_met(said), *_would_weigh(said, model)])
    linked = _links(said)
    facts = [veto for veto in said.vetoes if veto not in _AGAINST_A_LINK]
    if linked and facts:
        return f"{linked}, but a fact forbids it: {_words(facts)}"
    for veto, reason in _AGAINST_A_LINK.items():
        if linked and veto in said.vetoes:
            return f"{linked}, but {reason}"
    if said.weight is None or said.link_weight is None:
        return "no match rule holds"
    told = (
        f"the model gives {said.weight:+.2f}, below the {said.link_weight:+g} from "
        f"which it links{_most(said, model, against=True)}"
    )
    return f"{told}; a fact forbids it too: {_words(facts)}" if facts else told


def why_together(said: PairSaid, model: MatchModel | None) -> str:
    """What made the two one."""
    linked = _links(said)
    if linked and not said.vetoes:
        return linked + ("" if said.rules else _most(said, model, against=False))
    own = (
        f"; the pair itself weighs {said.weight:+.2f}"
        + _most(said, model, against=True)
        if said.weight is not None
        else ""
    )
    return f"records between them hold them together{own}"


_AGAINST_A_LINK = {
    "overruled_by_model": "the model overrules it by all else they say",
    "nothing_personal": "they share nothing but what a whole household does",
    "refined_apart": "their group contradicts itself and was parted between them",
}


def _links(said: PairSaid) -> str:
    """What links the pair, vetoes apart; "" where nothing does."""
    if said.rules:
        return f"match rule {_words(said.rules)} holds"
    if said.weight is None or said.link_weight is None:
        return ""
    if said.weight < said.link_weight:
        return ""
    return f"the model gives {said.weight:+.2f}, which links"


def _never_met(said: PairSaid) -> list[str]:
    told = ["not compared: no rule and no blocking key brings them together"]
    if said.common:
        told.append(f"they agree on {_words(said.common)}, but too many records do")
    return told


def _would_weigh(said: PairSaid, model: MatchModel | None) -> list[str]:
    if said.weight is None or said.link_weight is None:
        return []
    against = said.weight < said.link_weight
    most = _most(said, model, against=against)
    return [f"the model would give {said.weight:+.2f}{most}"]


def _most(said: PairSaid, model: MatchModel | None, *, against: bool) -> str:
    """The comparisons that weigh most on one side, in brackets."""
    if model is None:
        return ""
    weights = model.level_weights()
    labels = model.level_labels()
    found = []
    for (name, of_level), level in zip(weights.items(), said.levels, strict=True):
        if level >= 0 and (of_level[level] < 0) is against:
            label = f"{name.replace('_', ' ')}: {labels[name][level]}"
            found.append((-abs(of_level[level]), f"{label} {of_level[level]:+.1f}"))
    told = ", ".join(text for _, text in sorted(found)[:_NAMED])
    if not told and against:
        told = "nothing speaks against it, too little for it"
    return f" ({told})" if told else ""


def _words(names: Sequence[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)
