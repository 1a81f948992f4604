"""Activations as assets: each one a graph of the ops in ``sending``.

Its ``pending`` plans what the segment's members owe the destination.
"""

from typing import Any

import dagster as dg
import duckdb

from cdp_assets.activation.caps import held_plans
from cdp_assets.activation.outbox import Outbox
from cdp_assets.activation.planning import PlanResult, plan
from cdp_assets.activation.spec import (
    CONTACT,
    ActivationSpec,
    check,
    load_activations,
)
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.defs.segments import COLUMNS, SEGMENTS, profile_keys, segment_key
from cdp_assets.defs.sending import Planning, acknowledge_op, deliver_op, pending_op
from cdp_assets.runs import Run
from cdp_assets.segments.expression import read_expression

GROUP = "activation"
OWNER = "team:marketing"
ACTIVATIONS = load_activations()


def activation_key(name: str) -> dg.AssetKey:
    """The asset of an activation: what its destination holds because of us."""
    return dg.AssetKey(["activation", name])


def reads(spec: ActivationSpec) -> dict[str, dg.AssetKey]:
    """What an activation depends on, by the name of its op's input."""
    aliases: set[str] = set()
    for sql in spec.mapping.values():
        aliases |= read_expression(sql).aliases
    keys = [
        segment_key(spec.segment),
        dg.AssetKey(["dmo", "contact_point_consent"]),
        dg.AssetKey(["unified", spec.contact_point.table]),
        *profile_keys(aliases - {CONTACT}),
    ]
    return {"_".join(key.path): key for key in keys}


def planning(spec: ActivationSpec) -> Planning:
    """What plans an activation."""

    def plan_it(
        context: dg.OpExecutionContext,
        connection: duckdb.DuckDBPyConnection,
        outbox: Outbox,
        run: Run,
    ) -> PlanResult:
        """Plan what changed since last time, copy it to the outbox, begin to send."""
        planned = plan(connection, spec, outbox, run.number, run.as_of)
        if planned.held:
            context.log.warning(
                f"{spec.name}: {planned.held} changes are HELD: "
                f"{planned.held_because}; `cdp activate {spec.name} --dry-run` shows "
                "them, --release sends them"
            )
        return planned

    return plan_it


def activation_asset(spec: ActivationSpec) -> dg.AssetsDefinition:
    """Build the asset of one activation; a mapping that cannot be is refused here."""
    check(spec, COLUMNS, SEGMENTS)
    inputs = reads(spec)
    pending = pending_op(spec, inputs, planning(spec))
    deliver, acknowledged = deliver_op(spec), acknowledge_op(spec)

    @dg.graph(
        name=f"activation__{spec.name}",
        ins={name: dg.GraphIn() for name in inputs},
        description=spec.description,
    )
    def activation(**upstream: Any) -> Any:
        return acknowledged(deliver(pending(**upstream)))

    return dg.AssetsDefinition.from_graph(
        activation,
        keys_by_input_name=dict(inputs),
        keys_by_output_name={"result": activation_key(spec.name)},
        group_name=GROUP,
        descriptions_by_output_name={
            "result": f"{spec.description}\n\nSegment {spec.segment} to a "
            f"{spec.destination.kind}; channel {spec.channel}, purpose {spec.purpose}."
        },
        owners_by_output_name={"result": [OWNER]},
        tags_by_output_name={
            "result": {
                "cdp/layer": "activation",
                f"dagster/kind/{spec.destination.kind}": "",
            }
        },
    )


def caps_check(spec: ActivationSpec) -> dg.AssetChecksDefinition:
    """Build the check that the last plan was not held above one of its caps."""

    @dg.asset_check(
        asset=activation_key(spec.name),
        name="plan_is_within_caps",
        description="No plan waits above `max_rows` or `max_share_changed`; "
        f"`cdp activate {spec.name} --release` lets one go.",
    )
    def within_caps(warehouse: WarehouseResource) -> dg.AssetCheckResult:
        with warehouse.reading() as connection:
            held = {each.activation: each for each in held_plans(connection)}
        plan = held.get(spec.name)
        return dg.AssetCheckResult(
            passed=plan is None,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "changes_held": plan.rows if plan else 0,
                "because": plan.reason if plan else "",
            },
        )

    return within_caps


@dg.definitions
def activation_definitions() -> dg.Definitions:
    """One asset per activation, and a check that its plan was not held."""
    return dg.Definitions(
        assets=[activation_asset(spec) for spec in ACTIVATIONS.values()],
        asset_checks=[caps_check(spec) for spec in ACTIVATIONS.values()],
    )
