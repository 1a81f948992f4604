"""From criteria to pairs of records, as SQL over ``staged_matchable``.

Equal values are joined, lists value by value; what is fuzzy or blank filters the pairs
so found. The caller's fields were checked when the ruleset was read.
"""

from dataclasses import dataclass

from cdp_assets.identity.fields import MatchField
from cdp_assets.identity.sections import Criterion

# Jaro-Winkler similarity from which two spellings are one name, per level. 0.92 takes
# one typo in a name of seven letters, 0.85 also Lisa and Liza.
_SIMILAR = {"fuzzy_low": 0.85, "fuzzy_medium": 0.92, "fuzzy_high": 0.97}


@dataclass(frozen=True)
class PairQuery:
    """The parts of a self-join that finds pairs."""

    columns: list[str]
    present: list[str]
    keys: list[str]
    filters: list[str]
    repeats: bool
    values: list[str]
    """All that is compared, the plain spelling of what is fuzzy."""
    at_most: int | None = None
    """Values carried by more records than this bring no pairs."""
    at_most_of_keys: int | None = None
    """The same for what is joined on: it makes the pairs that fuzzy criteria filter."""

    def keyed(self, records: str = "staged_matchable") -> str:
        """SELECT of what is compared of each record, one row per value of a list."""
        rows = (
            f"select {', '.join(self.columns)} from {records} "
            f"where {' and '.join(self.present) or 'true'}"
        )
        # Of two lists the shorter is filled up with nulls, which are equal to nothing.
        filled = " and ".join(f"{key} is not null" for key in self.keys)
        return f"select * from ({rows}) where {filled}" if self.repeats else rows

    def alike(self) -> str:
        """The condition under which the rows ``l`` and ``r`` satisfy all criteria."""
        equal = [f"l.{key} = r.{key}" for key in self.keys]
        return " and ".join(equal + self.filters)

    def pairs(self, rows: str) -> str:
        """SELECT of the pairs ``node_l``, ``node_r``, each once, the smaller first.

        Args:
            rows: A table of the query's rows.
        """
        return f"""
            select {"distinct" if self.repeats else ""}
                l.node_id as node_l, r.node_id as node_r
            from {rows} as l
            inner join {rows} as r on {self.alike()} and l.node_id < r.node_id
        """

    def rows(self) -> str:
        """SELECT of the rows that make pairs: not alone with a key, nor too many."""
        most = self.at_most_of_keys
        limit = f"between 2 and {most}" if most is not None else ">= 2"
        return (
            f"select * from ({_capped(self.keyed(), self.values, self.at_most)}) "
            f"qualify count(*) over (partition by {', '.join(self.keys)}) {limit}"
        )

    def left_out(self, keyed: str | None = None) -> str:
        """SELECT of the values that are too common: ``value``, ``records``.

        Args:
            keyed: Rows to take in place of all of ``staged_matchable``.
        """
        keyed = keyed or self.keyed()
        within = _capped(keyed, self.values, self.at_most)
        return " union all ".join(
            f"select {in_words(names)} as value, count(*) as records "
            f"from ({rows}) group by {', '.join(names)} having count(*) > {most}"
            for rows, names, most in (
                (keyed, self.values, self.at_most),
                (within, self.keys, self.at_most_of_keys),
            )
            if most is not None
        )

    def pairs_made(self, rows: str) -> str:
        """SELECT of how many pairs equal values make, before fuzzy criteria filter."""
        return f"""
            select coalesce(sum(records * (records - 1) // 2), 0)
            from (
                select count(*) as records
                from {rows} group by {", ".join(self.keys)}
            )
        """


def query_for(
    criteria: list[Criterion],
    fields: dict[str, MatchField],
    *,
    at_most: int | None = None,
    at_most_of_keys: int | None = None,
) -> PairQuery:
    """Compile the criteria of one rule, or of one blocking key."""
    columns, keys, filters, present = ["node_id"], [], [], []
    repeats = False
    for number, criterion in enumerate(criteria):
        field = fields[criterion.field]
        name = f"k{number}"
        value = _compared(criterion, field)
        if criterion.finds_pairs():
            columns.append(
                f"unnest({value}) as {name}" if field.many else f"{value} as {name}"
            )
            keys.append(name)
            present.append(
                f"len({value}) > 0" if field.many else f"{value} is not null"
            )
            repeats = repeats or field.many
        elif criterion.method.startswith("fuzzy"):
            columns.extend(_fuzzy_columns(criterion, name))
            filters.append(_fuzzy(criterion, name))
        else:
            columns.append(f"{value} as {name}")
            filters.append(_equal_or_blank(name, many=field.many))
    values = [f"k{number}" for number in range(len(criteria))]
    return PairQuery(
        columns, present, keys, filters, repeats, values, at_most, at_most_of_keys
    )


def in_words(names: list[str]) -> str:
    """SQL for the values of a row as one text, in which folded values stay apart."""
    return f"concat_ws(' + ', {', '.join(f'{name}::varchar' for name in names)})"


def _capped(rows: str, names: list[str], most: int | None) -> str:
    """The rows whose values not too many of them share."""
    if most is None:
        return rows
    return (
        f"select * from ({rows}) qualify count(*) over "
        f"(partition by {', '.join(names)}) <= {most}"
    )


def _compared(criterion: Criterion, field: MatchField) -> str:
    """The form of the value that the criterion's method compares."""
    if criterion.method != "exact" or field.written is None:
        return field.column
    if criterion.case_sensitive:
        return field.written
    if field.many:
        return (
            f"list_distinct(list_transform({field.written}, lambda item: lower(item)))"
        )
    return f"lower({field.written})"


def _equal_or_blank(name: str, *, many: bool) -> str:
    if many:
        return (
            f"(list_has_any(l.{name}, r.{name}) "
            f"or (len(l.{name}) = 0 and len(r.{name}) = 0))"
        )
    return f"l.{name} is not distinct from r.{name}"


def _fuzzy_columns(criterion: Criterion, name: str) -> list[str]:
    first = criterion.field == "first_name"
    return [
        f"{criterion.field} as {name}",
        f"{'first_name_forms' if first else 'last_name_words'} as {name}_forms",
        f"{'first_name_canonical' if first else 'last_name'} as {name}_full",
    ]


def _fuzzy(criterion: Criterion, name: str) -> str:
    """The three levels of fuzzy; each takes what the stricter one takes.

    High: the same but for accents, hyphens and nicknames. Medium: also an initial, one
    of several given names, and one typo. Low: also names that merely sound alike.
    """
    left, right = f"l.{name}", f"r.{name}"
    tests = [
        f"{left}_full = {right}_full",
        f"replace({left}, ' ', '') = replace({right}, ' ', '')",
        f"jaro_winkler_similarity({left}, {right}) >= {_SIMILAR[criterion.method]}",
    ]
    if criterion.method != "fuzzy_high":
        tests.append(f"list_has_any(l.{name}_forms, r.{name}_forms)")
        tests.append(
            f"(least(length({left}), length({right})) = 1 and {left}[1] = {right}[1])"
        )
    blank = f"({left} is null and {right} is null)"
    either = " or ".join(tests)
    return f"({either} or {blank})" if criterion.match_on_blank else f"({either})"
