"""Groups: connected components, and taking contradictory ones apart."""

from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_assets.identity.components import stage_components
from cdp_assets.identity.partition import Pair, partition


def components(edges: list[tuple[int, int]], threads: int = 2) -> dict[int, int]:
    with duckdb.connect() as connection:
        connection.execute(f"set threads = {threads}")
        connection.execute("create table edge (node_l bigint, node_r bigint)")
        if edges:
            connection.executemany("insert into edge values (?, ?)", edges)
        stage_components(connection, "edge", "component")
        return dict(connection.execute("from component").fetchall())


def by_hand(edges: list[tuple[int, int]]) -> dict[int, int]:
    label = {node: node for edge in edges for node in edge}
    for _ in label:
        for left, right in edges:
            label[left] = label[right] = min(label[left], label[right])
    return label


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 25), st.integers(0, 25)).filter(lambda e: e[0] < e[1]),
        max_size=30,
    )
)
def test_components_are_what_following_every_edge_finds(
    edges: list[tuple[int, int]],
) -> None:
    """A record in no group, or in two, is a person lost or doubled."""
    assert components(edges) == by_hand(edges)


def test_a_chain_of_thousands_is_one_group() -> None:
    """A loop that walks one record per round would take as many rounds."""
    chain = [(number, number + 1) for number in range(3000)]
    assert set(components(chain).values()) == {0}


def pairs(*said: tuple[str, str, float, str]) -> list[Pair]:
    """left, right, weight, and l for linked, v for contradicted."""
    return [Pair(a, b, w, "l" in f, "v" in f) for a, b, w, f in said]


def parts(found: dict[str, str]) -> set[frozenset[str]]:
    return {
        frozenset(r for r, part in found.items() if part == one)
        for one in found.values()
    }


def test_the_bridge_goes_with_whom_it_agrees_more() -> None:
    """John and Mary share an inbox; its subscriber is the one with the closer name."""
    found = partition(
        pairs(
            ("john", "sub", 12.0, "l"),
            ("mary", "sub", 9.0, "l"),
            ("john", "mary", 14.0, "v"),
        ),
        0.0,
    )
    assert parts(found) == {frozenset({"john", "sub"}), frozenset({"mary"})}


JOHNS = (
    ("born 1970", "no date", 7.1, "l"),
    ("born 1990", "no date", 6.0, "l"),
    ("born 1970", "born 1990", 5.0, "v"),
)


def test_who_fits_two_that_contradict_each_other_is_neither() -> None:
    """Father and son of one name and home: a record without a date may be either's."""
    assert parts(partition(pairs(*JOHNS), 0.0, ambiguous_within=2)) == {
        frozenset({"born 1970"}),
        frozenset({"born 1990"}),
        frozenset({"no date"}),
    }
    assert parts(partition(pairs(*JOHNS), 0.0, ambiguous_within=1)) == {
        frozenset({"born 1970", "no date"}),
        frozenset({"born 1990"}),
    }


def test_two_of_whom_neither_has_a_place_are_still_one() -> None:
    """Nor is a part kept from a person whose rival it has no link with."""
    twice = [
        ("no date", "none", 6.0, "l"),
        ("born 1970", "none", 6.5, "l"),
        ("born 1990", "none", 6.0, "l"),
    ]
    found = partition(pairs(*JOHNS, *twice), 0.0, ambiguous_within=2)
    assert frozenset({"no date", "none"}) in parts(found)
    unlinked = [(a, b, w, "" if f == "l" and w < 7 else f) for a, b, w, f in JOHNS]
    found = partition(pairs(*unlinked), 0.0, ambiguous_within=2)
    assert frozenset({"born 1970", "no date"}) in parts(found)


def test_parts_are_judged_by_all_their_pairs_and_not_by_the_best_one() -> None:
    """One strong link between two groups that disagree in all else is a mistake."""
    strong = [
        ("a1", "a2", 20.0, "l"),
        ("b1", "b2", 20.0, "l"),
        ("a2", "b1", 9.0, "l"),
        ("a1", "b1", -8.0, ""),
        ("a1", "b2", -8.0, ""),
        ("a2", "b2", -8.0, ""),
    ]
    assert len(parts(partition(pairs(*strong), 0.0))) == 2


def test_nothing_is_joined_without_a_link_however_alike() -> None:
    """A weight says how alike two records are; only evidence kept may join them."""
    found = partition(
        pairs(("a", "b", 9.0, "l"), ("b", "c", 30.0, ""), ("a", "c", 30.0, "")), 0.0
    )
    assert parts(found) == {frozenset({"a", "b"}), frozenset({"c"})}


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_part_holds_a_contradiction_and_the_order_of_pairs_cannot_matter(
    data: st.DataObject,
) -> None:
    """The result is a function of the group's evidence alone."""
    names = [f"r{number}" for number in range(6)]
    said = [
        Pair(
            a,
            b,
            float(data.draw(st.integers(-5, 5))),
            data.draw(st.booleans()),
            data.draw(st.booleans()),
        )
        for index, a in enumerate(names)
        for b in names[index + 1 :]
    ]
    within = data.draw(st.sampled_from([None, 0.0, 2.0]))
    found = partition(said, 0.0, ambiguous_within=within)
    shuffled = data.draw(st.permutations(said))
    turned = [Pair(p.right, p.left, p.weight, p.linked, p.vetoed) for p in shuffled]
    assert partition(turned, 0.0, ambiguous_within=within) == found
    assert set(found) == set(names)
    assert not [p for p in said if p.vetoed and found[p.left] == found[p.right]]


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_do_not_change_the_labels(threads: int) -> None:
    """The smallest id is the smallest on any number of cores."""
    edges: list[tuple[int, int]] = [(n % 97, 100 + n * 7 % 501) for n in range(700)]
    assert components(edges, threads) == by_hand(edges)


def test_no_edges_make_no_groups() -> None:
    """An empty table is a legitimate graph."""
    empty: list[Any] = []
    assert components(empty) == {}
