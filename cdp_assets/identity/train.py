"""Training the match model: by hand, on a sample, never by a run.

    export CDP_DATA=training
    cdp sample --people 60000 --seed 4242
    cdp run --samples
    python -m cdp_assets.identity.train training

made the model shipped. A warehouse of your own serves as well, with 50,000 people or
more in its canonical model; fewer give nonsense. No labels are needed: how often
attributes agree by chance (u) is counted on random pairs, how often within one person
(m) is estimated by expectation maximisation among pairs that agree on one attribute,
which takes no part in that pass.
"""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from cdp_assets.identity.model import (
    COLUMNS,
    WEIGHED_BY_FREQUENCY,
    MatchModel,
    untrained_settings,
)
from cdp_assets.identity.nodes import prepare_nodes, stage_nodes
from cdp_assets.identity.rules import RULESET, read_ruleset
from cdp_assets.identity.shared import stage_all_matchable
from cdp_assets.paths import Paths
from cdp_assets.warehouse import Warehouse

# Ten million random pairs show what agrees once in a million; the seed makes the
# training repeatable.
_RANDOM_PAIRS = 10_000_000
_SEED = 1

# What is never seen within one person is taken to happen to one in ten thousand.
_LEAST_M = 0.0001

# A name on fewer records is a typo as likely as a name.
_LEAST_RECORDS = 8


def train(warehouse: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Train on every person's record of a warehouse.

    Returns:
        What ``match_model.json`` keeps.
    """
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
        f"select {', '.join(COLUMNS)} from staged_matchable order by record"
    ).to_arrow_table()
    settings = _estimate(records)
    prior = settings["probability_two_random_records_match"]
    return {
        "settings": settings,
        "matches_per_record": prior * records.num_rows,
        "trained_on_records": records.num_rows,
        "frequencies": frequencies,
    }


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


def _estimate(records: pa.Table) -> dict[str, Any]:
    """Estimate the weights of every level."""
    from splink import DuckDBAPI, Linker, block_on

    linker = Linker(
        DuckDBAPI().register(records, dataset_display_name="record"),
        untrained_settings(),
        log_level=logging.WARNING,
    )
    training = linker.training
    training.estimate_probability_two_random_records_match(
        [
            block_on("emails", arrays_to_explode=["emails"]),
            block_on("first_name", "last_name", "birth_date"),
        ],
        recall=0.6,
    )
    training.estimate_u_using_random_sampling(max_pairs=_RANDOM_PAIRS, seed=_SEED)
    for agreed in (
        "l.emails[1] = r.emails[1]",
        "l.phones[1] = r.phones[1]",
        block_on("first_name", "last_name"),
        block_on("last_name", "birth_date"),
    ):
        training.estimate_parameters_using_expectation_maximisation(agreed)
    settings: dict[str, Any] = linker.misc.save_model_to_json()
    # A random name of the training, which would make every training another version.
    del settings["linker_uid"]
    for comparison in settings["comparisons"]:
        for level in comparison["comparison_levels"]:
            if not level.get("is_null_level"):
                # Never seen among so many pairs: rarer than once, not impossible.
                level.setdefault("u_probability", 0.5 / _RANDOM_PAIRS)
                level.setdefault("m_probability", _LEAST_M)
                for name in ("m_probability", "u_probability"):
                    # Sums of floats differ in the last digits from run to run.
                    level[name] = float(f"{level[name]:.9g}")
    return settings


def main(arguments: list[str] | None = None) -> None:
    """Train on the warehouse named, and write the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder that the warehouse is in")
    parser.add_argument(
        "--out", type=Path, default=RULESET.with_name("match_model.json")
    )
    chosen = parser.parse_args(arguments)
    opener = Warehouse(Paths(chosen.data.resolve()))
    with opener.reading("training the match model") as warehouse:
        model = train(warehouse)
    chosen.out.write_text(json.dumps(model, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
