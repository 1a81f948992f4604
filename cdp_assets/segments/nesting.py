"""Segments inside segments: ``segment.<name>`` in a condition is true for its members.

The inner segment is evaluated first, in the same run, so the outer one sees its members
of now. A segment that is a member of itself, however long the way round, is refused
when the declarations are read.
"""

from collections.abc import Collection, Iterable, Mapping

from cdp_assets.declarations import DeclarationError, quoted
from cdp_assets.segments.namespace import GRAIN

SEGMENT = "segment"


def in_order(inner: Mapping[str, Collection[str]]) -> list[str]:
    """The segments so that each one stands after those it names.

    Args:
        inner: Per segment those it names; names that are no segment are left to the
            check of the condition, which knows the nearest ones.

    Raises:
        DeclarationError: Names the chain of a segment that contains itself.
    """
    ordered: list[str] = []
    for name in inner:
        _visit(name, inner, (), ordered)
    return ordered


def _visit(
    name: str,
    inner: Mapping[str, Collection[str]],
    way: tuple[str, ...],
    ordered: list[str],
) -> None:
    if name in way:
        chain = " -> ".join([*way[way.index(name) :], name])
        raise DeclarationError(
            f"{name}.yaml: condition: the segment contains itself: {chain}; "
            "take one of these out of another"
        )
    if name in ordered or name not in inner:
        return
    for each in sorted(inner[name]):
        _visit(each, inner, (*way, name), ordered)
    ordered.append(name)


def membership_columns(segments: Iterable[str]) -> dict[str, str]:
    """The columns of ``segment`` and their SQL types."""
    return dict.fromkeys(segments, "boolean")


def membership_relation(segments: Iterable[str]) -> str:
    """The query with one row per person and one column per segment, never null."""
    names = sorted(set(segments))
    columns = ", ".join(
        f"coalesce(bool_or(stay.segment = '{name}'), false) as {quoted(name)}"
        for name in names
    )
    listed = ", ".join(f"'{name}'" for name in names)
    return (
        f"select person.{GRAIN}, {columns}\n"
        "from unified.unified_individual as person\n"
        "left join segments.membership as stay\n"
        f"on stay.{GRAIN} = person.{GRAIN} and stay.left_at is null "
        f"and stay.segment in ({listed})\n"
        f"group by person.{GRAIN}"
    )
