"""What conditions and mappings may name: the profile and one alias per insight.

``profile`` is ``unified.unified_individual``; every model of schema ``insights`` whose
grain is a person stands under its own name; ``run.as_of`` is the instant that the run
takes as now. The columns come from the contracts in dbt's manifest, so a condition is
checked without a warehouse.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cdp_assets.declarations import identifier, quoted

PROFILE = "profile"
RUN = "run"
GRAIN = "unified_individual_id"
_PROFILE_MODEL = ("unified", "unified_individual")


def profile_columns(manifest: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Per alias, the columns and types that dbt's manifest declares.

    Args:
        manifest: The content of ``target/manifest.json``.

    Raises:
        ValueError: There is no unified profile, or a model declares no columns.
    """
    found: dict[str, dict[str, str]] = {}
    for node in manifest["nodes"].values():
        alias = _alias(node)
        if alias is not None:
            found[alias] = _columns(node)
    if PROFILE not in found:
        raise ValueError("the manifest has no model unified.unified_individual")
    names = [PROFILE, *sorted(found.keys() - {PROFILE})]
    return {name: found[name] for name in names} | {RUN: {"as_of": "timestamp"}}


def people_with(
    aliases: Iterable[str], relations: Mapping[str, str] | None = None
) -> str:
    """The from clause with every alias of ``aliases``, one row per person.

    ``run`` needs the parameter ``$as_of``.

    Args:
        aliases: The profile, insights, ``run``, and what ``relations`` names.
        relations: Aliases that are no insight: the query of each, with one row per
            person and the column unified_individual_id.
    """
    relations = relations or {}
    parts = [f"from unified.unified_individual as {PROFILE}"]
    for alias in sorted(set(aliases) - {PROFILE}):
        if alias == RUN:
            parts.append(f"cross join (select $as_of::timestamp as as_of) as {RUN}")
        else:
            name = quoted(alias)
            source = f"({relations[alias]})" if alias in relations else None
            parts.append(
                f"left join {source or f'insights.{name}'} as {name} "
                f"on {name}.{GRAIN} = {PROFILE}.{GRAIN}"
            )
    return "\n".join(parts)


def _alias(node: Mapping[str, Any]) -> str | None:
    """The alias a model stands under, or None when conditions cannot name it."""
    if node.get("resource_type") != "model":
        return None
    schema, name = node["schema"], node.get("alias") or node["name"]
    if (schema, name) == _PROFILE_MODEL:
        return PROFILE
    meta = (node.get("config") or {}).get("meta") or node.get("meta") or {}
    if schema == "insights" and meta.get("grain") == GRAIN:
        return identifier(name)
    return None


def _columns(node: Mapping[str, Any]) -> dict[str, str]:
    columns = {
        name: column.get("data_type")
        for name, column in (node.get("columns") or {}).items()
    }
    missing = [name for name, kind in columns.items() if not kind]
    if missing or not columns:
        raise ValueError(
            f"model {node['name']}: declare data_type for "
            f"{', '.join(missing) or 'its columns'} in the model's yml"
        )
    return columns
