"""How good the published people are, as an asset."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from cdp_assets.defs.identity import GROUP, LINKS, OWNER, RULESET
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.identity.judging.judgement import AgainstTruth, Judgement, judge
from cdp_assets.identity.judging.report import curve_chart, sections


@dg.asset(
    key=["identity", "model_evaluation"],
    deps=[LINKS],
    group_name=GROUP,
    kinds={"duckdb"},
    owners=[OWNER],
    tags={"cdp/layer": "identity"},
    check_specs=[
        dg.AssetCheckSpec(
            "threshold_fits_costs",
            asset=["identity", "model_evaluation"],
            description="The link weight in force is about the one that the ruleset's "
            "costs ask for; nothing is changed by itself.",
        )
    ],
)
def model_evaluation(warehouse: WarehouseResource) -> Iterator[Any]:
    """Precision, recall and F1 of the published people, and rates per source.

    Against the truth where one is known: the samples bring theirs
    (``data/samples/truth.csv``), which no other asset reads. Labels that people gave
    are judged apart. All intervals are of 95 %.
    """
    truth = warehouse.paths.samples / "truth.csv"
    with warehouse.reading("evaluation") as connection:
        found = judge(connection, RULESET, truth)
    yield dg.MaterializeResult(metadata=_metadata(found))
    yield _threshold_fits(found)


def _threshold_fits(found: Judgement) -> dg.AssetCheckResult:
    asked = found.asked[0] if found.asked else None
    return dg.AssetCheckResult(
        check_name="threshold_fits_costs",
        passed=found.costs_agree,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "asked": f"{asked.link_weight:+.1f} by {asked.source}"
            if asked
            else "the ruleset states no costs",
            "in_force": found.use.link_weight if found.use else "no model",
        },
    )


def _metadata(found: Judgement) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "consolidation_rate": round(found.totals.consolidation, 4),
        "largest_person": found.totals.largest,
        "unmatched_rate": round(found.totals.unmatched, 4),
        **_on_labels(found),
        **_on_sample(found),
    }
    if found.truth:
        metadata |= _on_truth(found.truth)
    else:
        metadata["truth"] = "none beside the sources"
    for title, text in sections(found).items():
        metadata[title.replace(" ", "_")] = dg.MetadataValue.md(text)
    if found.truth and found.truth.curve and found.use:
        metadata["threshold_chart"] = dg.MetadataValue.md(
            curve_chart(found.truth.curve, found.use.link_weight)
        )
    return metadata


def _on_sample(found: Judgement) -> dict[str, Any]:
    """What the answers to a random sample say of all pairs that were compared."""
    if not found.clerical:
        return {
            "random_sample": "none answered; `cdp identity review --stratified 200` "
            "draws one"
        }
    return {
        "estimated_precision": round(found.clerical.precision.value, 4),
        "estimated_precision_at_least": round(found.clerical.precision.low, 4),
        "estimated_recall": round(found.clerical.recall.value, 4),
    }


def _on_truth(truth: AgainstTruth) -> dict[str, float]:
    """Plain figures, which Dagster draws over time."""
    people = truth.people
    return {
        "precision": round(people.precision.value, 4),
        "recall": round(people.recall.value, 4),
        "f1": round(people.f1.value, 4),
        "f1_at_least": round(people.f1.low, 4),
        "b_cubed_f1": round(people.b_cubed_f1.value, 4),
        "f1_of_exact_rules_alone": round(truth.exact_rules.f1.value, 4),
    }


def _on_labels(found: Judgement) -> dict[str, str]:
    """What people said of pairs, and how the published people agree with it."""
    if not found.answers:
        return {"labels": "none; `cdp identity review` lists pairs to ask about"}
    return {
        "labels": ", ".join(f"{n} {answer}" for answer, n in found.answers.items()),
        "precision_on_labels": str(found.on_labels.precision),
        "recall_on_labels": str(found.on_labels.recall),
    }


@dg.definitions
def evaluation_definitions() -> dg.Definitions:
    """The evaluation."""
    return dg.Definitions(assets=[model_evaluation])
