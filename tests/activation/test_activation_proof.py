"""What deliveries promise, kept through faults and kills."""

from tests.benchmarks.delivery import through_faults


def test_each_key_is_acted_on_once_through_faults_and_kills() -> None:
    """Killed at every named point, by a receiver that drops, stalls and refuses."""
    found = through_faults(2_000, 5)

    assert found["killed"] == 5
    assert found["delivered"] == 2_000
    assert found["receipts"] == found["changes with a receipt"] == 2_000
    assert found["acts where keys are honoured"] == 2_000
    # Where keys are not honoured: one for each lost answer of a fifth of the requests
    # (one fault in six), and for each kill at most what was under way.
    lost = found["acts where they are not"] * 0.2 / 6
    most = 2 * lost + found["killed"] * found["most under way at a kill"]
    assert 0 < found["duplicates there"] <= most
