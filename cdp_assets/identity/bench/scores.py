"""The scores of a bench as files: ``scores.csv`` and ``curve.csv``."""

import csv
from pathlib import Path

from cdp_assets.identity.bench.result import BenchResult
from cdp_assets.identity.judging.intervals import Figure


def measures(result: BenchResult) -> dict[str, Figure]:
    """The six figures by their names, with their intervals."""
    names = ("precision", "recall", "f1")
    return {
        f"{kind}{name}": getattr(result.figures, f"{prefix}{name}")
        for kind, prefix in (("pairwise_", ""), ("b_cubed_", "b_cubed_"))
        for name in names
    }


def write_scores(result: BenchResult, folder: Path) -> None:
    """Write both files; ``low`` and ``high`` bound each measure 19 times of 20."""
    with (folder / "scores.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["measure", "value", "low", "high"])
        for name, figure in measures(result).items():
            values = (figure.value, figure.low, figure.high)
            writer.writerow([name, *(f"{value:.6f}" for value in values)])
    with (folder / "curve.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["link_weight", "precision", "recall", "f1", "false", "missed", "largest"]
        )
        for point in result.curve:
            shares = (point.precision, point.recall, point.f1)
            writer.writerow(
                [
                    f"{point.threshold:g}",
                    *(f"{share:.6f}" for share in shares),
                    *(point.false, point.missed, point.largest),
                ]
            )
