"""The people of a sample by plain Splink, as its tutorial has it, beside ours.

``python -m tests.benchmarks.plain_splink FOLDER`` takes the records that a run over
samples resolved in that folder, with names, dates and addresses already normalised, and
links them as whoever reads Splink's tutorial would: ready-made comparisons, exact
blocking rules, m and u estimated, clusters from 0.95 on. Printed are pairwise and
B-cubed precision, recall and F1 against the samples' truth, the largest person, seconds
and peak memory; and the same of the people that are published in the folder. With
``--share 440`` it is done with that many of a thousand true people, chosen by hash.
"""

import argparse
import logging
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

from tests.benchmarks.stages import peak_megabytes

# One value of each kind: plain Splink compares columns, not lists.
RECORDS = """
    select node_id as unique_id, record, first_name, last_name,
        strftime(birth_date, '%Y-%m-%d') as dob, emails[1] as email,
        phones[1] as phone, streets[1] as street, cities[1] as city,
        postal_codes[1] as postcode
    from warehouse.identity.node where object = 'individual'
        and record in (select record from truth)
"""
TRUTH = """
    select source || ':' || record_id as record, entity_id as entity
    from read_csv($truth, all_varchar = true)
    where hash(entity_id) % 1000 < $share
"""
PUBLISHED = """
    select record, unified_individual_id as person
    from warehouse.identity.unified_link_individual
    where record in (select record from truth)
"""
CLUSTERED = "select record, person from records join clusters using (unique_id)"
# Pairs are counted by groups of (person, entity), never written out.
SCORES = """
    with cell as (
        select person, entity, count(*) as n
        from truth join people using (record) group by all
    ),
    people_of as (select person, sum(n) as n from cell group by all),
    entity_of as (select entity, sum(n) as n from cell group by all),
    pairs as (
        select (select sum(n * (n - 1) / 2) from cell) as good,
            (select sum(n * (n - 1) / 2) from people_of) as said,
            (select sum(n * (n - 1) / 2) from entity_of) as true_ones
    ),
    cubed as (
        select sum(cell.n * cell.n / p.n) / sum(cell.n) as precision,
            sum(cell.n * cell.n / e.n) / sum(cell.n) as recall
        from cell join people_of as p using (person) join entity_of as e using (entity)
    )
    select good / said, good / true_ones, 2 * good / (said + true_ones),
        cubed.precision, cubed.recall,
        2 * cubed.precision * cubed.recall / (cubed.precision + cubed.recall),
        (select max(n) from (select count(*) as n from people group by person))
    from pairs, cubed
"""


def settings() -> SettingsCreator:
    """Splink's ready-made comparisons, with term frequencies where they are offered."""
    return SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="unique_id",
        comparisons=[
            cl.NameComparison("first_name"),
            cl.NameComparison("last_name"),
            cl.DateOfBirthComparison("dob", input_is_string=True),
            cl.EmailComparison("email"),
            cl.ExactMatch("phone").configure(term_frequency_adjustments=True),
            cl.JaroWinklerAtThresholds("street"),
            cl.ExactMatch("city").configure(term_frequency_adjustments=True),
        ],
        blocking_rules_to_generate_predictions=[
            block_on("first_name", "last_name"),
            block_on("email"),
            block_on("phone"),
            block_on("last_name", "dob"),
            block_on("last_name", "postcode"),
        ],
    )


def link(records: pa.Table) -> pa.Table:
    """Train, predict and cluster; ``unique_id``, ``person``."""
    with duckdb.connect() as private:
        private.execute("set threads = 2")
        api = DuckDBAPI(private)
        linker = Linker(
            api.register(records, dataset_display_name="record"),
            settings(),
            log_level=logging.ERROR,
        )
        training = linker.training
        training.estimate_probability_two_random_records_match(
            [block_on("email"), block_on("phone")], recall=0.7
        )
        training.estimate_u_using_random_sampling(max_pairs=5e6, seed=1)
        for rule in (block_on("first_name", "last_name"), block_on("email")):
            training.estimate_parameters_using_expectation_maximisation(rule)
        clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(
            linker.inference.predict(threshold_match_probability=0.9),
            threshold_match_probability=0.95,
        )
        return private.sql(
            f"select unique_id, cluster_id as person from {clusters.physical_name}"
        ).to_arrow_table()


def scores(connection: duckdb.DuckDBPyConnection, people: str) -> tuple[float, ...]:
    """Pairwise and B-cubed precision, recall, F1, and the largest person."""
    connection.execute(f"create or replace temp table people as {people}")
    (found,) = connection.execute(SCORES).fetchall()
    return tuple(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=int, default=1000, help="people per thousand")
    options = parser.parse_args()
    truth = str(options.folder / "samples" / "truth.csv")
    with duckdb.connect() as connection:
        connection.execute(
            f"create table truth as {TRUTH}", {"truth": truth, "share": options.share}
        )
        warehouse = str(options.folder / "warehouse.duckdb")
        connection.execute(f"attach '{warehouse}' as warehouse (read_only)")
        records = connection.sql(RECORDS).to_arrow_table()
        ours = scores(connection, PUBLISHED)
        begun, spent = time.perf_counter(), time.process_time()
        clusters = link(records.drop_columns(["record"]))
        seconds, cpu = time.perf_counter() - begun, time.process_time() - spent
        connection.register("records", records).register("clusters", clusters)
        plain = scores(connection, CLUSTERED)
    print(f"{records.num_rows:,} records".ljust(28), end="")
    print("     P      R     F1   B3 P   B3 R  B3 F1  largest")
    for name, (*parts, largest) in (("plain Splink", plain), ("published", ours)):
        print(f"{name:<28}", *(f"{part:>5.3f} " for part in parts), f"{largest:>6,}")
    print(f"plain Splink: {seconds:.1f} s, {cpu:.1f} s of processor, ", end="")
    print(f"peak {peak_megabytes():,} MB")


if __name__ == "__main__":
    main()
