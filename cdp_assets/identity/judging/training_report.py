"""How a training went: what each level weighs, and whether its estimation settled."""

import math

from cdp_assets.identity.judging.charts import as_image, bar_chart, line_chart, table
from cdp_assets.identity.train import Training


def levels(trained: Training) -> list[tuple[str, float, float]]:
    """Per level its name, and how often it is met within one person and by chance."""
    return [
        (
            f"{comparison['output_column_name']}: {level['label_for_charts']}",
            level["m_probability"],
            level["u_probability"],
        )
        for comparison in trained.content["settings"]["comparisons"]
        for level in comparison["comparison_levels"]
        if not level.get("is_null_level")
    ]


def in_words(trained: Training) -> str:
    """The levels and the passes as markdown tables, which a terminal shows as well."""
    weights = table(
        ["level", "within one person", "by chance", "weight (bits)"],
        [
            [name, f"{m:.3g}", f"{u:.3g}", f"{math.log2(m / u):+.2f}"]
            for name, m, u in levels(trained)
        ],
    )
    passes = table(
        ["pass of expectation maximisation", "rounds", "last change"],
        [
            [rule, len(shares) - 1, f"{abs(shares[-1] - shares[-2]):.1e}"]
            for rule, shares in trained.convergence.items()
            if len(shares) > 1
        ],
    )
    return (
        f"{trained.version}, from {trained.content['trained_on_records']:,} records\n\n"
        f"{weights}\n\n{passes}"
    )


def charts(trained: Training) -> dict[str, str]:
    """Per title a chart as markdown that holds the image."""
    weights = [(name, math.log2(m / u)) for name, m, u in levels(trained)]
    lines = {
        f"pass {number}": [(float(n), share) for n, share in enumerate(shares)]
        for number, shares in enumerate(trained.convergence.values(), start=1)
    }
    return {
        "match_weights": as_image(
            bar_chart("Match weight of each level (bits)", weights), "match weights"
        ),
        "convergence": as_image(
            line_chart(
                "Share of true pairs among those of each pass", lines, x_label="round"
            ),
            "convergence",
        ),
    }
