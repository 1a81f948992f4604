"""Engagement windows, segments in segments, waterfalls, limits, times of evaluation."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

from cdp_assets.declarations import DeclarationError
from cdp_assets.paths import DBT_PROJECT
from cdp_assets.segments.spec import check, load_segments
from cdp_assets.segments.windows import EVENTS

DAY_1 = dt.datetime(2026, 6, 1)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
COLUMNS = {
    "profile": {"unified_individual_id": "varchar", "country": "varchar"},
    "lifetime_value": {"lifetime_value": "decimal(18,2)"},
    "run": {"as_of": "timestamp"},
}
SEGMENT = "name: {0}\nlabel: x\ndescription: x\nowner: o\ncondition: {1}\n"


def declared(folder: Path, **conditions: str) -> None:
    for name, condition in conditions.items():
        (folder / f"{name}.yaml").write_text(SEGMENT.format(name, condition))


def waterfall(folder: Path, name: str, steps: str) -> None:
    (folder / "waterfalls").mkdir(exist_ok=True)
    (folder / "waterfalls" / f"{name}.yaml").write_text(
        f"name: {name}\nlabel: x\ndescription: x\nowner: o\nsteps: {steps}\n"
    )


def test_a_window_ends_with_the_run_and_begins_to_the_instant(
    world: Any, segment: Any
) -> None:
    """Two days back from noon is noon: not midnight, and not one event more."""
    now = DAY_1 + 12 * HOUR
    for name, when in [
        ("first", now - 2 * DAY),
        ("second", now - 2 * DAY + HOUR / 3600),
        ("now", now),
        ("later", now + HOUR / 3600),
    ]:
        world.person(name)
        world.did(name, "EmailOpen", when)
    world.person("other")
    world.did("other", "EmailClick", now)
    spec = segment(
        engagement={"opens": {"event": "EmailOpen", "within": "2 days"}},
        condition="engagement.opens > 0",
    )

    world.update(spec, at=now)

    assert world.members() == ["now", "second"]


@pytest.mark.parametrize(
    ("window", "condition"),
    [
        ({"event": ["WebVisit", "CartAdd"]}, "engagement.w = 3"),
        ({"event": "WebVisit", "measure": "days"}, "engagement.w = 2"),
        (
            {"event": "WebVisit", "measure": "last"},
            "engagement.w = run.as_of - interval 1 hour",
        ),
        ({"event": "Purchase", "measure": "amount"}, "engagement.w = 30.50"),
    ],
)
def test_what_a_window_measures(
    world: Any, segment: Any, window: dict[str, Any], condition: str
) -> None:
    world.person("ada")
    world.did("ada", "WebVisit", DAY_1 - HOUR)
    world.did("ada", "WebVisit", DAY_1 - 30 * HOUR)
    world.did("ada", "CartAdd", DAY_1 - HOUR)
    world.bought("ada", 10, DAY_1 - HOUR)
    world.bought("ada", 20.5, DAY_1 - 30 * HOUR)
    world.bought("ada", 99, DAY_1 - HOUR, counted=False)
    world.bought("ada", 99, DAY_1 - 30 * DAY)
    world.bought("ada", None, DAY_1 - HOUR)
    world.person("idle")
    spec = segment(engagement={"w": window | {"within": "1 week"}}, condition=condition)
    check(spec, COLUMNS)

    world.update(spec, at=DAY_1)

    assert world.members() == ["ada"]


def test_who_did_nothing_has_none_and_not_an_unknown(world: Any, segment: Any) -> None:
    """`engagement.opens = 0` is how people who fell silent are found."""
    world.person("idle")
    spec = segment(
        engagement={
            "opens": {"event": "EmailOpen", "within": "90 days"},
            "spent": {"event": "Purchase", "within": "90 days", "measure": "amount"},
        },
        condition="engagement.opens = 0 and engagement.spent = 0",
    )
    world.update(spec)
    assert world.members() == ["idle"]


def test_the_events_are_those_of_the_models() -> None:
    """A name that the model does not make would be a window that is silently empty."""
    models = DBT_PROJECT / "models"
    made = (models / "dmo" / "engagement_event.sql").read_text()
    unified = (models / "unified" / "unified_engagement_event.sql").read_text()
    (left_out,) = re.findall(r"event_type not in \((.*?)\)", unified)
    names = set(re.findall(r"'([A-Z]\w+)'", made))
    assert set(EVENTS) == names - set(re.findall(r"'(\w+)'", left_out))


@pytest.mark.parametrize(
    ("window", "complaint"),
    [
        (
            {"event": "EmailOpn", "within": "1 day"},
            "no event; did you mean 'EmailOpen'",
        ),
        ({"event": [], "within": "1 day"}, "name at least one"),
        ({"event": "EmailOpen", "within": "a while"}, "write one like 30 days"),
        ({"event": "EmailOpen", "within": "0 days"}, "write one like 30 days"),
        (
            {"event": "EmailOpen", "within": "1 day", "measure": "amount"},
            "only the event Purchase",
        ),
    ],
)
def test_a_window_that_cannot_be_says_what_would(
    segment: Any, window: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        segment(engagement={"w": window}, condition="engagement.w > 0")


def test_segments_are_included_and_excluded(world: Any, segment: Any) -> None:
    """Somebody in neither is excluded from nothing: false, not unknown."""
    for name, value, country in [
        ("ada", 150, "DE"),
        ("bob", 150, "FR"),
        ("cy", 10, "DE"),
        ("dee", None, "FR"),
    ]:
        world.person(name, value, country=country)
    vip = segment()
    german = segment(name="german", condition="profile.country = 'DE'")
    both = segment(name="both", condition="segment.vip and segment.german")
    rest = segment(name="rest", condition="not segment.vip and not segment.german")

    world.update(vip, german, both, rest)

    assert world.members("both") == ["ada"]
    assert world.members("rest") == ["dee"]


def test_inner_segments_come_before_outer_ones(tmp_path: Path) -> None:
    declared(
        tmp_path,
        a="segment.c and segment.b",
        b="segment.c",
        c="profile.country = 'DE'",
    )
    assert list(load_segments(tmp_path)) == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("conditions", "chain"),
    [
        ({"a": "segment.a"}, "a -> a"),
        (
            {"a": "segment.b", "b": "not segment.c", "c": "segment.a or segment.d"},
            "a -> b -> c -> a",
        ),
    ],
)
def test_a_segment_that_contains_itself_is_refused_with_the_chain(
    tmp_path: Path, conditions: dict[str, str], chain: str
) -> None:
    declared(tmp_path, **conditions)
    with pytest.raises(DeclarationError, match=f"contains itself: {chain};"):
        load_segments(tmp_path)


def test_an_unknown_inner_segment_is_refused_with_the_nearest(segment: Any) -> None:
    spec = segment(name="outer", condition="segment.vipp")
    with pytest.raises(
        DeclarationError,
        match=r"outer\.yaml: condition: segment has no column 'vipp' "
        r"\(did you mean vip\?\)",
    ):
        check(spec, COLUMNS, {"vip", "outer", "poor"})


def test_of_a_waterfall_everybody_is_in_the_first_that_takes_them(
    world: Any, tmp_path: Path
) -> None:
    for name, value in [("ada", 500), ("bob", 300), ("cy", 150), ("dee", 1)]:
        world.person(name, value)
    for name, least in [("gold", 250), ("silver", 100), ("all", 0)]:
        declared(tmp_path, **{name: f"lifetime_value.lifetime_value >= {least}"})
    waterfall(
        tmp_path,
        "offer",
        "[{segment: gold, limit: {top: 1, highest: lifetime_value.lifetime_value}}, "
        "silver, all]",
    )
    specs = load_segments(tmp_path)
    for spec in specs.values():
        check(spec, COLUMNS, specs)

    world.update(*specs.values())

    # Gold has room for one, so bob is passed on.
    assert world.members("offer__gold") == ["ada"]
    assert world.members("offer__silver") == ["bob", "cy"]
    assert world.members("offer__all") == ["dee"]


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        ("[a]", r"offer\.yaml: line \d+: steps: "),
        ("[a, b, a]", "a stands in it twice"),
        ("[a, {segment: b, limits: {}}]", "unknown key; did you mean 'limit'"),
    ],
)
def test_a_waterfall_that_makes_no_sense_is_refused(
    tmp_path: Path, steps: str, complaint: str
) -> None:
    waterfall(tmp_path, "offer", steps)
    with pytest.raises(DeclarationError, match=complaint):
        load_segments(tmp_path)


def test_a_limit_keeps_the_first_of_each_group(world: Any, segment: Any) -> None:
    for name, value, country in [
        ("ada", 500, "DE"),
        ("bob", 400, "DE"),
        ("cy", 300, "DE"),
        ("dee", 120, "FR"),
        ("eve", None, "FR"),
        ("fay", 110, None),
        ("gus", 105, None),
        ("hal", 104, None),
    ]:
        world.person(name, value, country=country)
    limit = {"top": 2, "per": "profile.country"}
    figure = "lifetime_value.lifetime_value"
    highest = segment(condition="true", limit=limit | {"highest": figure})
    lowest = segment(name="low", condition="true", limit=limit | {"lowest": figure})

    world.update(highest, lowest)

    assert world.members() == ["ada", "bob", "dee", "eve", "fay", "gus"]
    # Nobody knows what eve is worth, so she comes last either way.
    assert world.members("low") == ["bob", "cy", "dee", "eve", "gus", "hal"]


@pytest.mark.parametrize(
    ("limit", "complaint"),
    [
        ({"top": 1}, "either highest or lowest"),
        ({"top": 1, "highest": "1", "lowest": "2"}, "either highest or lowest"),
        ({"top": 0, "highest": "profile.country"}, "greater than 0"),
        ({"top": 1, "highest": "max(profile.country)"}, r"calls max\(\)"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(
    segment: Any, limit: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        segment(limit=limit)


def test_a_limit_by_an_unknown_column_names_its_field(segment: Any) -> None:
    spec = segment(limit={"top": 1, "highest": "profile.contry"})
    with pytest.raises(DeclarationError, match=r"vip\.yaml: limit\.highest: profile "):
        check(spec, COLUMNS)


def test_between_its_times_a_segment_stands_still(world: Any, segment: Any) -> None:
    spec = segment(evaluate="every 6 hours")
    world.person("ada", 150)
    assert world.update(spec, at=DAY_1 + HOUR)["vip"].evaluated
    world.worth("ada", 5)
    world.person("bob", 150)

    assert not world.update(spec, at=DAY_1 + 5 * HOUR)["vip"].evaluated
    assert world.members() == ["ada"]

    assert world.update(spec, at=DAY_1 + 6 * HOUR)["vip"].evaluated
    assert world.members() == ["bob"]


def test_a_changed_definition_is_evaluated_at_once(world: Any, segment: Any) -> None:
    world.person("ada", 60)
    daily = segment(evaluate="every 1 day")
    world.update(daily, at=DAY_1)
    reworded = segment(evaluate="every 1 day", description="in other words")
    assert not world.update(reworded, at=DAY_1 + HOUR)["vip"].evaluated

    changed = segment(
        evaluate="every 1 day", condition="lifetime_value.lifetime_value >= 50"
    )

    assert world.update(changed, at=DAY_1 + HOUR)["vip"].entered == 1


def test_weeks_begin_on_monday(world: Any, segment: Any) -> None:
    spec = segment(evaluate="every 1 week")
    sunday = dt.datetime(2026, 6, 7, 23)
    assert world.update(spec, at=sunday - 6 * DAY)["vip"].evaluated
    assert not world.update(spec, at=sunday)["vip"].evaluated
    assert world.update(spec, at=sunday + HOUR)["vip"].evaluated


@pytest.mark.parametrize("evaluate", ["sometimes", "every day", "every 0 hours"])
def test_a_time_that_is_none_is_refused(segment: Any, evaluate: str) -> None:
    with pytest.raises(ValueError, match=r"every 6 hours|like 30 days"):
        segment(evaluate=evaluate)
