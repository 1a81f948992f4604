"""Activations as assets: each one a graph of ops, pending -> deliver -> acknowledge.

``pending`` and ``acknowledge`` hold the warehouse for a moment. Sending begins when
``pending`` ends, in a thread that works on the outbox alone, and ``deliver`` waits for
it: a slow destination keeps nobody from the warehouse, and no other destination. Each
may be killed and run again: the outbox knows by its idempotency key what was delivered.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg

from cdp_assets.activation.caps import held_plans
from cdp_assets.activation.delivery import deliver_activation
from cdp_assets.activation.handover import hand_over
from cdp_assets.activation.outbox import Outbox
from cdp_assets.activation.planning import plan
from cdp_assets.activation.receipts import acknowledge
from cdp_assets.activation.sendable import Sendable
from cdp_assets.activation.settlement import settle
from cdp_assets.activation.spec import (
    CONTACT,
    ActivationSpec,
    check,
    load_activations,
)
from cdp_assets.activation.workers import Delivery, Workers
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.defs.segments import COLUMNS, SEGMENTS, profile_keys, segment_key
from cdp_assets.paths import Paths
from cdp_assets.runs import pinned_as_of
from cdp_assets.segments.expression import read_expression
from cdp_assets.streams.dlo import ensure_table
from cdp_assets.streams.load import load_waiting
from cdp_assets.streams.spec import load_streams
from cdp_assets.warehouse import transaction, utc_now

GROUP = "activation"
OWNER = "team:marketing"
ACTIVATIONS = load_activations()
RECEIPTS = load_streams()["system_receipt"]


# Sending begins as early as it can, and is waited for when nothing else is left to do.
FIRST = {"dagster/priority": "1"}
LAST = {"dagster/priority": "-1"}
WORKERS = Workers()


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


def delivery(spec: Sendable, paths: Paths) -> Delivery:
    """What delivers an activation; the clock may be pinned."""
    outbox = Outbox(paths.outbox)
    return lambda: deliver_activation(outbox, spec, paths, at=pinned_as_of(paths))


def pending_op(spec: ActivationSpec, inputs: Mapping[str, dg.AssetKey]) -> Any:
    """Plan what changed since last time, copy it to the outbox, begin to send it."""

    @dg.op(
        name=f"{spec.name}__pending",
        description=pending_op.__doc__,
        ins={name: dg.In(dg.Nothing) for name in inputs},
        out=dg.Out(dict),
        tags=FIRST,
    )
    def pending(
        context: dg.OpExecutionContext, warehouse: WarehouseResource
    ) -> dict[str, Any]:
        outbox = Outbox(warehouse.paths.outbox)
        with warehouse.get_connection(f"planning {spec.name}") as connection:
            run = warehouse.run(connection, context.run)
            planned = plan(connection, spec, outbox, run.number, run.as_of)
            copied = hand_over(connection, outbox)
        WORKERS.start(context.run.run_id, spec.name, delivery(spec, warehouse.paths))
        context.log.info(f"{spec.name}: {planned.planned} changes planned")
        if planned.held:
            context.log.warning(
                f"{spec.name}: {planned.held} changes are HELD: "
                f"{planned.held_because}; `cdp activate {spec.name} --dry-run` shows "
                "them, --release sends them"
            )
        return {**asdict(planned), "copied_to_outbox": copied.copied}

    return pending


def deliver_op(spec: Sendable) -> Any:
    """Send what is due; consent is looked up for each message as it leaves."""

    @dg.op(
        name=f"{spec.name}__deliver",
        description=deliver_op.__doc__,
        out=dg.Out(dict),
        tags=LAST,
    )
    def deliver(
        context: dg.OpExecutionContext,
        warehouse: WarehouseResource,
        planned: dict[str, Any],
    ) -> dict[str, Any]:
        result = WORKERS.result(
            context.run.run_id, spec.name, delivery(spec, warehouse.paths)
        )
        if result.reason:
            context.log.warning(f"{spec.name}: {result.status}: {result.reason}")
        return {**planned, **asdict(result)}

    return deliver


def acknowledge_op(spec: Sendable) -> Any:
    """Land the receipts as a stream of their own, and fold them in."""

    @dg.op(
        name=f"{spec.name}__acknowledge",
        description=acknowledge_op.__doc__,
        # Nothing is handed on, so nothing is pickled and shown as the asset's path.
        out=dg.Out(dg.Nothing),
    )
    def acknowledged(
        context: dg.OpExecutionContext,
        warehouse: WarehouseResource,
        delivered: dict[str, Any],
    ) -> None:
        paths = warehouse.paths
        outbox = Outbox(paths.outbox)
        with warehouse.get_connection(f"receipts of {spec.name}") as connection:
            receipts = acknowledge(outbox, paths, utc_now())
            ensure_table(connection, RECEIPTS)
            load_waiting(connection, paths, RECEIPTS, started_at=utc_now())
            with transaction(connection):
                settle(connection, outbox)
        figures = {k: v for k, v in delivered.items() if isinstance(v, int | str)}
        context.add_output_metadata(
            {
                "dagster/row_count": delivered["members"],
                "receipts_landed": receipts.receipts,
                **figures,
            }
        )

    return acknowledged


def activation_asset(spec: ActivationSpec) -> dg.AssetsDefinition:
    """Build the asset of one activation; a mapping that cannot be is refused here."""
    check(spec, COLUMNS, SEGMENTS)
    inputs = reads(spec)
    pending = pending_op(spec, inputs)
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
