"""Training the match model: by hand, on a sample, never by a run.

    export CDP_DATA=training
    cdp sample --people 60000 --seed 4242
    cdp run --samples
    cdp identity train --out match_model.json

made the model shipped, with the nicknames of its day and other random pairs. Now they
make another version, of the same prior and frequencies. Its weights are within half a
bit where 80 or more of ten million random pairs show a level, and up to 2.2 bits off
for rarer ones; on the samples of 2,000 people both do alike (F1 .939 and .941). The
same records give the same file, byte for byte.

A warehouse of your own serves as well, with 50,000 people or more in its canonical
model; fewer give nonsense. No labels are needed: how often attributes agree by chance
(u) is counted on random pairs, how often within one person (m) is estimated by
expectation maximisation among pairs that agree on one attribute, which takes no part in
that pass.
"""

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from cdp_assets.errors import OperatorError
from cdp_assets.identity.model import (
    COLUMNS,
    WEIGHED_BY_FREQUENCY,
    MatchModel,
)
from cdp_assets.identity.nodes import prepare_nodes, stage_nodes
from cdp_assets.identity.rules import Ruleset, read_ruleset
from cdp_assets.identity.shared import stage_all_matchable

# A name on fewer records is a typo as likely as a name.
_LEAST_RECORDS = 8

# Fewer give nonsense: what agrees once in a million pairs of strangers is never seen.
LEAST_TRAINED_ON = 20_000


@dataclass(frozen=True)
class Training:
    """A trained model as its file keeps it, and how its estimation went."""

    content: dict[str, Any]
    convergence: dict[str, list[float]]
    """Per pass of expectation maximisation the share of true pairs after each round."""

    @property
    def text(self) -> str:
        """What the model file holds."""
        return json.dumps(self.content, indent=2) + "\n"

    @property
    def version(self) -> str:
        """The name that evidence carries: a digest of the file."""
        return f"model-{hashlib.sha256(self.text.encode()).hexdigest()[:12]}"


def train(
    warehouse: duckdb.DuckDBPyConnection, *, least: int = LEAST_TRAINED_ON
) -> Training:
    """Train on every person's record of a warehouse.

    Args:
        warehouse: Open for reading or writing; only temporary tables are made.
        least: Refuse to train on fewer records.

    Raises:
        OperatorError: There are too few records to train on, or none that overlap.
    """
    # Imports Splink, which takes a second: only where one trains.
    from cdp_assets.identity.splink_training import estimate

    ruleset = read_ruleset()
    prepare_nodes(warehouse)
    stage_nodes(warehouse, ruleset, "individual", changed_only=False)
    stage_all_matchable(warehouse, "individual", ruleset.individual, None)
    frequencies = {
        column: _frequencies(warehouse, column) for column in WEIGHED_BY_FREQUENCY
    }
    # Again, with names put right by these frequencies.
    names = MatchModel("", {}, 0.0, frequencies)
    stage_all_matchable(warehouse, "individual", ruleset.individual, names)
    records = warehouse.sql(
        f"""
        -- Random pairs are drawn by node_id, which must not tell when a record came.
        select row_number() over (order by record) as node_id,
            {", ".join(column for column in COLUMNS if column != "node_id")}
        from staged_matchable order by record
        """
    ).to_arrow_table()
    if records.num_rows < least:
        raise OperatorError(
            f"{records.num_rows:,} records are too few to train on, {least:,} are "
            "needed; train on generated ones (`cdp sample --people 60000`) or keep the "
            "model shipped"
        )
    settings, convergence = estimate(records)
    prior = settings["probability_two_random_records_match"]
    content = {
        "settings": settings,
        "matches_per_record": prior * records.num_rows,
        "trained_on_records": records.num_rows,
        "frequencies": frequencies,
    }
    return Training(content, convergence)


def keep_version(
    connection: duckdb.DuckDBPyConnection,
    training: Training,
    ruleset: Ruleset,
    *,
    at: dt.datetime,
) -> bool:
    """Keep a trained version in ``identity.match_model``; whether it is a new one.

    With the caps and thresholds in force at its training. No run uses it before the
    ruleset names its file.
    """
    rules, content = ruleset.individual, training.content
    row = {
        "model_version": training.version,
        "settings": json.dumps(content["settings"]),
        "created_at": at,
        "note": "trained",
        "frequencies": json.dumps(content["frequencies"]),
        "matches_per_record": content["matches_per_record"],
        "trained_on_records": content["trained_on_records"],
        "caps": json.dumps({n: cap.model_dump() for n, cap in rules.shared.items()}),
        "thresholds": rules.model.model_dump_json() if rules.model else None,
        "report": json.dumps({"convergence": training.convergence}),
    }
    return bool(
        connection.execute(
            f"insert or ignore into identity.match_model ({', '.join(row)}) "
            f"values ({', '.join('?' * len(row))}) returning model_version",
            list(row.values()),
        ).fetchall()
    )


def write_file(training: Training, path: Path) -> None:
    """Write the model where a ruleset can name it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(training.text, encoding="utf-8")


def _frequencies(warehouse: duckdb.DuckDBPyConnection, column: str) -> dict[str, float]:
    """The share of records that bear each frequent name."""
    return dict(
        warehouse.execute(
            f"""
            select {column}, round(count(*) / sum(count(*)) over (), 8)
            from staged_matchable
            where length({column}) > 1
            group by 1
            qualify count(*) >= ?
            order by 1
            """,
            [_LEAST_RECORDS],
        ).fetchall()
    )
