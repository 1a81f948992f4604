"""What a dbt build failed on, in words: which mapping, model or check, and its file."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cdp_assets.paths import DBT_PROJECT

FAILED = {"error", "fail", "runtime error", "partial success"}
# dbt's headline names the node and its file once more.
_HEADLINE = re.compile(r"^\w+ Error in [^\n]*\n")
# Of DuckDB's messages, what is wrong comes first, then hints and the line of SQL.
_LINES = 3


def faults(
    results: Sequence[Mapping[str, Any]], nodes: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """One entry per node that failed; those skipped because of it are not named.

    Args:
        results: ``results`` of dbt's ``run_results.json``.
        nodes: ``nodes`` of its manifest, by unique id.
    """
    return [
        f"{_named(result['unique_id'], nodes)}: {_reason(result)}"
        for result in results
        if result["status"] in FAILED
    ]


def _named(unique_id: str, nodes: Mapping[str, Mapping[str, Any]]) -> str:
    node = nodes.get(unique_id)
    if node is None:
        return unique_id
    file = f"{DBT_PROJECT.name}/{node['original_file_path']}"
    if node["resource_type"] == "test":
        return f"check {node['name']}{_tested(node, nodes)} ({file})"
    kind = "mapping" if node["schema"] == "map" else node["resource_type"]
    return f"{kind} {node['schema']}.{node['name']} ({file})"


def _tested(node: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> str:
    model = nodes.get(node.get("attached_node") or "")
    return f" of {model['schema']}.{model['name']}" if model else ""


def _reason(result: Mapping[str, Any]) -> str:
    return "\n      ".join(_telling(str(result.get("message") or result["status"])))


def _telling(message: str) -> Iterator[str]:
    lines = _HEADLINE.sub("", message).splitlines()
    yield from [line.strip() for line in lines if line.strip()][:_LINES]
