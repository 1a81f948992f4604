"""An explanation as text, for a terminal."""

from collections.abc import Iterator, Mapping

import duckdb

from cdp_assets.identity.evidence_path import Evidence
from cdp_assets.identity.explain import Edge, Explanation, explain
from cdp_assets.identity.lineage import Landed
from cdp_assets.identity.waterfall import Part

_WIDEST = 34


def why(connection: duckdb.DuckDBPyConnection, record_a: str, record_b: str) -> str:
    """Explain two records, as ``cdp identity why`` prints it."""
    return in_words(explain(connection, record_a, record_b))


def in_words(found: Explanation) -> str:
    """The whole explanation."""
    lines = list(_verdict(found))
    for edge in found.edges:
        lines += ["", f"{edge.left}  -  {edge.right}", *_edge(edge)]
    lines += ["", *side_by_side(found.chain, found.values, found.landed)]
    return "\n".join(lines)


def reason(evidence: Evidence) -> str | None:
    """What one row of evidence says, if it says more than its weight."""
    if evidence.kind == "rule":
        return f"match rule {evidence.rule} holds"
    if evidence.kind == "veto":
        return f"speaks against it: {evidence.rule.replace('_', ' ')}"
    return None


def waterfall(weight: float, version: str | None, parts: list[Part]) -> Iterator[str]:
    """A match weight and its summands, one per line."""
    yield f"match weight {weight:+.2f} by {version}"
    for part in parts:
        yield f"  {part.weight:+8.2f}  {part.name}: {part.said}"


def side_by_side(
    records: list[str],
    values: Mapping[str, Mapping[str, str]],
    landed: Mapping[str, Landed | None],
) -> Iterator[str]:
    """What the records say, attribute by attribute, and where each was landed."""
    yield "What is compared of them"
    width = max((len(name) for name in values), default=0)
    for name, said in values.items():
        for place, record in enumerate(records):
            label = name if place == 0 else ""
            yield f"  {label:<{width}}  {record:<{_WIDEST}}  {said.get(record) or '-'}"
    yield "Landed in"
    for record in records:
        yield f"  {record:<{_WIDEST}}  {landed.get(record) or 'no row in its stream'}"


def _verdict(found: Explanation) -> Iterator[str]:
    a, b = found.record_a, found.record_b
    noun = "person" if found.object == "individual" else "company"
    if not found.together:
        yield f"{a} and {b} are two {'people' if noun == 'person' else 'companies'}."
        if not any(edge.evidence for edge in found.edges):
            yield "No rule holds and the model does not bring them together."
        yield f"`cdp identity why-not {a} {b}` says what would have."
        return
    yield f"{a} and {b} are one {noun}, {found.people[a]}."
    if len(found.chain) > 2:
        yield "They hang together through " + ", ".join(found.chain[1:-1]) + "."


def _edge(edge: Edge) -> Iterator[str]:
    for decision in edge.decisions:
        yield f"  {decision}"
    for each in edge.evidence:
        said = reason(each)
        if said:
            yield f"  {said}"
    if edge.weight is not None:
        for line in waterfall(edge.weight, edge.model_version, edge.parts):
            yield f"  {line}"
