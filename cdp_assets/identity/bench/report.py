"""What `cdp identity bench` prints."""

from collections.abc import Iterator

from cdp_assets.identity.bench.result import BenchResult


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
    yield (
        f"{result.records:,} records of {result.entities:,} entities became "
        f"{result.clusters:,} clusters, the largest of {result.largest:,}"
    )
    yield (
        f"blocking brings {result.ceiling:.1%} of {result.true_pairs:,} true pairs "
        "together directly"
    )
    if result.refused:
        yield (
            f"{result.refused:,} rows are no record of their own: repeated or refused"
            + (f" ({result.refusal})" if result.refusal else "")
        )
    failed = [str(verdict) for verdict in result.verdicts if not verdict.passed]
    yield "gates: " + ("; ".join(failed) if failed else "all passed")
    yield (
        f"{sum(result.seconds.values()):.1f} seconds, "
        f"{result.peak_bytes / 2**20:,.0f} MiB of memory at most"
    )
