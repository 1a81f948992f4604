"""Makes a sample: what six systems would export about the same people, and the truth.

Everything is drawn from hashes of (seed, person, what is drawn), in DuckDB, so that a
sample is the same bytes wherever it is made and a million people fit in memory.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from cdp_assets.errors import OperatorError
from cdp_assets.samples.pools import load_pools
from cdp_assets.samples.writers import StreamWriter
from cdp_assets.streams.spec import load_streams

SQL = Path(__file__).parent / "sql"

DEFAULT_AS_OF = datetime(2026, 11, 1, tzinfo=UTC)

FEWEST_PEOPLE = 100
# Above this, the working tables stand on disk beside the sample.
PEOPLE_IN_MEMORY = 50_000
MEMORY_LIMIT = "6GB"

# In the order of what they read.
STAGES = {
    "people": ("macros", "households", "people", "companies", "mailboxes"),
    "records": ("records", "keys"),
    "orders": ("orders", "sales", "rates"),
    "systems": ("crm", "shop", "erp", "support"),
    "behaviour": ("email", "web", "consent"),
    "truth": ("truth", "faults"),
}

# The relation that says which rows a stream's exports hold.
ROWS = {
    "crm_account": "account_version",
    "crm_contact": "contact_version",
    "crm_lead": "lead_version",
    "shop_customer": "customer_version",
    "shop_order": "shop_order_version",
    "erp_kna1": "debtor_version",
    "erp_adrc": "address_version",
    "erp_adr6": "debtor_mail_version",
    "erp_vbak": "document_version",
    "erp_vbap": "document_item_version",
    "support_user": "user_version",
    "support_ticket": "ticket_version",
    "email_subscriber": "subscription_version",
    "email_event": "mail_event_sent",
    "web_event": "web_event_sent",
    "consent_log": "consent_sent",
    "finance_exchange_rate": "rate_sent",
}


class SampleError(OperatorError, ValueError):
    """A sample that cannot be made as asked; the message says what would do."""


@dataclass(frozen=True)
class Manifest:
    """What a sample holds."""

    people: int
    seed: int
    as_of: str
    records: dict[str, int]
    """Rows in the files of each stream: versions, repetitions and faults included."""
    faults: dict[str, int]
    """Rows of each stream that no loader can accept."""
    person_records: int
    """Live person records, the rows of truth.csv."""


def _silent(message: str) -> None:
    """Drop a progress message."""


def generate(
    out: Path,
    people: int = 2000,
    seed: int = 1,
    as_of: datetime = DEFAULT_AS_OF,
    progress: Callable[[str], None] = _silent,
) -> Manifest:
    """Write a sample to ``out`` and return what it holds.

    ``out/<stream>/`` gets each stream's files, beside them ``truth.csv`` (which live
    record is which person), ``traps.csv`` (what makes a record hard) and
    ``manifest.json``. The folder appears whole or not at all; an earlier sample
    there is replaced.

    Args:
        out: The folder to make.
        people: How many people there are, at least ``FEWEST_PEOPLE``.
        seed: Another seed is another population.
        as_of: Everything has happened before this instant.
        progress: Told about each step.

    Raises:
        SampleError: Too few people, or ``out`` holds something else.
    """
    if people < FEWEST_PEOPLE:
        raise SampleError(
            f"people: {people} is too few for households and companies; "
            f"ask for at least {FEWEST_PEOPLE}"
        )
    if out.exists() and any(out.iterdir()) and not (out / "manifest.json").exists():
        raise SampleError(f"{out.name}: not empty and not a sample; name a new folder")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "sample").mkdir(parents=True)
    try:
        manifest = _generate(partial, people, seed, as_of, progress)
        if out.exists():
            shutil.rmtree(out)
        (partial / "sample").rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def _generate(
    partial: Path,
    people: int,
    seed: int,
    as_of: datetime,
    progress: Callable[[str], None],
) -> Manifest:
    with _connect(partial, people) as connection:
        for name, value in (
            ("people", people),
            ("seed", seed),
            ("as_of", int(as_of.astimezone(UTC).timestamp())),
        ):
            connection.execute(f"set variable {name} = {int(value)}")
        load_pools(connection, partial)
        for stage, scripts in STAGES.items():
            progress(f"making {stage}")
            for script in scripts:
                connection.execute((SQL / f"{script}.sql").read_text(encoding="utf-8"))
        sample = partial / "sample"
        writer = StreamWriter(connection, sample, as_of)
        records = {}
        # A stream that was added since has no sample, and is empty.
        for name, spec in load_streams().items():
            if not spec.is_system and name in ROWS:
                progress(f"writing {name}")
                records[name] = writer.write(spec, ROWS[name])
        manifest = Manifest(
            people=people,
            seed=seed,
            as_of=as_of.astimezone(UTC).isoformat(),
            records=records,
            faults=writer.faults,
            person_records=writer.write_truth(),
        )
    (sample / "manifest.json").write_text(
        json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8"
    )
    return manifest


def _connect(partial: Path, people: int) -> duckdb.DuckDBPyConnection:
    in_memory = people <= PEOPLE_IN_MEMORY
    return duckdb.connect(
        ":memory:" if in_memory else str(partial / "work.duckdb"),
        config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(partial / "spill")},
    )
