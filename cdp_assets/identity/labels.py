"""Labels: what people said of pairs of records, to judge and train by.

A label moves nobody; a decision does. A decision that stands is a label too.
"""

import csv
import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cdp_assets.errors import OperatorError
from cdp_assets.warehouse import transaction

ANSWERS: dict[str, bool | None] = {"same": True, "different": False, "unsure": None}

# Of the normal distribution: 95 % lie within so many deviations.
_Z = 1.96


def wilson(share: float, trials: float) -> tuple[float, float]:
    """Wilson's interval of a share over so many independent trials, of 95 %."""
    if not trials:
        return 0.0, 1.0
    n, p, z = trials, share, _Z
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


class LabelError(OperatorError, ValueError):
    """A label that cannot be kept; the message names file, line and field."""


@dataclass(frozen=True)
class Label:
    """One answer to "are these two the same?"."""

    left: str
    right: str
    answer: str


@dataclass(frozen=True)
class Share:
    """A share of labelled pairs, with its Wilson interval of 95 %."""

    hits: int
    pairs: int

    @property
    def value(self) -> float:
        """The share; of nothing, one."""
        return self.hits / self.pairs if self.pairs else 1.0

    def interval(self) -> tuple[float, float]:
        """Between which bounds the true share lies, nineteen times of twenty."""
        return wilson(self.value, self.pairs)

    def __str__(self) -> str:
        """The share, its interval and what it was counted over."""
        low, high = self.interval()
        return (
            f"{self.value:.3f} ({low:.3f} to {high:.3f}, {self.hits} of {self.pairs})"
        )


@dataclass(frozen=True)
class LabelledQuality:
    """How the published people agree with the labels.

    Pairs for review are the hard ones, so these shares lie below those of all pairs.
    """

    precision: Share
    recall: Share


def keep(
    connection: duckdb.DuckDBPyConnection,
    labels: list[Label],
    *,
    by: str,
    at: dt.datetime,
    origin: str,
) -> None:
    """Keep labels; the latest answer about a pair stands.

    Raises:
        LabelError: An answer is none, or a label names one record twice.
    """
    rows = []
    for label in labels:
        if label.answer not in ANSWERS:
            raise LabelError(f"{label.answer!r} is no answer; say {', '.join(ANSWERS)}")
        if label.left == label.right:
            raise LabelError(f"{label.left} is named twice; name two records")
        left, right = sorted((label.left, label.right))
        rows.append([left, right, ANSWERS[label.answer], origin, at, by])
    with transaction(connection):
        for row in rows:
            connection.execute(
                "insert or replace into identity.labelled_pair "
                "values (?, ?, ?, ?, ?, ?)",
                row,
            )


def read_file(path: Path) -> list[Label]:
    """Read ``record_l, record_r, answer`` from a CSV file; rows without one are left.

    Raises:
        LabelError: A column is missing or an answer is none; names file and line.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = {"record_l", "record_r", "answer"} - set(reader.fieldnames or ())
        if missing:
            raise LabelError(
                f"{path.name}: no column {', '.join(sorted(missing))}; expected "
                "record_l, record_r and answer, as `cdp identity review --csv` writes"
            )
        return list(_labels(path, reader))


def _labels(path: Path, reader: "csv.DictReader[str]") -> Iterator[Label]:
    for row in reader:
        answer = (row["answer"] or "").strip().lower()
        if not answer:
            continue
        if answer not in ANSWERS:
            raise LabelError(
                f"{path.name}:{reader.line_num}: answer {answer!r} is none of "
                f"{', '.join(ANSWERS)}"
            )
        left, right = ((row[name] or "").strip() for name in ("record_l", "record_r"))
        if not left or not right or left == right:
            raise LabelError(
                f"{path.name}:{reader.line_num}: record_l and record_r must name two "
                "records as stream:key"
            )
        yield Label(left, right, answer)


def quality(
    connection: duckdb.DuckDBPyConnection,
    links: str = "(select record, unified_individual_id as unified_id "
    "from identity.unified_link_individual)",
) -> LabelledQuality:
    """Precision and recall of people on the labelled pairs whose records exist.

    Decided pairs are left out: a run keeps decisions whatever its rules are worth.

    Args:
        connection: The warehouse.
        links: A relation of ``record``, ``unified_id``: the people to judge.
    """
    together_same, together, same = connection.execute(
        f"""
        select
            count(*) filter (is_match and l.unified_id = r.unified_id),
            count(*) filter (l.unified_id = r.unified_id),
            count(*) filter (is_match)
        from identity.labelled_pair as label
        inner join {links} as l on record_l = l.record
        inner join {links} as r on record_r = r.record
        where is_match is not null and not exists (
            select 1 from identity.decision as decision
            where undone_at is null and decision.record_l = label.record_l
                and decision.record_r = label.record_r
        )
        """
    ).fetchall()[0]
    return LabelledQuality(Share(together_same, together), Share(together_same, same))


def answers(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """How many pairs have which answer, decisions that stand included."""
    return dict(
        connection.execute(
            """
            with label as (
                select record_l, record_r, 1 as rank, case
                    when is_match then 'same' when not is_match then 'different'
                    else 'unsure' end as answer
                from identity.labelled_pair
                union all
                select record_l, record_r, 0, kind from identity.decision
                where undone_at is null
            )
            select answer, count(*) from (
                select * from label qualify row_number() over (
                    partition by record_l, record_r order by rank) = 1
            )
            group by answer order by answer
            """
        ).fetchall()
    )
