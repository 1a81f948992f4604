"""The dbt project keeps its own rules: who reads whom, what is declared, what is told.

The manifest is parsed once and the rules are read from it; nothing is built here.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from dbt.cli.main import dbtRunner

from cdp_assets.paths import DBT_PROJECT
from cdp_assets.streams.declared import SQL_TYPES
from cdp_assets.streams.spec import load_streams

# Layer -> what it may read. A seed stands in `reference`, a source in its own name.
READS = {
    "reference": {"reference", "dlo"},
    "map": {"dlo", "reference"},
    "dmo": {"map", "dmo"},
    "unified": {"dmo", "identity", "unified"},
    "insights": {"unified", "dmo", "identity", "insights"},
    "article": {"unified", "dmo", "identity", "insights"},
}
# Nothing reads what was observed about a run, so observing may read everything.
READS["monitoring"] = {*READS, "ops", "dlo", "identity", "segments"}
CONTRACTS = ("dmo", "unified", "insights")
# Columns that hold facts about a person wherever a model object has them.
PERSONAL = re.compile(
    r"(first|middle|last|person)_name|name_suffix|birth_date|gender_id|phone_e164"
    r"|email_address|normalised_email|email_mail_box|telephone_number|address_line\d"
    r"|formatted_e164_phone_number|identification_number|contact_point_value"
    r"|normalised_address_line1|normalised_city"
)
CLOCK = re.compile(
    r"\b(now|today|current_date|current_timestamp|localtimestamp|get_current_\w+"
    r"|transaction_timestamp)\b"
)


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The manifest, and the warnings dbt gave while it parsed."""
    folder = tmp_path_factory.mktemp("dbt")
    warnings: list[str] = []

    def listen(event: Any) -> None:
        if event.info.level in ("warn", "error"):
            warnings.append(event.info.msg)

    outcome = dbtRunner(callbacks=[listen]).invoke(
        [
            "--quiet",
            "parse",
            *("--project-dir", str(DBT_PROJECT)),
            *("--profiles-dir", str(DBT_PROJECT)),
            *("--target", "lint"),
            *("--target-path", str(folder)),
            *("--log-level-file", "none"),
            "--no-partial-parse",
        ]
    )
    assert outcome.success, outcome.exception
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return {"manifest": manifest, "warnings": warnings}


@pytest.fixture(scope="session")
def manifest(parsed: dict[str, Any]) -> dict[str, Any]:
    return parsed["manifest"]


def layer(node: dict[str, Any]) -> str:
    """The folder under models/, which is the schema; of a source, its name."""
    if node["resource_type"] == "source":
        return str(node["source_name"])
    return str(node["schema"])


def models(manifest: dict[str, Any], *layers: str) -> list[dict[str, Any]]:
    found = [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and layer(node) in layers
    ]
    assert found, f"no models in {layers}"
    return found


def parents(manifest: dict[str, Any], node: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        manifest["nodes"].get(name) or manifest["sources"][name]
        for name in node["depends_on"]["nodes"]
    ]


def test_dbt_has_nothing_to_complain_about(parsed: dict[str, Any]) -> None:
    """A misspelt config is a warning to dbt, and without effect ever after."""
    assert parsed["warnings"] == []


def test_a_model_reads_only_layers_below_its_own(manifest: dict[str, Any]) -> None:
    """A model that reads upwards is a cycle that only a second run reveals."""
    wrong = {
        f"{node['name']} reads {layer(parent)}.{parent['name']}"
        for node in models(manifest, *READS)
        for parent in parents(manifest, node)
        if layer(parent) not in READS[layer(node)]
    }
    assert wrong == set()


def test_a_mapping_reads_only_its_own_system(manifest: dict[str, Any]) -> None:
    """Two systems joined before identity resolution are joined by a guess."""
    streams = load_streams()
    for node in models(manifest, "map"):
        system = Path(node["path"]).parts[1]
        read = [p["name"] for p in parents(manifest, node) if layer(p) == "dlo"]
        stream = node["name"].split("__")[0]
        assert stream in read, f"{node['name']} does not read its stream"
        for name in read:
            assert streams[name].source_system == system, (
                f"{node['name']} of {system} reads {name}"
            )


def test_every_mapping_is_united_in_its_model_object(manifest: dict[str, Any]) -> None:
    """A mapping left out of the union is a source that silently does not count."""
    united: dict[str, set[str]] = {
        node["name"]: {p["name"] for p in parents(manifest, node)}
        for node in models(manifest, "dmo")
    }
    for node in models(manifest, "map"):
        target = node["name"].split("__")[1]
        assert node["name"] in united.get(target, set()), (
            f"{node['name']} is not in models/dmo/{target}.sql"
        )


def test_every_schema_is_the_folder(manifest: dict[str, Any]) -> None:
    """Asset keys are schema and name; a prefixed schema would break the lineage."""
    for node in models(manifest, *READS):
        assert node["schema"] == Path(node["path"]).parts[0], node["name"]
    for source in manifest["sources"].values():
        assert source["schema"] == source["source_name"], source["name"]
        assert source["identifier"] == source["name"], source["name"]


def test_canonical_and_published_models_have_contracts(
    manifest: dict[str, Any],
) -> None:
    """A renamed column would break segments and exports at their next run."""
    for node in models(manifest, *CONTRACTS):
        assert node["config"]["contract"]["enforced"], node["name"]


def test_every_model_says_what_a_row_is(manifest: dict[str, Any]) -> None:
    """Who does not know the grain counts rows and calls them people."""
    for node in models(manifest, *READS):
        assert node["description"].startswith("One row"), node["name"]


def test_every_published_model_tests_its_key(manifest: dict[str, Any]) -> None:
    """A key that repeats multiplies every sum that joins it."""
    for node in models(manifest, *CONTRACTS):
        tests = [
            manifest["nodes"][name]["test_metadata"]
            for name in manifest["child_map"][node["unique_id"]]
            if manifest["nodes"].get(name, {}).get("test_metadata")
        ]
        by_kind = {
            kind: {t["kwargs"].get("column_name") for t in tests if t["name"] == kind}
            for kind in ("unique", "not_null")
        }
        combined = any(t["name"] == "unique_combination" for t in tests)
        assert combined or by_kind["unique"] & by_kind["not_null"], node["name"]


def test_every_published_column_is_described(manifest: dict[str, Any]) -> None:
    """What is not described is used by its name, which two teams read two ways."""
    for node in models(manifest, "map", *CONTRACTS):
        assert node["columns"], node["name"]
        bare = [c["name"] for c in node["columns"].values() if not c["description"]]
        assert bare == [], node["name"]


def test_a_mapping_describes_every_column_of_its_model_object(
    manifest: dict[str, Any],
) -> None:
    """The mapping's yml is the answer to where a canonical field comes from."""
    columns = {n["name"]: set(n["columns"]) for n in models(manifest, "dmo")}
    for node in models(manifest, "map"):
        target = node["name"].split("__")[1]
        assert set(node["columns"]) == columns[target], node["name"]


def test_the_dlo_sources_are_the_streams(manifest: dict[str, Any]) -> None:
    """A field added to a stream and not here could not be mapped or documented."""
    declared = {
        name: {
            **{field: SQL_TYPES[f.type] for field, f in spec.fields.items()},
            **spec.bookkeeping,
        }
        for name, spec in load_streams().items()
    }
    sourced = {
        source["name"]: {
            column["name"]: column["data_type"] for column in source["columns"].values()
        }
        for source in manifest["sources"].values()
        if source["source_name"] == "dlo"
    }
    assert sourced == declared


def test_personal_columns_are_tagged(manifest: dict[str, Any]) -> None:
    """Masking and erasure read the tags: an untagged column is shown to everybody."""
    untagged = {
        f"{node['name']}.{column['name']}"
        for node in models(manifest, "dmo", "unified")
        if not node["name"].endswith("account")
        for column in node["columns"].values()
        if PERSONAL.fullmatch(column["name"])
        and not column["config"]["meta"].get("pii")
    }
    assert untagged == set()


def test_tags_of_personal_columns_are_known(manifest: dict[str, Any]) -> None:
    """A misspelt category would be masked by no rule."""
    known = {f.pii for s in load_streams().values() for f in s.fields.values() if f.pii}
    for node in models(manifest, *READS):
        for column in node["columns"].values():
            tag = column["config"]["meta"].get("pii")
            assert tag is None or tag in known | {"gender"}, column["name"]


def test_no_model_reads_the_clock(manifest: dict[str, Any]) -> None:
    """A model with now() in it gives another answer when it is rebuilt."""
    # The article's own queries say current_date; its schema answers with as_of.
    layers = READS.keys() - {"article"}
    code = {n["name"]: n["raw_code"] for n in models(manifest, *layers)}
    code |= {
        macro["name"]: macro["macro_sql"]
        for macro in manifest["macros"].values()
        if macro["package_name"] == "cdp"
    }
    for name, text in code.items():
        spoken = re.sub(r"\{#.*?#\}|--[^\n]*", "", text, flags=re.DOTALL)
        assert not CLOCK.search(spoken), name
