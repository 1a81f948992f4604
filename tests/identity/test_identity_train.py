"""Another version of the match model: trained, kept, and used by nobody yet."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from cdp_assets.cli import main
from cdp_assets.declarations import DeclarationError
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.defs.training import train_match_model
from cdp_assets.errors import OperatorError
from cdp_assets.identity.judging.training_report import charts, in_words, levels
from cdp_assets.identity.model import read_model
from cdp_assets.identity.rules import RULESET, Ruleset, read_ruleset
from cdp_assets.identity.train import Training, keep_version, train, write_file
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse
from tests.identity.conftest import AS_OF, Scene
from tests.identity.population import TABLES, populate


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


def trained_in(
    folder: Path, *, threads: int, order: str, late: int, records: int = 600
) -> Training:
    """A training on the same people, read in some order, some of them loaded later."""
    with Warehouse(Paths(folder)).writing("a test") as connection:
        connection.execute(f"set threads = {threads}")
        scene = Scene(connection)
        populate(connection, records)
        for table in TABLES:
            connection.execute(
                f"create table dmo.copied as from dmo.{table} order by {order};"
                f"drop table dmo.{table}; alter table dmo.copied rename to {table}"
            )
        if late:
            kept = f"hash(id) % {late} > 0"
            connection.execute(
                "create table dmo.everybody as from dmo.individual;"
                f"delete from dmo.individual where not ({kept})"
            )
            scene.resolve()
            connection.execute(
                "insert into dmo.individual from dmo.everybody "
                f"where not ({kept}); drop table dmo.everybody"
            )
            scene.resolve()
        return train(connection, least=2)


@pytest.mark.long
def test_the_same_records_give_the_same_file(tmp_path: Path) -> None:
    """Whatever their order, threads and node ids; and nothing in it is impossible.

    On 600 records most comparisons have a level that no two records of one person
    show, of which expectation maximisation makes 1e-54 and then 0.
    """
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    first = trained_in(folders[0], threads=1, order="id", late=0)
    again = trained_in(folders[1], threads=2, order="hash(id)", late=3)
    assert first.text == again.text

    records = first.content["trained_on_records"]
    pairs = first.content["matches_per_record"] * records / 2
    for name, m, u in levels(first):
        assert m >= 0.499 / pairs, name
        assert u >= 0.499 / (records * (records - 1) / 2), name
    assert any(m < 0.501 / pairs for _, m, _ in levels(first))


def test_what_no_record_says_is_not_compared(tmp_path: Path) -> None:
    """A shop that asks for no telephone can have a model all the same, and use it."""
    with Warehouse(Paths(tmp_path)).writing("a test") as connection:
        scene = Scene(connection)
        populate(connection, 600)
        connection.execute("delete from dmo.contact_point_phone")
        trained = train(connection, least=2)
        names = [
            comparison["output_column_name"]
            for comparison in trained.content["settings"]["comparisons"]
        ]
        assert "phone" not in names
        assert "email" in names
        assert "l.phones[1] = r.phones[1]" not in trained.convergence
        write_file(trained, tmp_path / "next.json")
        result = scene.resolve(naming(tmp_path / "next.json"))
        assert result.individual.versions.model is not None
        assert result.individual.versions.model.startswith(trained.version)


def test_records_that_never_overlap_teach_nothing(scene: Any) -> None:
    """A division by no pairs would be a traceback at the end of an hour."""
    for number in range(40):
        scene.person(f"crm_contact:{number}", f"Ada{number}", f"Byron{number}")
    with pytest.raises(OperatorError, match="there is nothing to learn from"):
        train(scene.connection, least=2)


def naming(model: Path) -> Ruleset:
    """The ruleset shipped, with another model in it."""
    rules = read_ruleset()
    assert rules.individual.model is not None
    use = rules.individual.model.model_copy(update={"file": str(model)})
    return rules.model_copy(
        update={"individual": rules.individual.model_copy(update={"model": use})}
    )


@pytest.mark.long
def test_a_version_is_judged_used_and_left_again(tmp_path: Path) -> None:
    """Each is a full run; what its gates hold leaves the people and the model."""
    with Warehouse(Paths(tmp_path)).writing("a test") as connection:
        scene = Scene(connection)
        populate(connection, 600)
        scene.resolve()
        shipped = read_model("match_model.json").version
        before = scene.people()

        trained = train(connection, least=2)
        file = tmp_path / "models" / "next.json"
        write_file(trained, file)
        strict = naming(file)
        gates = strict.individual.gates.model_copy(update={"ids_changed": 1e-9})
        strict = strict.model_copy(
            update={"individual": strict.individual.model_copy(update={"gates": gates})}
        )
        held = scene.resolve(strict)
        assert [verdict.gate for verdict in held.failures] == ["ids_changed"]
        assert scene.people() == before

        accepted = scene.resolve(naming(file)).individual
        assert not accepted.failures
        assert accepted.way.full
        assert "another ruleset" in accepted.way.reason
        assert models_in_use(scene) == {trained.version}
        assert scene.people() != before

        back = scene.resolve().individual
        assert not back.failures
        assert back.way.full
        assert models_in_use(scene) == {shipped}
        assert scene.people() == before


def models_in_use(scene: Scene) -> set[str]:
    """The versions, sizes apart, that the published evidence was weighed by."""
    return {
        version.split("@")[0]
        for (version,) in scene.rows(
            "select distinct model_version from identity.evidence "
            "where object = 'individual' and model_version is not null"
        )
    }


def test_a_ruleset_that_names_no_model_there_is_is_refused(tmp_path: Path) -> None:
    """When the code location loads, not when a run has staged a million nodes."""
    text = RULESET.read_text(encoding="utf-8")
    file = tmp_path / "ruleset.yaml"
    file.write_text(text.replace("match_model.json", "match_modle.json"), "utf-8")
    with pytest.raises(DeclarationError, match=r"did you mean 'match_model.json'\?"):
        read_ruleset(file)
    (tmp_path / "match_modle.json").write_text('{"settings": {}}', encoding="utf-8")
    read_ruleset(file)
    with pytest.raises(DeclarationError, match="matches_per_record"):
        read_model(tmp_path / "match_modle.json")


def test_the_command_and_the_job_make_one_version(
    paths: Paths, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept and written, at a terminal and in the browser."""
    with warehouse.writing("a test") as connection:
        Scene(connection)
        populate(connection, 600)

    def run(*options: str) -> Result:
        return CliRunner().invoke(
            main, ["identity", "train", *options], env={"CDP_DATA": str(paths.root)}
        )

    refused = run()
    assert refused.exit_code == 1
    assert "too few to train on, 20,000 are needed" in refused.output
    assert not (paths.root / "models").exists()

    told = run("--least-records", "100", "--out", str(paths.root / "mine.json"))
    assert told.exit_code == 0, told.output
    version = read_model(paths.root / "mine.json").version
    assert f"{version} is kept, and written to" in told.output
    assert "| first_name: same |" in told.output

    monkeypatch.setenv("CDP_DATA", str(paths.root))
    with dg.DagsterInstance.ephemeral() as instance:
        result = train_match_model.execute_in_process(
            instance=instance,
            resources={"warehouse": WarehouseResource(database=str(paths.warehouse))},
            run_config={"ops": {"trained_model": {"config": {"least_records": 100}}}},
        )
    (event,) = (
        each.event_specific_data.materialization
        for each in result.all_events
        if each.is_step_materialization
    )
    assert event.metadata["version"].value == version
    assert "data:image/svg+xml" in event.metadata["match_weights"].value
    file = paths.root / "models" / f"{version}.json"
    assert file.read_bytes() == (paths.root / "mine.json").read_bytes()
    with warehouse.reading("a test") as connection:
        kept = connection.execute(
            "select model_version from identity.match_model"
        ).fetchall()
    assert kept == [(version,)]
