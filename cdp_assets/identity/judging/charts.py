"""Charts as SVG inside the markdown that shows them: nothing is loaded from elsewhere.

Dagster shows asset metadata as markdown whose images may be data URIs. A chart library
would bring a megabyte of script into each of them, or load it from the internet.
"""

import base64
import html
from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT = 640, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 130, 30, 40
# Told apart by those who see no red or green, too (Okabe and Ito).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_ROW = 20

Line = Sequence[tuple[float, float]]


def line_chart(
    title: str,
    lines: Mapping[str, Line],
    *,
    x_label: str,
    marks: Mapping[str, float] | None = None,
) -> str:
    """Lines over one x axis, as an SVG document.

    Args:
        title: Stands above.
        lines: Per name of the legend its points.
        x_label: Stands below the axis.
        marks: Per name an x at which a dashed line stands.
    """
    points = [point for line in lines.values() for point in line]
    if not points:
        return _document(title, [], _HEIGHT)
    x_span = _span([x for x, _ in points] + list((marks or {}).values()))
    y_span = _span([y for _, y in points])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_span[0]) / (x_span[1] - x_span[0])
        up = (y - y_span[0]) / (y_span[1] - y_span[0])
        return (
            _LEFT + across * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = []
    for share in range(5):
        x = x_span[0] + (x_span[1] - x_span[0]) * share / 4
        y = y_span[0] + (y_span[1] - y_span[0]) * share / 4
        parts.append(_text(place(x, y_span[0])[0] - 10, _HEIGHT - 22, f"{x:g}"))
        parts.append(_text(4, place(x_span[0], y)[1] + 4, f"{y:.4g}"))
        parts.append(_stroke([place(x_span[0], y), place(x_span[1], y)], "#e1e4e8"))
    for name, x in (marks or {}).items():
        ends = [place(x, y_span[0]), place(x, y_span[1])]
        parts.append(_stroke(ends, "#6e7781", dashed=True))
        parts.append(_text(ends[1][0] + 3, ends[1][1] + 10, name))
    for number, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(_stroke([place(*point) for point in line], colour, width=2))
        parts.append(_text(_WIDTH - _RIGHT + 8, _TOP + 16 * number, name, colour))
    parts.append(_text(_LEFT, _HEIGHT - 6, x_label))
    return _document(title, parts, _HEIGHT)


def bar_chart(title: str, bars: Sequence[tuple[str, float]]) -> str:
    """One horizontal bar per name, to the left of zero where negative, as SVG."""
    if not bars:
        return _document(title, [], _TOP)
    low, high = _span([0.0, *(value for _, value in bars)])
    start, width = 300, _WIDTH - 300 - 70
    zero = start - low / (high - low) * width
    parts = []
    for number, (name, value) in enumerate(bars):
        y = _TOP + number * _ROW
        length = abs(value) / (high - low) * width
        left = zero if value >= 0 else zero - length
        colour = _COLOURS[0] if value >= 0 else _COLOURS[1]
        parts.append(_text(4, y + 13, name))
        parts.append(
            f'<rect x="{left:.1f}" y="{y + 2}" width="{max(length, 0.5):.1f}" '
            f'height="{_ROW - 5}" fill="{colour}"/>'
        )
        parts.append(_text(_WIDTH - 60, y + 13, f"{value:+.3g}"))
    return _document(title, parts, _TOP + _ROW * len(bars) + 8)


def as_image(svg: str, alt: str) -> str:
    """Markdown that holds the chart itself."""
    encoded = base64.b64encode(svg.encode()).decode()
    return f"![{alt}](data:image/svg+xml;base64,{encoded})"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A markdown table; numbers stand to the right, but for the first column."""
    lines = [
        f"| {' | '.join(columns)} |",
        "|---|" + "---:|" * (len(columns) - 1),
    ]
    lines += [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _span(values: Sequence[float]) -> tuple[float, float]:
    """From the least to the greatest; of equal values, one around them."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _stroke(
    points: Sequence[tuple[float, float]],
    colour: str,
    *,
    width: float = 1,
    dashed: bool = False,
) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" '
        f'stroke-width="{width}"{dashes}/>'
    )


def _text(x: float, y: float, said: str, colour: str = "#24292f") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}">{html.escape(said)}</text>'


def _document(title: str, parts: Sequence[str], height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="11">'
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>'
        f'<text x="4" y="16" font-size="13">{html.escape(title)}</text>'
        + "".join(parts)
        + "</svg>"
    )
