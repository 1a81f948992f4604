"""What `cdp identity bench` prints."""

from collections.abc import Iterator

from cdp_assets.identity.bench.in_turn import InTurn
from cdp_assets.identity.bench.misses import Misses
from cdp_assets.identity.bench.result import BenchResult
from cdp_assets.identity.bench.scores import measures


def render(result: BenchResult) -> Iterator[str]:
    """The figures, a line each."""
    quality = result.quality
    yield "            precision  recall      F1"
    yield (
        f"pairwise     {quality.precision:8.4f}{quality.recall:8.4f}{quality.f1:8.4f}"
    )
    yield (
        f"B-cubed      {quality.b_cubed_precision:8.4f}"
        f"{quality.b_cubed_recall:8.4f}{quality.b_cubed_f1:8.4f}"
    )
    yield ""
    yield from _intervals(result)
    yield ""
    yield (
        f"{result.records:,} records of {result.entities:,} entities became "
        f"{result.clusters:,} clusters, the largest of {result.largest:,}"
    )
    yield (
        f"blocking brings {result.ceiling:.1%} of {result.true_pairs:,} true pairs "
        "together directly"
    )
    yield from _curve(result)
    if result.misses:
        yield from _misses(result.misses)
    for count, what in (
        (result.unknown, "of the truth that name no record"),
        (result.unlabelled, "of the file that the truth does not name"),
    ):
        if count:
            yield f"rows {what}: {count:,}"
    if result.refused:
        yield (
            f"rows that are no record of their own, repeated or refused: "
            f"{result.refused:,}" + (f" ({result.refusal})" if result.refusal else "")
        )
    failed = [str(verdict) for verdict in result.verdicts if not verdict.passed]
    yield "gates: " + ("; ".join(failed) if failed else "all passed")
    yield (
        f"{sum(result.seconds.values()):.1f} seconds, "
        f"{result.peak_bytes / 2**20:,.0f} MiB of memory at most"
    )


def render_in_turn(found: InTurn) -> Iterator[str]:
    """The scores after each load, and whether one load of all would be the same."""
    for number, turn in enumerate(found.turns, start=1):
        quality, result = turn.result.quality, turn.result
        yield f"after load {number}, {turn.load.records.name}: {turn.way.name}, " + (
            f"{turn.way.reason}"
        )
        yield (
            f"  {result.records:,} records of {result.entities:,} entities became "
            f"{result.clusters:,} clusters, the largest of {result.largest:,}"
        )
        yield (
            f"  pairwise P {quality.precision:.4f} R {quality.recall:.4f} "
            f"F1 {quality.f1:.4f} ({result.figures.f1.low:.4f} to "
            f"{result.figures.f1.high:.4f}), B-cubed F1 {quality.b_cubed_f1:.4f}"
        )
    yield (
        "one load of all of them makes the same people"
        if not found.differing
        else f"one load of all of them puts {found.differing:,} records together with "
        "others: this is a fault of the program"
    )


def _intervals(result: BenchResult) -> Iterator[str]:
    yield (
        f"intervals of 95 %, over {result.figures.islands:,} groups of entities that "
        "share no cluster"
    )
    for name, figure in measures(result).items():
        yield f"  {name:<20}{figure.low:8.4f} to {figure.high:.4f}"


def _curve(result: BenchResult) -> Iterator[str]:
    """The curve, without the points that change nothing."""
    if not result.curve:
        return
    yield ""
    yield "link weight  precision  recall      F1   false  missed  largest"
    last = None
    for point in result.curve:
        in_force = point.threshold == result.link_weight
        said = (point.right, point.false)
        if said == last and not in_force:
            continue
        last = said
        yield (
            f"{point.threshold:11g}  {point.precision:9.4f}{point.recall:8.4f}"
            f"{point.f1:8.4f}{point.false:8,}{point.missed:8,}{point.largest:9,}"
            + ("  in force" if in_force else "")
        )
    yield ""


def _misses(found: Misses) -> Iterator[str]:
    yield (
        f"{found.false_merges:,} pairs are wrongly one, {found.missed:,} are missed"
        + (f" ({found.unresolved:,} for want of a record)" if found.unresolved else "")
        + f"; misses.csv says why of {found.written:,}"
    )
