"""A preview counts what publishing would do, and publishes nothing."""

import datetime as dt
from typing import Any

from cdp_assets.digests import digests
from cdp_assets.segments.overlap import as_markdown, overlap
from cdp_assets.segments.preview import Part, known_columns, parts_of, preview
from cdp_assets.segments.spec import check

DAY_1 = dt.datetime(2026, 6, 1)


def test_a_preview_says_who_would_enter_and_leave(world: Any, segment: Any) -> None:
    for name, value, country in [
        ("ada", 150, "DE"),
        ("bob", 150, "FR"),
        ("cy", 10, "DE"),
        ("dee", None, "DE"),
    ]:
        world.person(name, value, country=country)
    world.update(segment())
    new = segment(
        condition="lifetime_value.lifetime_value < 200 and profile.country = 'DE'"
    )
    before = digests(world.connection, ["segments"])

    found = preview(world.connection, new, DAY_1, sample=1)

    assert digests(world.connection, ["segments"]) == before
    assert (found.people, found.members) == (4, 2)
    assert (found.entering, found.leaving) == (1, 1)
    assert found.sample == ["ada"]
    assert [(part.alone, part.without) for part in found.parts] == [(3, 3), (3, 3)]
    world.update(new)
    assert world.members() == ["ada", "cy"]


def test_a_preview_with_limit_windows_and_segments_is_what_is_published(
    world: Any, segment: Any
) -> None:
    for name, value in [("ada", 300), ("bob", 200), ("cy", 150)]:
        world.person(name, value)
        world.did(name, "EmailOpen", DAY_1)
    world.update(segment())
    spec = segment(
        name="top",
        engagement={"opens": {"event": "EmailOpen", "within": "30 days"}},
        condition="segment.vip and engagement.opens = 1",
        limit={"top": 2, "highest": "lifetime_value.lifetime_value"},
    )
    check(spec, known_columns(world.connection), ["vip", "top"])

    found = preview(world.connection, spec, DAY_1)

    world.update(spec)
    assert found.sample == world.members("top") == ["ada", "bob"]
    assert found.parts[0] == Part("segment.vip", 3, 3)


def test_parts_are_what_and_joins_at_the_top() -> None:
    assert parts_of("a.x and (a.y or a.z) and not a.w -- why") == [
        "a.x",
        "(a.y OR a.z)",
        "(NOT a.w)",
    ]
    assert parts_of("a.x or a.y and a.z") == ["a.x or a.y and a.z"]


def test_the_overlap_of_every_two_segments(world: Any, segment: Any) -> None:
    for name, value in [("ada", 300), ("bob", 150), ("cy", 10)]:
        world.person(name, value)
    world.update(
        segment(),
        segment(name="rich", condition="lifetime_value.lifetime_value >= 200"),
        segment(name="poor", condition="lifetime_value.lifetime_value < 100"),
        segment(name="nobody", condition="false"),
    )

    matrix = overlap(world.connection)

    assert matrix == {
        "poor": {"poor": 1, "rich": 0, "vip": 0},
        "rich": {"poor": 0, "rich": 1, "vip": 1},
        "vip": {"poor": 0, "rich": 1, "vip": 2},
    }
    assert "| vip | 0 (0%) | 1 (50%) | 2 (100%) |" in as_markdown(matrix)
