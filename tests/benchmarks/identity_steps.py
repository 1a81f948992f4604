"""What the benchmark of identity measures, each in a process of its own.

``python -m tests.benchmarks.identity_steps STEP FOLDER [NUMBER]`` works on the
warehouse of a folder, canonical model built, and prints JSON.
"""

import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from cdp_assets.identity.candidates import pair_queries, stage_keyed, stage_pairs
from cdp_assets.identity.model import COLUMNS, read_model
from cdp_assets.identity.resolve import resolve
from cdp_assets.identity.rules import read_ruleset
from cdp_assets.paths import Paths
from cdp_assets.runs import join_run
from cdp_assets.warehouse import Warehouse
from tests.benchmarks.stages import peak_megabytes
from tests.identity.population import PUBLISHED, make_changes, plan_changes

Detail = dict[str, Any]


def resolving(full: bool) -> Callable[[Paths, int], Detail]:
    def step(paths: Paths, _: int) -> Detail:
        """Resolve everybody, or what changed."""
        with Warehouse(paths).writing("benchmark") as connection:
            run = join_run(connection, paths, f"benchmark {time.time()}")
            begun, spent = time.perf_counter(), time.process_time()
            result = resolve(
                connection,
                run=run.number,
                as_of=run.as_of,
                say=_say,
                full=full,
            )
            took = (time.perf_counter() - begun, time.process_time() - spent)
        result.raise_if_held()
        people = result.individual
        return {
            "took": took,
            "records": people.records,
            "people": people.people,
            "largest": people.largest,
            "evidence": people.evidence_rows,
            "resolved": people.resolved,
            "changed": people.way.changed,
            "parts": result.seconds,
        }

    return step


def _say(line: str) -> None:
    """Progress, apart from the figures."""
    print(line, file=sys.stderr, flush=True)


def changes(paths: Paths, changed: int) -> Detail:
    """Plan mixed changes to the canonical model, and make them."""
    with Warehouse(paths).writing("benchmark") as connection:
        plan_changes(connection, changed, seed=int(time.time()))
        make_changes(connection)
        connection.execute("drop schema later cascade")
    return {}


def digests(paths: Paths, _: int) -> Detail:
    """One number per published table, for whether two runs left the same."""
    with Warehouse(paths).reading() as connection:
        return {
            table: str(
                connection.execute(
                    f"select count(*), sum(hash(t)) from identity.{table} as t"
                ).fetchall()
            )
            for table in PUBLISHED
        }


def joins(paths: Paths, _: int) -> Detail:
    """The floor: the raw joins of every rule and blocking key, counted."""
    rules = read_ruleset().individual
    with Warehouse(paths).writing("benchmark") as connection:
        _stage(connection)
        begun, spent = time.perf_counter(), time.process_time()
        pairs = 0
        for query in pair_queries("individual", rules).values():
            connection.execute(f"create or replace temp table keyed as {query.rows()}")
            pairs += connection.execute(
                f"select count(*) from ({query.pairs('keyed')})"
            ).fetchall()[0][0]
        took = (time.perf_counter() - begun, time.process_time() - spent)
    return {"took": took, "pairs": pairs}


def splink(paths: Paths, _: int) -> Detail:
    """Plain Splink over the same pairs: predict, and cluster at the link weight."""
    from splink import DuckDBAPI, Linker
    from splink.clustering import cluster_pairwise_predictions_at_threshold

    rules = read_ruleset().individual
    assert rules.model is not None
    with Warehouse(paths).writing("benchmark") as connection:
        _stage(connection)
        stage_keyed(connection, "individual", rules)
        stage_pairs(connection, "individual", rules)
        records = connection.sql(
            f"select {', '.join(COLUMNS)} from staged_matchable"
        ).to_arrow_table()
        pairs = connection.sql(
            "select '0' as match_key, node_l as join_key_l, node_r as join_key_r "
            "from candidate"
        ).to_arrow_table()
    model = read_model(rules.model.file).for_records(records.num_rows)
    begun, spent = time.perf_counter(), time.process_time()
    with duckdb.connect() as private:
        api = DuckDBAPI(private)
        linker = Linker(
            api.register(records, dataset_display_name="record"),
            model.settings,
            log_level=logging.ERROR,
        )
        linker.table_management.register_blocked_pairs_for_predict(
            api.register(pairs, dataset_display_name="pair")
        )
        clusters = cluster_pairwise_predictions_at_threshold(
            api.register(records.select(["node_id"]), dataset_display_name="node"),
            linker.inference.predict(warning_mode="never"),
            api,
            "node_id",
            threshold_match_weight=rules.model.link_weight,
        )
        took = (time.perf_counter() - begun, time.process_time() - spent)
        largest = private.execute(
            "select max(records) from (select count(*) as records "
            f"from {clusters.physical_name} group by cluster_id)"
        ).fetchall()[0][0]
    return {"took": took, "pairs": pairs.num_rows, "largest": largest}


def crowd(paths: Paths, _: int) -> Detail:
    """Add 10,000 records of one phone, 50,000 of one e-mail, a chain of 1,000.

    All are strangers with names of their own, but for every second of the chain: a bare
    pair of inboxes, one its predecessor's and one its successor's.
    """
    names = read_model("match_model.json").frequencies
    with Warehouse(paths).writing("benchmark") as connection:
        connection.execute(
            "create or replace temp macro draw(key, what, most) as "
            "cast(1 + hash(key, what) % most as bigint)"
        )
        connection.execute(
            """
            insert into dmo.individual by name
            select
                'crowd_contact:' || i as id,
                if(nameless, null, $first[draw(i, 0, len($first))]) as first_name,
                if(nameless, null, $last[draw(i, 1, len($last))]) as last_name,
                false as is_anonymous, 'crowd' as data_source_id, 1 as _load_seq
            from (select i, i > 60000 and i % 2 = 1 as nameless
                from range(61000) as rows(i))
            """,
            {"first": list(names["first_name"]), "last": list(names["last_name"])},
        )
        connection.execute(
            """
            insert into dmo.contact_point_phone by name
            select
                'crowd_contact:' || i as id, 'crowd_contact:' || i as party_id,
                '+49305550000' as formatted_e164_phone_number, 1 as _load_seq
            from range(10000) as rows(i);
            insert into dmo.contact_point_email by name
            select
                'crowd_contact:' || i as id, 'crowd_contact:' || i as party_id,
                'office@crowd.org' as email_address,
                'office@crowd.org' as normalised_email, 1 as _load_seq
            from range(10000, 60000) as rows(i);
            -- Each shares one inbox with the one before and one with the next.
            insert into dmo.contact_point_email by name
            select
                'crowd_contact:' || i || side as id, 'crowd_contact:' || i as party_id,
                'link' || i + side || '@crowd.org' as email_address,
                'link' || i + side || '@crowd.org' as normalised_email, 1 as _load_seq
            from range(60000, 61000) as rows(i), range(2) as sides(side);
            """
        )
    return {}


def crowded(paths: Paths, _: int) -> Detail:
    """What became of the crowd: its largest person, and the values named."""
    with Warehouse(paths).reading() as connection:
        largest = connection.execute(
            """
            select max(records) from (
                select count(*) as records from identity.unified_link_individual
                where record like 'crowd_contact:%' group by unified_individual_id
            )
            """
        ).fetchall()[0][0]
        named = connection.execute(
            """
            select value, records from identity.shared_identifier
            where value in ('+49305550000', 'office@crowd.org') order by records
            """
        ).fetchall()
    return {"largest": largest, "named": named}


def _stage(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        """
        create or replace temp table staged_matchable as
        from identity.matchable_individual;
        create or replace temp table staged_decided (
            node_l bigint, node_r bigint, rule varchar
        );
        """
    )


STEPS: dict[str, Callable[[Paths, int], Detail]] = {
    "full": resolving(True),
    "incremental": resolving(False),
    "changes": changes,
    "digests": digests,
    "joins": joins,
    "splink": splink,
    "crowd": crowd,
    "crowded": crowded,
}


def main(step: str, folder: str, number: str = "0") -> None:
    begun, spent = time.perf_counter(), time.process_time()
    detail = STEPS[step](Paths(Path(folder)), int(number))
    seconds, cpu = detail.pop(
        "took", (time.perf_counter() - begun, time.process_time() - spent)
    )
    figures = {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_mb": peak_megabytes(),
    }
    print(json.dumps(figures | detail))


if __name__ == "__main__":
    main(*sys.argv[1:])
