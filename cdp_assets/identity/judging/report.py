"""A judgement as markdown, section by section: for the asset and for the terminal."""

from cdp_assets.identity.evaluation import Quality
from cdp_assets.identity.judging.charts import as_image, line_chart, table
from cdp_assets.identity.judging.clerical import Clerical
from cdp_assets.identity.judging.curve import Point
from cdp_assets.identity.judging.intervals import Figures
from cdp_assets.identity.judging.judgement import AgainstTruth, Judgement

# Of the curve, as many of its lines as one reads.
_LINES = 27


def sections(found: Judgement) -> dict[str, str]:
    """Per title the tables that there is anything to say in, without charts."""
    said = {"per source": per_source(found), "per pair of sources": per_pair(found)}
    if found.clerical:
        said = {"random sample": random_sample(found.clerical)} | said
    if found.asked and found.use:
        said = {"costs": costs_table(found, found.use.link_weight)} | said
    if found.truth is None:
        return said
    told = {"against the truth": against_truth(found.truth)}
    if found.truth.curve and found.use:
        told["threshold curve"] = curve_table(found.truth.curve, found.use.link_weight)
    return told | said


def against_truth(truth: AgainstTruth) -> str:
    """Figures with intervals, then the pairs that touch each trap."""
    rows: list[list[object]] = []
    for name, figures in {
        "people": truth.people,
        "exact rules alone": truth.exact_rules,
    }.items():
        rows += _with_intervals(name, figures)
    for trap, quality in truth.evaluation.traps.items():
        rows.append([trap, *_scores(quality)])
    columns = ["", "precision", "recall", "F1"]
    return (
        table(columns, rows)
        + "\n\nIntervals are of 95 %, over "
        + f"{truth.people.islands:,} islands of entities that no person spans two of."
    )


def _with_intervals(name: str, figures: Figures) -> list[list[object]]:
    return [
        [f"{name}, pairwise", figures.precision, figures.recall, figures.f1],
        [
            f"{name}, B-cubed",
            figures.b_cubed_precision,
            figures.b_cubed_recall,
            figures.b_cubed_f1,
        ],
    ]


def _scores(quality: Quality) -> list[str]:
    return [f"{x:.3f}" for x in (quality.precision, quality.recall, quality.f1)]


def random_sample(found: Clerical) -> str:
    """What the answers to a stratified sample say of all pairs compared."""
    rows = [
        [
            each.name,
            f"{each.pairs:,}",
            each.answered,
            f"{each.share:.1%}" if each.answered else "not known",
        ]
        for each in found.strata
    ]
    answered = sum(each.answered for each in found.strata)
    return (
        table(["pairs", "in all", "answered", "of these one person"], rows)
        + f"\n\nPrecision {found.precision}, recall {found.recall} of the true pairs "
        f"that were compared, F1 {found.f1}; from {answered} answers, {found.unsure} "
        f"unsure, of {found.drawn} pairs drawn."
    )


def curve_chart(points: list[Point], in_force: float) -> str:
    """Precision, recall and F1 against the threshold, as markdown with the image."""
    return as_image(
        line_chart(
            "People at each link weight, rules and vetoes as they are",
            {
                "precision": [(p.threshold, p.precision) for p in points],
                "recall": [(p.threshold, p.recall) for p in points],
                "F1": [(p.threshold, p.f1) for p in points],
            },
            x_label="match weight from which the model links (bits)",
            marks={"in force": in_force},
        ),
        "threshold curve",
    )


def curve_table(points: list[Point], in_force: float) -> str:
    """The same as figures."""
    return table(
        ["link weight", "precision", "recall", "F1", "false", "missed", "largest"],
        [
            [
                f"{p.threshold:g}{' (in force)' if p.threshold == in_force else ''}",
                f"{p.precision:.3f}",
                f"{p.recall:.3f}",
                f"{p.f1:.3f}",
                f"{p.false:,}",
                f"{p.missed:,}",
                p.largest,
            ]
            for p in points[:_LINES]
        ],
    )


def costs_table(found: Judgement, in_force: float) -> str:
    """Which link weight the costs ask for, by what, beside the one in force."""
    rows = [[each.source, f"{each.link_weight:+.1f}"] for each in found.asked]
    return table(
        ["by", "link weight the costs ask for"],
        [*rows, ["in force", f"{in_force:+.1f}"]],
    )


def per_source(found: Judgement) -> str:
    """What became of each stream's records."""
    return table(
        [
            "stream",
            "records",
            "people",
            "consolidation",
            "unmatched",
            "known elsewhere",
        ],
        [
            [
                each.source,
                f"{each.records:,}",
                f"{each.people:,}",
                f"{each.consolidation:.1%}",
                f"{each.unmatched:.1%}",
                f"{each.elsewhere:.1%}",
            ]
            for each in found.sources
        ],
    )


def per_pair(found: Judgement) -> str:
    """How many people each two streams share."""
    return table(
        ["streams", "people in both", "of the first", "of the second"],
        [
            [
                f"{each.left}, {each.right}",
                f"{each.people:,}",
                f"{each.of_left:.1%}",
                f"{each.of_right:.1%}",
            ]
            for each in found.shared
        ],
    )
