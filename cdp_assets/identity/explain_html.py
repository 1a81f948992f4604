"""An explanation as one HTML page that needs nothing from elsewhere."""

import html
from collections.abc import Iterator

from cdp_assets.identity.explain import Edge, Explanation
from cdp_assets.identity.explain_text import reason
from cdp_assets.identity.waterfall import Part

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem;
  padding: 0 1rem; color: #1b1f24; background: #fff; }
h1 { font-size: 1.3rem } h2 { font-size: 1.05rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem;
  border-bottom: 1px solid #d8dee4; overflow-wrap: anywhere }
tr th:first-child { white-space: nowrap } code { font-size: .9em }
.against { color: #a40e26 } text { font-size: 12px }
"""
_ROW, _LEFT, _SCALE_TO = 22, 430, 380


def page(found: Explanation) -> str:
    """The whole explanation as a page."""
    a, b = html.escape(found.record_a), html.escape(found.record_b)
    verdict = (
        f"are one: {html.escape(found.people[found.record_a])}"
        if found.together
        else "are two"
    )
    body = [f"<h1><code>{a}</code> and <code>{b}</code> {verdict}</h1>"]
    if len(found.chain) > 2:
        path = " → ".join(f"<code>{html.escape(each)}</code>" for each in found.chain)
        body.append(f"<p>They hang together along {path}.</p>")
    for edge in found.edges:
        body += _edge(edge)
    body += _table(found)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{a} and {b}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _edge(edge: Edge) -> Iterator[str]:
    left, right = html.escape(edge.left), html.escape(edge.right)
    yield f"<h2><code>{left}</code> and <code>{right}</code></h2><ul>"
    for decision in edge.decisions:
        yield f"<li><b>{html.escape(decision)}</b></li>"
    for each in edge.evidence:
        said = reason(each)
        if said:
            against = ' class="against"' if each.kind == "veto" else ""
            yield f"<li{against}>{html.escape(said)}</li>"
    if not edge.evidence and not edge.decisions:
        yield "<li>no rule holds, and the model does not bring them together</li>"
    yield "</ul>"
    if edge.weight is not None:
        yield (
            f"<p>Match weight <b>{edge.weight:+.2f}</b> by "
            f"<code>{html.escape(str(edge.model_version))}</code></p>"
        )
        yield _waterfall(edge.parts)


def _waterfall(parts: list[Part]) -> str:
    """Each part as a bar that starts where the one before ended."""
    ends = [0.0]
    for part in parts:
        ends.append(ends[-1] + part.weight)
    low, high = min(ends), max(ends)
    scale = _SCALE_TO / max(high - low, 1.0)
    height = _ROW * len(parts) + 6
    zero = _LEFT - low * scale
    bars = [f'<line x1="{zero:.1f}" x2="{zero:.1f}" y2="{height}" stroke="#8c959f"/>']
    for place, part in enumerate(parts):
        start, end = sorted(ends[place : place + 2])
        y = place * _ROW + 3
        colour = "#2da44e" if part.weight >= 0 else "#cf222e"
        label = html.escape(f"{part.weight:+.2f}  {part.name}: {part.said}")
        bars.append(f'<text x="0" y="{y + 14}">{label}</text>')
        bars.append(
            f'<rect x="{_LEFT + (start - low) * scale:.1f}" y="{y}" '
            f'width="{max((end - start) * scale, 1):.1f}" height="{_ROW - 6}" '
            f'fill="{colour}"/>'
        )
    width = _LEFT + _SCALE_TO + 10
    return (
        f'<svg viewBox="0 0 {width} {height}" width="100%" role="img" '
        f'aria-label="how the weight adds up">{"".join(bars)}</svg>'
    )


def _table(found: Explanation) -> Iterator[str]:
    yield "<h2>What is compared of them</h2><table><tr><th></th>"
    yield "".join(f"<th><code>{html.escape(r)}</code></th>" for r in found.chain)
    yield "</tr>"
    for name, said in found.values.items():
        cells = "".join(
            f"<td>{html.escape(said.get(r) or '-')}</td>" for r in found.chain
        )
        yield f"<tr><th>{html.escape(name.replace('_', ' '))}</th>{cells}</tr>"
    cells = "".join(
        f"<td><code>{html.escape(str(found.landed.get(r) or '-'))}</code></td>"
        for r in found.chain
    )
    yield f"<tr><th>landed in</th>{cells}</tr></table>"
