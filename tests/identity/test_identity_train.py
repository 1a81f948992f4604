"""Another version of the match model: trained, kept, and used by nobody yet."""

import json
from pathlib import Path
from typing import Any

import pytest

from cdp_assets.errors import OperatorError
from cdp_assets.identity.judging.training_report import charts, in_words
from cdp_assets.identity.model import read_model
from cdp_assets.identity.rules import RULESET, read_ruleset
from cdp_assets.identity.train import Training, keep_version, train, write_file
from tests.identity.conftest import AS_OF


def test_a_trained_version_is_kept_and_waits_for_the_ruleset(
    scene: Any, tmp_path: Path
) -> None:
    """A model that is used because it was trained last would move people by itself."""
    shipped = RULESET.with_name("match_model.json")
    content = json.loads(shipped.read_text(encoding="utf-8"))
    passes = {"l.last_name = r.last_name": [0.2, 0.31, 0.312]}
    trained = Training(content | {"matches_per_record": 0.75}, passes)
    # What is written is what a version's name is a digest of.
    assert Training(content, passes).text == shipped.read_text(encoding="utf-8")
    assert Training(content, passes).version == read_model("match_model.json").version

    assert keep_version(scene.connection, trained, read_ruleset(), at=AS_OF)
    assert not keep_version(scene.connection, trained, read_ruleset(), at=AS_OF)
    file = tmp_path / "models" / "next.json"
    write_file(trained, file)
    model = read_model(file)
    assert model.version == trained.version
    assert model.matches_per_record == 0.75

    row = scene.rows(
        "select settings, frequencies, caps, thresholds, trained_on_records, report "
        "from identity.match_model where model_version = ?",
        trained.version,
    )[0]
    settings, frequencies, caps, thresholds, records, report = row
    assert json.loads(settings) == model.settings
    assert json.loads(frequencies) == model.frequencies
    assert json.loads(caps)["email_address"]["records"] == 20
    assert (
        json.loads(thresholds)["link_weight"] == read_ruleset().individual.link_weight()
    )
    assert records == content["trained_on_records"]
    assert json.loads(report)["convergence"] == passes

    scene.person("crm_contact:1", "Ada", "Byron", email="a@b.org")
    result = scene.resolve()
    used = result.individual.versions.model
    assert used is not None
    assert used.startswith(read_model("match_model.json").version)

    told = in_words(trained)
    assert "last_name: same" in told
    assert "| l.last_name = r.last_name | 2 | 2.0e-03 |" in told
    for chart in charts(trained).values():
        assert "](data:image/svg+xml;base64," in chart


def test_too_few_records_are_refused(scene: Any) -> None:
    scene.person("crm_contact:1", "Ada", "Byron", email="a@b.org")
    with pytest.raises(OperatorError, match="1 records are too few to train on"):
        train(scene.connection)
