"""Merge, split, undo, delete and a new model in a row: each step is told."""

import dataclasses
from typing import Any

import pytest

from cdp_assets.identity.history import NoHistoryError, leads_to
from cdp_assets.identity.history_text import as_of, history
from cdp_assets.identity.model import read_model
from tests.identity.upheaval import Past, live_through


@pytest.fixture
def past(scene: Any) -> Past:
    """People to whom everything has happened."""
    return live_through(scene)


def test_an_id_leads_where_the_redirects_led_after_every_run(past: Past) -> None:
    """As of any past run; an id that lives leads to itself."""
    scene = past.scene
    ids = scene.rows(
        "select unified_id, born_run, retired_run from identity.registry "
        "where object = 'individual'"
    )
    assert sum(retired is not None for *_, retired in ids) >= 2
    for unified_id, born, retired in ids:
        for run, redirects in past.redirects.items():
            if run < born:
                with pytest.raises(NoHistoryError):
                    leads_to(scene.connection, unified_id, run)
                continue
            living = set(leads_to(scene.connection, unified_id, run))
            if retired is None or retired > run:
                assert living == {unified_id}
            else:
                assert living == redirects[unified_id]


def test_history_is_the_links_and_grows_by_changes_only(past: Past) -> None:
    scene = past.scene
    assert scene.rows(
        """
        select record, unified_id from (
            select * from identity.link_history
            qualify row_number() over (partition by record order by seq desc) = 1
        ) where unified_id is not null order by 1
        """
    ) == scene.rows(
        "select record, unified_individual_id from identity.unified_link_individual "
        "order by 1"
    )
    before = scene.rows("select count(*) from identity.link_history")
    past.run()
    assert scene.rows("select count(*) from identity.link_history") == before


def test_each_step_of_three_people_is_told(past: Past) -> None:
    connection = past.scene.connection
    ada = history(connection, past.scene.id_of("crm_contact:2"))
    assert "new: crm_contact:1, crm_contact:2, crm_contact:3" in ada
    assert "was merged into it: crm_contact:4, crm_contact:5" in ada
    assert "because of decision 1, crm_contact:3 same crm_contact:4, by steward" in ada
    assert "because of undone by steward: they called; decision 1" in ada
    assert "decision 2, crm_contact:1 different crm_contact:2 and 1 more pairs" in ada
    assert "lives: crm_contact:2, crm_contact:3" in ada
    alan = history(connection, "crm_contact:4")
    assert alan.count("\nrun ") == 3
    assert "now in u_" in alan
    (retired,) = past.scene.rows(
        "select unified_id from identity.registry where minted_from = 'crm_contact:4' "
        "order by born_run limit 1"
    )[0]
    assert "retired: leads to" in history(connection, retired)
    assert f"{retired} lived after run 1" in as_of(connection, retired, 1)
    assert f"{retired} was merged into" in as_of(connection, retired, 2)
    # Undone, the id of before leads to Alan again, and not to whom he was taken for.
    assert leads_to(connection, retired, 2) == [past.scene.id_of("crm_contact:2")]
    assert leads_to(connection, retired, 3) == [past.scene.id_of("crm_contact:4")]
    assert past.scene.rows(
        "select live_ids from identity.redirect where retired_id = ?", retired
    ) == [([past.scene.id_of("crm_contact:4")],)]
    grace = history(connection, "crm_contact:6")
    assert "gone from the source: crm_contact:6" in grace
    assert "now gone" in grace


def test_a_new_model_is_told_where_it_moves_somebody(past: Past) -> None:
    """Its weights say another thing of two records: the step names both versions."""
    scene = past.scene
    scene.person("crm_lead:7", "Joan", "Clarke", born="1971-06-24", city="Rugby")
    scene.person("erp_kna1:7", "Joan", "Clarcke", born="1971-06-24", postal="CV21")
    model = read_model("match_model.json")
    shy = dataclasses.replace(
        model, version="model-shy", matches_per_record=model.matches_per_record / 2**16
    )
    past.run(models={"individual": shy})
    assert scene.id_of("crm_lead:7") != scene.id_of("erp_kna1:7")
    past.run()
    assert scene.id_of("crm_lead:7") == scene.id_of("erp_kna1:7")
    told = history(scene.connection, scene.id_of("crm_lead:7"))
    assert f"because of another model, {model.version}@4096 after model-shy" in told


def test_what_was_never_published_has_no_history(scene: Any) -> None:
    with pytest.raises(NoHistoryError, match="u_1 was never published"):
        history(scene.connection, "u_1")
