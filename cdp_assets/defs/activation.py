"""Activations as assets: each one a graph of ops, pending -> deliver -> acknowledge.

``pending`` and ``acknowledge`` hold the warehouse for a moment; ``deliver`` works on
the outbox alone, so a slow destination keeps nobody from the warehouse. Each may be
killed and run again: what was delivered is known to the outbox by its idempotency key.
"""

from dataclasses import asdict

import dagster as dg

from cdp_assets.activation.delivery import deliver_activation
from cdp_assets.activation.handover import hand_over
from cdp_assets.activation.outbox import Outbox
from cdp_assets.activation.planning import plan
from cdp_assets.activation.receipts import acknowledge
from cdp_assets.activation.settlement import settle
from cdp_assets.activation.spec import ActivationSpec, check, load_activations
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.defs.segments import COLUMNS, SEGMENTS, segment_key
from cdp_assets.runs import pinned_as_of
from cdp_assets.streams.landing import waiting
from cdp_assets.streams.load import ensure_table, load
from cdp_assets.streams.spec import load_streams
from cdp_assets.warehouse import transaction, utc_now

GROUP = "activation"
OWNER = "team:marketing"
ACTIVATIONS = load_activations()
RECEIPTS = load_streams()["system_receipt"]


def activation_key(name: str) -> dg.AssetKey:
    """The asset of an activation: what its destination holds because of us."""
    return dg.AssetKey(["activation", name])


def activation_asset(spec: ActivationSpec) -> dg.AssetsDefinition:
    """Build the asset of one activation; a mapping that cannot be is refused here."""
    check(spec, COLUMNS, SEGMENTS)

    @dg.op(
        name=f"{spec.name}__pending",
        description="Plan what changed since the last time, and copy it to the outbox.",
        ins={"members": dg.In(dg.Nothing), "consent": dg.In(dg.Nothing)},
        out=dg.Out(dict),
    )
    def pending(
        context: dg.OpExecutionContext, warehouse: WarehouseResource
    ) -> dict[str, int]:
        outbox = Outbox(warehouse.paths.outbox)
        with warehouse.get_connection(f"planning {spec.name}") as connection:
            run = warehouse.run(connection, context.run)
            planned = plan(connection, spec, outbox, run.number, run.as_of)
            copied = hand_over(connection, outbox)
        context.log.info(f"{spec.name}: {planned.planned} changes planned")
        return {**asdict(planned), "copied_to_outbox": copied.copied}

    @dg.op(
        name=f"{spec.name}__deliver",
        description="Send what is due; consent is looked up for each message now.",
        out=dg.Out(dict),
    )
    def deliver(
        context: dg.OpExecutionContext,
        warehouse: WarehouseResource,
        planned: dict[str, int],
    ) -> dict[str, object]:
        outbox = Outbox(warehouse.paths.outbox)
        result = deliver_activation(
            outbox, spec, warehouse.paths, at=pinned_as_of(warehouse.paths)
        )
        if result.reason:
            context.log.warning(f"{spec.name}: {result.status}: {result.reason}")
        return {**planned, **asdict(result)}

    @dg.op(
        name=f"{spec.name}__acknowledge",
        description="Land the receipts as a stream of their own, and fold them in.",
        out=dg.Out(dict),
    )
    def acknowledged(
        context: dg.OpExecutionContext,
        warehouse: WarehouseResource,
        delivered: dict[str, object],
    ) -> dict[str, object]:
        outbox = Outbox(warehouse.paths.outbox)
        with warehouse.get_connection(f"receipts of {spec.name}") as connection:
            receipts = acknowledge(outbox, warehouse.paths, utc_now())
            ensure_table(connection, RECEIPTS)
            files = waiting(connection, warehouse.paths, RECEIPTS)
            load(connection, RECEIPTS, files, started_at=utc_now())
            with transaction(connection):
                settle(connection, outbox)
        context.add_output_metadata(
            {
                "dagster/row_count": delivered["members"],
                **{
                    key: value
                    for key, value in delivered.items()
                    if isinstance(value, int | str)
                },
                "receipts_landed": receipts.receipts,
            }
        )
        return delivered

    @dg.graph_asset(
        name=spec.name,
        key_prefix=["activation"],
        group_name=GROUP,
        description=f"{spec.description}\n\nSegment {spec.segment} to a "
        f"{spec.destination.kind}; channel {spec.channel}, purpose {spec.purpose}.",
        kinds={spec.destination.kind},
        owners=[OWNER],
        tags={"cdp/layer": "activation"},
        ins={
            "members": dg.AssetIn(segment_key(spec.segment), dagster_type=dg.Nothing),
            "consent": dg.AssetIn(
                dg.AssetKey(["dmo", "contact_point_consent"]), dagster_type=dg.Nothing
            ),
        },
    )
    def activation(members, consent):  # type: ignore[no-untyped-def]
        return acknowledged(deliver(pending(members=members, consent=consent)))

    return activation


@dg.definitions
def activation_definitions() -> dg.Definitions:
    """One asset per activation."""
    return dg.Definitions(assets=[activation_asset(s) for s in ACTIVATIONS.values()])
