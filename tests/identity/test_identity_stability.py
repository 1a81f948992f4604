"""Ids through merge, split, edit, deletion and return."""

import copy
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_assets.identity.delta import stage_changes, stage_promotion
from cdp_assets.identity.history import leads_to
from cdp_assets.identity.promotion import promote
from cdp_assets.identity.rules import RULESET, Ruleset
from cdp_assets.identity.stability import stage_everybody, stage_ids
from cdp_assets.warehouse import transaction


def lenient() -> Ruleset:
    """The shipped ruleset with gates that three records in motion do not trip."""
    content = copy.deepcopy(yaml.safe_load(RULESET.read_text(encoding="utf-8")))
    for name in ("individual", "account"):
        content[name]["gates"] |= {"consolidation_change": 1, "ids_changed": 1}
    return Ruleset.model_validate(content)


LENIENT = lenient()


def state(scene: Any) -> dict[str, list[tuple[Any, ...]]]:
    tables = (
        "node",
        "evidence",
        "unified_link_individual",
        "unified_link_account",
        "registry",
        "redirect",
        "change",
        "shared_identifier",
        "match_model",
        "reconciliation_rule",
    )
    return {
        table: scene.rows(f"select rowid, * from identity.{table} order by rowid")
        for table in tables
    }


def changes(scene: Any, run: int) -> dict[str, str]:
    return dict(
        scene.rows(
            "select unified_individual_id, kind from identity.change where run = ?", run
        )
    )


def couple(scene: Any) -> None:
    """Two records of one person, and a stranger."""
    scene.person("crm_contact:1", "Ada", "Byron", email="ada@b.org")
    scene.person("shop_customer:1", "Ada", "Byron", email="ada@b.org")
    scene.person("crm_contact:2", "Alan", "Turing", email="alan@t.org")


def set_email(scene: Any, record: str, email: str) -> None:
    scene.connection.execute(
        "update dmo.contact_point_email set email_address = $1, normalised_email = $1 "
        "where party_id = $2",
        [email, record],
    )


def test_a_second_run_writes_nothing_but_its_own_row(scene: Any) -> None:
    """Consumers would otherwise send everybody again, every night."""
    couple(scene)
    scene.account("crm_account:1", "Acme", domain="acme.com")
    scene.resolve()
    before = state(scene)
    result = scene.resolve()
    assert state(scene) == before
    assert result.individual.changes.changed == 0
    assert scene.rows("select count(*) from identity.run where run = 2") == [(2,)]


def test_a_full_resolution_of_unchanged_records_changes_nothing_either(
    scene: Any,
) -> None:
    """The short way must not hide that the long way is unstable."""
    couple(scene)
    scene.resolve(LENIENT)
    before = state(scene)
    scene.connection.execute("update identity.run set ruleset_version = 'older'")
    scene.resolve(LENIENT)
    assert state(scene) == before


def test_an_edit_that_is_not_compared_changes_its_person_only(scene: Any) -> None:
    """A new job title shows on the profile; it must not be lost, nor touch others."""
    couple(scene)
    scene.resolve(LENIENT)
    scene.connection.execute(
        "update dmo.individual set title_name = 'Countess' where id = 'crm_contact:1'"
    )
    scene.resolve(LENIENT)
    assert changes(scene, 2) == {scene.id_of("crm_contact:1"): "changed"}
    assert scene.rows(
        "select distinct linked_at_run from identity.unified_link_individual"
    ) == [(1,)]


def test_a_new_record_joins_and_the_id_stays(scene: Any) -> None:
    """Everything sent under the id so far still belongs to the person."""
    couple(scene)
    scene.resolve(LENIENT)
    ada, alan = scene.id_of("crm_contact:1"), scene.id_of("crm_contact:2")
    scene.person("email_subscriber:1", email="ada@b.org")
    scene.resolve(LENIENT)
    assert scene.id_of("email_subscriber:1") == scene.id_of("crm_contact:1") == ada
    assert scene.id_of("crm_contact:2") == alan
    assert changes(scene, 2) == {ada: "changed"}


def test_the_larger_of_two_keeps_its_id_and_the_other_redirects(scene: Any) -> None:
    """Whoever holds the retired id must find the person with one look."""
    couple(scene)
    scene.person("crm_lead:9", email="other@b.org")
    scene.resolve(LENIENT)
    ada, other = scene.id_of("crm_contact:1"), scene.id_of("crm_lead:9")
    assert ada != other
    set_email(scene, "crm_lead:9", "ada@b.org")
    scene.resolve(LENIENT)
    assert scene.id_of("crm_lead:9") == ada
    assert scene.rows("select retired_id, kind, live_ids from identity.redirect") == [
        (other, "merged", [ada])
    ]
    assert changes(scene, 2) == {ada: "changed", other: "retired"}
    assert scene.rows(
        "select retired_run from identity.registry where unified_id = ?", other
    ) == [(2,)]


def test_a_split_leaves_the_id_with_the_larger_part(scene: Any) -> None:
    """The smaller part is a new person, told apart from the next run on."""
    couple(scene)
    scene.person("email_subscriber:1", email="ada@b.org")
    scene.resolve(LENIENT)
    ada = scene.id_of("crm_contact:1")
    set_email(scene, "email_subscriber:1", "someone@else.org")
    scene.resolve(LENIENT)
    assert scene.id_of("crm_contact:1") == ada
    assert scene.id_of("email_subscriber:1") != ada
    assert changes(scene, 2) == {
        ada: "changed",
        scene.id_of("email_subscriber:1"): "created",
    }
    assert scene.rows("select * from identity.redirect") == []


def test_redirects_stay_one_hop_through_merge_after_merge(scene: Any) -> None:
    """A chain of redirects is a loop waiting to happen."""
    for number, email in enumerate(["a", "a", "b", "c", "c", "c"]):
        scene.person(f"crm_contact:{number}", "Ada", "Byron", email=f"{email}@b.org")
    # Only e-mail may link here, or the name would.
    for number in (2, 3, 4, 5):
        scene.connection.execute(
            "update dmo.individual set first_name = null, last_name = null "
            "where id = ?",
            [f"crm_contact:{number}"],
        )
    scene.resolve(LENIENT)
    a, b, c = (scene.id_of(f"crm_contact:{n}") for n in (0, 2, 5))
    assert len({a, b, c}) == 3
    set_email(scene, "crm_contact:2", "a@b.org")
    scene.resolve(LENIENT)
    for number in (0, 1, 2):
        set_email(scene, f"crm_contact:{number}", "c@b.org")
    scene.resolve(LENIENT)
    survivor = scene.id_of("crm_contact:0")
    redirects = scene.rows(
        "select retired_id, kind, live_ids from identity.redirect order by run"
    )
    assert {row[0] for row in redirects} == {a, b, c} - {survivor}
    assert all(row[1:] == ("merged", [survivor]) for row in redirects)


def test_a_deleted_person_leaves_a_tombstone_and_returns_under_a_new_id(
    scene: Any,
) -> None:
    """A retired id is never given again: somebody may have erased it on purpose."""
    couple(scene)
    scene.resolve(LENIENT)
    alan = scene.id_of("crm_contact:2")
    scene.forget("crm_contact:2")
    scene.resolve(LENIENT)
    assert scene.rows("select retired_id, kind, live_ids from identity.redirect") == [
        (alan, "emptied", [])
    ]
    assert changes(scene, 2) == {alan: "retired"}
    scene.person("crm_contact:2", "Alan", "Turing", email="alan@t.org")
    scene.resolve(LENIENT)
    assert scene.id_of("crm_contact:2") != alan


RECORDS = [f"crm_contact:{n}" for n in range(7)]
PARTITION = st.lists(
    st.one_of(st.none(), st.integers(0, 3)),
    min_size=len(RECORDS),
    max_size=len(RECORDS),
)


def stage_partition(scene: Any, groups: list[int | None]) -> None:
    """Pretend that matching came to these groups; None is a deleted record."""
    scene.connection.execute(
        """
        create or replace temp table staged_node as
        select node.* replace (
            rows.record as record, rows.node_id as node_id, 'individual' as object,
            '' as feature_hash, '' as content_hash, '' as data_source_id)
        from (select unnest($records) as record, unnest(range(7)) as node_id,
            unnest($groups) as grp) as rows
        left join identity.node as node on false
        where grp is not null
        """,
        {"records": RECORDS, "groups": groups},
    )
    scene.connection.execute(
        """
        create or replace temp table staged_component as
        select node_id, min(node_id) over (partition by grp) as component
        from (select unnest(range(7)) as node_id, unnest($groups) as grp)
        where grp is not null
        """,
        {"groups": groups},
    )
    scene.connection.execute(
        "create or replace temp table staged_tier as "
        "select record, 'model' as tier from staged_node"
    )
    scene.connection.execute(
        "create or replace temp table staged_group as from staged_component"
    )
    scene.connection.execute(
        "create or replace temp table staged_conflict as from identity.conflict"
    )
    scene.connection.execute(
        "create or replace temp table staged_matchable as "
        "select node_id from staged_node"
    )


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(history=st.lists(PARTITION, min_size=1, max_size=5))
def test_any_history_leaves_one_living_person_behind_every_id(
    scene: Any, history: list[list[int | None]]
) -> None:
    """Merges, splits and deletions in any order, each published in turn."""
    connection = scene.connection
    published = ("node", "unified_link_individual", "registry", "redirect")
    for table in (*published, "link_history"):
        connection.execute(f"delete from identity.{table}")
    connection.execute(
        "create or replace temp table staged_evidence as from identity.evidence"
    )
    connection.execute(
        "create or replace temp table staged_shared as from identity.shared_identifier"
    )
    seen: set[str] = set()
    led: dict[tuple[int, str], set[str]] = {}
    for run, groups in enumerate(history, start=1):
        stage_partition(scene, groups)
        stage_everybody(connection, "individual")
        before = dict(scene.rows("select record, unified_id from published"))
        stage_ids(connection, "individual", run=run)
        stage_changes(connection, "individual")
        stage_promotion(connection, "individual", full=True)
        with transaction(connection):
            promote(connection, "individual", run=run)
        after = dict(
            scene.rows(
                "select record, unified_individual_id "
                "from identity.unified_link_individual"
            )
        )
        living = set(after.values())
        # The groups are what matching said.
        assert {frozenset(r for r in after if after[r] == one) for one in living} == {
            frozenset(r for r, g in zip(RECORDS, groups, strict=True) if g == one)
            for one in set(groups) - {None}
        }
        # Every id ever seen is alive, or leads in one hop to the living.
        redirects = dict(
            scene.rows("select retired_id, live_ids from identity.redirect")
        )
        assert set(redirects) == seen - living
        assert all(set(live) <= living for live in redirects.values())
        # New people got ids nobody had, and the largest part of a person keeps the id.
        assert not (living - set(before.values())) & seen
        for person in set(before.values()) & living:
            parts = [after.get(r) for r, owner in before.items() if owner == person]
            kept = parts.count(person)
            stolen = {after[r] for r in after if after[r] == person and r not in before}
            assert kept == max(parts.count(p) for p in set(parts) - {None}) or stolen
        seen |= living
        led |= {(run, one): set(redirects.get(one, [one])) for one in seen}
    # And where it led after any past run can still be told.
    for (run, one), there in led.items():
        assert set(leads_to(connection, one, run)) == there
    kinds = scene.rows("select kind, len(live_ids) from identity.redirect group by all")
    names = {0: "emptied", 1: "merged"}
    assert all(kind == names.get(count, "split") for kind, count in kinds)
