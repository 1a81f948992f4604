"""``kill -9``: a run that is killed anywhere and made again ends like one that was not.

Here three points over a small sample, each of which takes two runs of the graph; all
points and any number of moments, at any size: ``python -m tests.benchmarks.kill
--moments 20 --people 40000``.
"""

import shutil
from pathlib import Path

import pytest

from tests.benchmarks.kill import outcome, run, trial
from tests.benchmarks.waves import drop_changes

# In the middle of a stage's only transaction, where half of it would do most harm.
POINTS = ("as a load commits", "as identity promotes", "during delivery")

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("upheaval")]


@pytest.fixture(scope="module")
def base(
    first_run: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, object], float]:
    """A folder with history and a wave waiting, and what an undisturbed run makes."""
    home = tmp_path_factory.mktemp("kill")
    shutil.copytree(first_run[0], home / "base", symlinks=True)
    drop_changes(home / "base", first_run[0] / "samples", seed=1)
    shutil.copytree(home / "base", home / "twin", symlinks=True)
    seconds = run(home / "twin")
    return home / "base", outcome(home / "twin"), seconds


@pytest.mark.parametrize("point", POINTS)
def test_killed_and_run_again_it_ends_the_same(
    base: tuple[Path, dict[str, object], float], tmp_path: Path, point: str
) -> None:
    start, expected, seconds = base
    seen = trial(tmp_path, start, expected, point, seconds)
    assert not seen.differences
    assert seen.killed
