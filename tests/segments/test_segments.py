"""Segments: a condition is checked before it runs, and compiles to one query."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cdp_assets.activation.spec import check as check_activation
from cdp_assets.activation.spec import load_activations
from cdp_assets.declarations import DeclarationError, read_declarations
from cdp_assets.paths import DBT_PROJECT
from cdp_assets.segments.compiling import compile_members
from cdp_assets.segments.expression import (
    ExpressionError,
    check_expression,
    read_expression,
)
from cdp_assets.segments.namespace import profile_columns
from cdp_assets.segments.spec import SegmentSpec, check, load_segments

COLUMNS = {
    "profile": {"unified_individual_id": "varchar", "first_name": "varchar"},
    "lifetime_value": {
        "unified_individual_id": "varchar",
        "lifetime_value": "decimal(18,2)",
        "last_order_date": "date",
        "lifetime_value_by_currency": "json",
    },
    "churn_risk": {"churn_risk_tier": "varchar"},
    "run": {"as_of": "timestamp"},
}


def segment(condition: str, name: str = "vip") -> SegmentSpec:
    return SegmentSpec(
        name=name, label="VIP", description="…", owner="team:crm", condition=condition
    )


@pytest.mark.parametrize(
    "condition",
    [
        "lifetime_value.lifetime_value > 1000 and churn_risk.churn_risk_tier = 'high'",
        "LIFETIME_VALUE.Lifetime_Value >= 10 -- worth it",
        "lifetime_value.last_order_date < run.as_of - interval 90 day",
        "date_diff('day', lifetime_value.last_order_date, run.as_of) > 90",
        "profile.first_name ilike 'a%' or profile.first_name in ('Bo', 'Cy')",
        "(lifetime_value.lifetime_value_by_currency ->> 'EUR')::double > 10",
        "case when profile.first_name is null then true else false end",
        "coalesce(list_contains(['a'], profile.first_name), false)",
        "true",
    ],
)
def test_a_condition_over_the_profile_and_its_insights_is_accepted(
    condition: str,
) -> None:
    check(segment(condition), COLUMNS)


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        (
            "lifetime_value.lifetime_valu > 1",
            r"vip\.yaml: condition: lifetime_value has no column 'lifetime_valu' "
            r"\(did you mean lifetime_value ",
        ),
        (
            "churn_rsk.churn_risk_tier = 'high'",
            r"vip\.yaml: condition: knows no table 'churn_rsk' "
            r"\(did you mean churn_risk\?\)",
        ),
        ("profile.first_name", r"vip\.yaml: condition: is not a condition.* VARCHAR"),
        ("lifetime_value.lifetime_value + 1", "is not a condition: it yields DECIMAL"),
        ("profile.first_name > run.as_of - 1", r"vip\.yaml: .*does not fit"),
        ("profile.first_name.x.y = 'a'", r"vip\.yaml: .*does not fit"),
    ],
)
def test_a_condition_that_cannot_hold_names_its_file_and_what_is_wrong(
    condition: str, complaint: str
) -> None:
    """A misspelt column must not become a segment that is silently empty."""
    with pytest.raises(DeclarationError, match=complaint):
        check(segment(condition), COLUMNS)


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        ("true) union all select (true", "is not one SQL expression"),
        ("true) from dmo.individual where (true", "is not one SQL expression"),
        ("true) where (false", "is not one SQL expression"),
        ("true) order by (1", "is not one SQL expression"),
        ("true) limit (1", "is not one SQL expression"),
        ("true), (false", "is not one SQL expression"),
        ("true; drop table x", "is not a SQL expression"),
        ("true /*", "is not a SQL expression"),
        ("", "is not a SQL expression"),
        ("select true", "a subquery"),
        ("exists (select 1 from dmo.individual)", "a subquery"),
        ("profile.first_name in (select 'a')", "a subquery"),
        ("row_number() over () = 1", "a window function"),
        ("count(*) > 1", r"calls count_star\(\)"),
        ("max(lifetime_value.lifetime_value) > 1", r"calls max\(\)"),
        ("profile.* is null", r"holds \*"),
        ("columns('a')", r"holds \*"),
        ("lifetime_value.lifetime_value > ?", "a parameter"),
        ("first_name = 'a'", "names 'first_name' without saying whose"),
        ("current_date > lifetime_value.last_order_date", "without saying whose"),
        ("now() > lifetime_value.last_order_date", r"calls now\(\).*run\.as_of"),
        ("today() > lifetime_value.last_order_date", r"calls today\(\)"),
        ("age(run.as_of) > interval 1 day", r"calls age\(\)"),
        ("random() > 0.5", r"calls random\(\)"),
        ("getvariable('x')", r"calls getvariable\(\)"),
        ("nextval('s') = 1", r"calls nextval\(\)"),
        ("nosuch(profile.first_name)", r"calls nosuch\(\)"),
    ],
)
def test_what_is_not_one_plain_expression_is_refused_when_it_is_read(
    tmp_path: Path, condition: str, complaint: str
) -> None:
    """The text ends inside our own statements: it must not be able to leave them."""
    text = f"name: vip\nlabel: V\ndescription: d\nowner: o\ncondition: {condition!r}\n"
    (tmp_path / "vip.yaml").write_text(text)

    with pytest.raises(
        DeclarationError, match=rf"(?s)vip\.yaml: line \d+: condition: .*{complaint}"
    ):
        read_declarations(tmp_path, SegmentSpec)


@given(st.text(alphabet="()-/*;'\" true,selctfomwhn.1", max_size=24))
def test_no_text_gets_out_of_its_brackets(text: str) -> None:
    """Whatever is accepted binds as exactly one column of one row."""
    try:
        kind = check_expression(read_expression(text), COLUMNS)
    except ExpressionError:
        return
    assert kind


def test_only_the_insights_that_a_condition_names_are_joined() -> None:
    """Joining all of them would read every insight for every segment."""
    compiled = compile_members(
        segment("lifetime_value.lifetime_value > 1 and profile.first_name = 'a'"),
        dt.datetime(2026, 6, 1),
    )
    assert "insights" in compiled.sql
    assert "churn_risk" not in compiled.sql
    assert "run" not in compiled.sql
    assert not compiled.parameters


def node(schema: str, name: str, grain: str | None, **columns: str) -> dict[str, Any]:
    return {
        "resource_type": "model",
        "schema": schema,
        "name": name,
        "alias": name,
        "config": {"meta": {"grain": grain} if grain else {}},
        "columns": {key: {"data_type": kind} for key, kind in columns.items()},
    }


PERSON = "unified_individual_id"


def test_the_namespace_is_the_profile_and_the_insights_of_person_grain() -> None:
    """An insight per account would multiply people if a condition could name it."""
    manifest = {
        "nodes": {
            "1": node("unified", "unified_individual", None, first_name="varchar"),
            "2": node("insights", "churn_risk", PERSON, churn_risk_tier="varchar"),
            "3": node("insights", "account_health", "unified_account_id", a="bigint"),
            "4": node("dmo", "individual", None, id="varchar"),
            "5": {"resource_type": "test", "schema": "insights", "name": "t"},
        }
    }
    assert profile_columns(manifest) == {
        "profile": {"first_name": "varchar"},
        "churn_risk": {"churn_risk_tier": "varchar"},
        "run": {"as_of": "timestamp"},
    }


def test_an_insight_without_declared_types_is_an_error_that_names_it() -> None:
    manifest = {
        "nodes": {
            "1": node("unified", "unified_individual", None, first_name="varchar"),
            "2": node("insights", "churn_risk", PERSON),
        }
    }
    with pytest.raises(ValueError, match="model churn_risk: declare data_type"):
        profile_columns(manifest)


def test_the_shipped_segments_are_read() -> None:
    assert set(load_segments()) == {
        "high_value_at_risk",
        "promotion_audience",
        "cart_abandoners",
        "silent_buyers",
        "next_message__high_value_at_risk",
        "next_message__cart_abandoners",
        "next_message__promotion_audience",
    }


def declared() -> dict[str, Any]:
    """What the models' yml declares, in the shape of dbt's manifest."""
    nodes = {}
    for path in sorted((DBT_PROJECT / "models").glob("*/*.yml")):
        for model in yaml.safe_load(path.read_text()).get("models") or []:
            nodes[model["name"]] = {
                "resource_type": "model",
                "schema": path.parent.name,
                "name": model["name"],
                "config": model.get("config") or {},
                "columns": {
                    column["name"]: column for column in model.get("columns") or []
                },
            }
    return {"nodes": nodes}


def test_the_shipped_segments_and_activations_fit_the_models_columns() -> None:
    """A renamed insight column must fail here, and not in the nightly run."""
    columns = profile_columns(declared())

    for spec in load_segments().values():
        check(spec, columns, load_segments())
    for activation in load_activations().values():
        check_activation(activation, columns, load_segments())
