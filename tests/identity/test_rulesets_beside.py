"""Rulesets beside the published one: each is what it would be if it were published."""

import copy
import random
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from click.testing import CliRunner

from cdp_assets.cli import main
from cdp_assets.declarations import DeclarationError
from cdp_assets.identity.decisions import Author, decide
from cdp_assets.operations.flow_checks import rulesets_pass_their_gates
from cdp_assets.operations.gathering import gather
from cdp_assets.paths import Paths
from cdp_assets.rulesets.comparing import RulesetError, compare_rulesets, table
from cdp_assets.rulesets.resolving import beside
from cdp_assets.rulesets.spec import MOST, BesideRuleset, load_rulesets
from cdp_assets.rulesets.standing import Standing
from cdp_assets.warehouse import Warehouse, utc_now

EXACT = load_rulesets()["exact"]
SHIPPED = Path(__file__).parents[2] / "cdp_assets" / "rulesets" / "exact.yaml"


@pytest.fixture
def published(scene_of: Any, warehouse: Warehouse) -> Warehouse:
    """Six pairs by inbox, six that only the model links, and people alone."""
    with scene_of(warehouse, 2) as scene:
        for number in range(6):
            for part in range(2):
                scene.person(f"crm_contact:{number}{part}", email=f"a{number}@b.org")
        for number in range(6):
            for part in ("crm_contact", "shop_customer"):
                scene.person(
                    f"{part}:m{number}", f"Xq{number}", f"Zv{number}son",
                    born=f"1980-0{number + 1}-11", city="Bern", postal="3000",
                )  # fmt: skip
        for number in range(20):
            scene.person(f"shop_customer:{number}", f"Wo{number}", f"Vu{number}ski")
        assert scene.resolve().status == "promoted"
        # As dbt makes them: they name their database, and mean nothing in another.
        scene.connection.execute(
            "create view dmo.website_engagement as from warehouse.dmo.lead"
        )
        scene.connection.execute("create table ops.nowhere as select 1 as id")
        scene.connection.execute(
            "create view dmo.elsewhere as from warehouse.ops.nowhere"
        )
    return warehouse


def compare(paths: Paths, **rulesets: BesideRuleset) -> dict[str, Standing]:
    """The standings of people, by ruleset."""
    found = compare_rulesets(paths, rulesets=rulesets, say=lambda _: None)
    return {each.ruleset: each for each in found if each.object == "individual"}


def links(paths: Paths, ruleset: str) -> dict[str, str]:
    with Warehouse(paths).reading() as connection:
        return dict(
            connection.execute(
                """
                select record, unified_id from identity.ruleset_link
                where ruleset = ? and object = 'individual'
                """,
                [ruleset],
            ).fetchall()
        )


def groups(found: dict[str, str]) -> set[frozenset[str]]:
    people: dict[str, set[str]] = {}
    for record, person in found.items():
        people.setdefault(person, set()).add(record)
    return {frozenset(records) for records in people.values()}


def published_links(paths: Paths) -> dict[str, str]:
    with Warehouse(paths).reading() as connection:
        return dict(
            connection.execute(
                "select record, unified_individual_id "
                "from identity.unified_link_individual"
            ).fetchall()
        )


def test_a_ruleset_makes_its_own_people_and_the_published_stay(
    published: Warehouse, paths: Paths
) -> None:
    before = published_links(paths)
    found = compare(paths, exact=EXACT)
    assert published_links(paths) == before
    assert (found["published"].people, found["exact"].people) == (32, 38)
    assert (found["exact"].merges, found["exact"].splits) == (0, 6)
    of_model = {
        frozenset({f"crm_contact:m{n}", f"shop_customer:m{n}"}) for n in range(6)
    }
    assert groups(before) - groups(links(paths, "exact")) == of_model
    assert set(links(paths, "exact")) == set(before)


def test_the_published_ruleset_beside_itself_is_the_published_people(
    published: Warehouse, paths: Paths
) -> None:
    """What is read through the other file is what resolution reads itself."""
    content = yaml.safe_load(
        (SHIPPED.parents[1] / "identity" / "ruleset.yaml").read_text(encoding="utf-8")
    )
    del content["reconciliation"]
    same = BesideRuleset.model_validate(
        content | {"name": "same", "label": "", "description": "", "owner": "x"}
    )
    compare(paths, same=same)
    # Ids are minted from the smallest record, so even they are the same.
    assert links(paths, "same") == published_links(paths)


def test_it_follows_changes_and_decisions_and_keeps_its_ids(
    published: Warehouse, paths: Paths
) -> None:
    """In any order; and what is written is only what moved."""
    compare(paths, exact=EXACT)
    first = links(paths, "exact")
    with published.writing("a test") as connection:
        connection.execute("delete from dmo.individual where id = 'crm_contact:00'")
        connection.execute(
            "update dmo.contact_point_email set email_address = 'a2@b.org', "
            "normalised_email = 'a2@b.org', _load_seq = 2 "
            "where party_id = 'crm_contact:11'"
        )
        decide(
            connection,
            "same",
            [("shop_customer:1", "shop_customer:2")],
            Author("ann", utc_now(), "one and the same"),
            command="same",
        )
    compare(paths, exact=EXACT)
    second = links(paths, "exact")
    assert "crm_contact:00" not in second
    assert (
        second["crm_contact:11"] == second["crm_contact:20"] == first["crm_contact:20"]
    )
    assert second["shop_customer:1"] == second["shop_customer:2"]
    moved = {record for record in second if second[record] != first[record]}
    assert moved <= {"crm_contact:11", "shop_customer:1", "shop_customer:2"}
    with Warehouse(beside(paths, "exact")).reading() as connection:
        ways = connection.execute(
            "select way from identity.run where object = 'individual' order by run"
        ).fetchall()
    assert [way for (way,) in ways] == ["full", "incremental"]
    with published.writing("a test") as connection:
        connection.execute("update identity.decision set undone_at = now()::timestamp")
    compare(paths, exact=EXACT)
    third = links(paths, "exact")
    assert third["shop_customer:1"] != third["shop_customer:2"]


def test_killed_before_it_is_kept_the_next_run_keeps_it(
    published: Warehouse, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files and no transaction over both: links come from what the file says."""
    from cdp_assets.rulesets import comparing

    def dies(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(comparing, "keep", dies)
        with pytest.raises(KeyboardInterrupt):
            compare(paths, exact=EXACT)
    assert links(paths, "exact") == {}
    compare(paths, exact=EXACT)
    assert len(links(paths, "exact")) == len(published_links(paths))


def test_a_held_result_leaves_the_last_good_one(
    published: Warehouse, paths: Paths
) -> None:
    compare(paths, exact=EXACT)
    before = links(paths, "exact")
    with published.writing("a test") as connection:
        connection.execute(
            "update dmo.contact_point_email set normalised_email = 'a0@b.org', "
            "email_address = 'a0@b.org', _load_seq = 2"
        )
    content = copy.deepcopy(EXACT.model_dump(exclude_unset=True))
    content["individual"]["gates"] |= {"largest_person": 2}
    strict = BesideRuleset.model_validate(content)
    found = compare(paths, exact=strict)
    assert "largest_person" in (found["exact"].held_by or "")
    assert links(paths, "exact") == before
    assert any("exact (held)" in line for line in table(list(found.values())))
    (told,) = rulesets_pass_their_gates(gather(paths))
    assert (told.level, told.subject) == ("warning", "exact")
    release_it(paths)
    assert compare(paths, exact=strict)["exact"].held_by is None
    assert links(paths, "exact") != before


def release_it(paths: Paths) -> None:
    options = ("--why", "it is right", "--ruleset")
    runner = CliRunner(env={"CDP_DATA": str(paths.root)})
    told = runner.invoke(main, ["identity", "release", *options, "exact"])
    assert told.exit_code == 0, told.output
    assert "cdp identity rulesets exact" in told.output
    told = runner.invoke(main, ["identity", "release", *options, "exat"])
    assert told.exit_code == 1
    assert "exact" in told.output


def test_a_number_given_again_is_another_decision(
    published: Warehouse, paths: Paths
) -> None:
    """A restore goes back behind a decision, and the next has its number."""
    found: dict[str, str] = {}
    for first, second in ((1, 2), (8, 9)):
        pair = (f"shop_customer:{first}", f"shop_customer:{second}")
        with published.writing("a test") as connection:
            connection.execute("delete from identity.decision")
            author = Author("ann", utc_now(), "one and the same")
            decide(connection, "same", [pair], author, command="same")
        compare(paths, exact=EXACT)
        found = links(paths, "exact")
        assert found[pair[0]] == found[pair[1]]
    assert found["shop_customer:1"] != found["shop_customer:2"]


def test_labels_come_along_and_change(published: Warehouse, paths: Paths) -> None:
    def labels(place: Paths) -> list[tuple[object, ...]]:
        with Warehouse(place).reading() as connection:
            return connection.execute(
                "from identity.labelled_pair order by all"
            ).fetchall()

    for answer in ("true", "null", "null", "false"):
        with published.writing("a test") as connection:
            connection.execute("delete from identity.labelled_pair")
            connection.execute(
                f"""
                insert into identity.labelled_pair by name
                select 'shop_customer:1' as record_l, 'shop_customer:2' as record_r,
                    {answer}::boolean as is_match, 'review' as origin,
                    timestamp '2026-01-01' as labelled_at
                """
            )
        compare(paths, exact=EXACT)
        assert labels(beside(paths, "exact")) == labels(paths)


def test_one_that_fails_keeps_no_other_from_being_kept(
    published: Warehouse, paths: Paths
) -> None:
    content = EXACT.model_dump(exclude_unset=True) | {"name": "broken"}
    content["individual"]["model"] = {
        "file": "there_is_none.json",
        "keep_weight": 0,
        "link_weight": 6,
        "blocking": [{"fields": ["email_address"]}],
    }
    broken = BesideRuleset.model_validate(content)
    with pytest.raises(RulesetError, match="broken"):
        compare(paths, broken=broken, exact=EXACT)
    assert links(paths, "exact")


def test_one_that_is_declared_no_more_leaves_nothing(
    published: Warehouse, paths: Paths
) -> None:
    """Its file holds every name and number of everybody."""
    compare(paths, exact=EXACT)
    assert beside(paths, "exact").warehouse.exists()
    compare(paths)
    assert not beside(paths, "exact").root.exists()
    assert links(paths, "exact") == {}


def test_truth_is_told_of_each(published: Warehouse, paths: Paths) -> None:
    paths.samples.mkdir()
    with (paths.samples / "truth.csv").open("w") as sink:
        sink.write("source,record_id,entity_id\n")
        for record in published_links(paths):
            source, key = record.split(":")
            entity = key if key.startswith("m") else f"{source}{key[:1]}{key[1:]}"
            sink.write(f"{source},{key},{entity}\n")
    found = compare(paths, exact=EXACT)
    assert found["published"].quality is not None
    assert found["published"].quality.recall == 1
    assert found["exact"].quality is not None
    assert found["exact"].quality.recall == 0


def test_impossible_declarations_are_refused(tmp_path: Path) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    (tmp_path / "exact.yaml").write_text(text + "reconciliation: {individual: {}}\n")
    with pytest.raises(DeclarationError, match=r"exact\.yaml.*reconciliation"):
        load_rulesets(tmp_path)
    (tmp_path / "exact.yaml").unlink()
    named = text.replace("name: exact\n", "name: published\n", 1)
    (tmp_path / "published.yaml").write_text(named)
    with pytest.raises(DeclarationError, match="profiles follow"):
        load_rulesets.__wrapped__(tmp_path)
    (tmp_path / "published.yaml").unlink()
    use = (
        "  model: {file: gone.json, keep_weight: 0, link_weight: 6, "
        "blocking: [{fields: [email_address]}]}\n"
    )
    with_model = text.replace("individual:\n", f"individual:\n{use}", 1)
    (tmp_path / "exact.yaml").write_text(with_model)
    with pytest.raises(DeclarationError, match=r"no model 'gone\.json'"):
        load_rulesets.__wrapped__(tmp_path)
    (tmp_path / "exact.yaml").unlink()
    for number in range(MOST + 1):
        named = text.replace("name: exact\n", f"name: r{number}\n", 1)
        (tmp_path / f"r{number}.yaml").write_text(named)
    with pytest.raises(DeclarationError, match=f"{MOST} at most"):
        load_rulesets.__wrapped__(tmp_path)


def test_the_command_compares_and_names_what_there_is(
    published: Warehouse, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDP_DATA", str(paths.root))
    told = CliRunner().invoke(main, ["identity", "rulesets", "exat"])
    assert told.exit_code == 1
    assert "exact" in told.output
    told = CliRunner().invoke(main, ["identity", "rulesets"])
    assert told.exit_code == 0, told.output
    assert "| exact | people | 44 | 38 |" in told.output


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))]
)
def test_any_changes_end_as_everybody_resolved_anew(
    published: Warehouse, paths: Paths, seed: int
) -> None:
    """Its increments follow the published file, which knows nothing of them."""
    rng = random.Random(seed)
    for wave in range(3):
        with published.writing("a test") as connection:
            _change(connection, rng, wave + 2)
        compare(paths, exact=EXACT)
    followed = groups(links(paths, "exact"))
    compare(paths)
    compare(paths, exact=EXACT)
    assert groups(links(paths, "exact")) == followed


def _change(
    connection: duckdb.DuckDBPyConnection, rng: random.Random, load: int
) -> None:
    records = [
        record
        for (record,) in connection.execute(
            "select id from dmo.individual order by id"
        ).fetchall()
    ]
    for record in rng.sample(records, 3):
        connection.execute(
            "update dmo.contact_point_email set normalised_email = $mail, "
            "email_address = $mail, _load_seq = $load where party_id = $record",
            {"mail": f"a{rng.randrange(6)}@b.org", "load": load, "record": record},
        )
    gone = rng.choice(records)
    connection.execute("delete from dmo.individual where id = ?", [gone])
    connection.execute("delete from dmo.contact_point_email where party_id = ?", [gone])
