"""What activations and data actions have in common: pending -> deliver -> acknowledge.

``pending`` and ``acknowledge`` hold the warehouse for a moment. Sending begins when
``pending`` ends, in a thread that works on the outbox alone, and ``deliver`` waits for
it: a slow destination keeps nobody from the warehouse, and no other destination. Each
may be killed and run again: the outbox knows by its idempotency key what was delivered.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg
import duckdb

from cdp_assets.activation.delivery import deliver_activation
from cdp_assets.activation.handover import hand_over
from cdp_assets.activation.outbox import Outbox
from cdp_assets.activation.receipts import acknowledge
from cdp_assets.activation.sendable import Sendable
from cdp_assets.activation.settlement import settle
from cdp_assets.activation.workers import Delivery, Workers
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.paths import Paths
from cdp_assets.runs import Run, pinned_as_of
from cdp_assets.streams.dlo import ensure_table
from cdp_assets.streams.load import load_waiting
from cdp_assets.streams.spec import load_streams
from cdp_assets.warehouse import transaction, utc_now

RECEIPTS = load_streams()["system_receipt"]

# Sending begins as early as it can, and is waited for when nothing else is left to do.
FIRST = {"dagster/priority": "1"}
LAST = {"dagster/priority": "-1"}
WORKERS = Workers()
# Plans within a run; what it returns is a dataclass that counts what is ``planned``.
Planning = Callable[
    [dg.OpExecutionContext, duckdb.DuckDBPyConnection, Outbox, Run], Any
]


def delivery(spec: Sendable, paths: Paths) -> Delivery:
    """What delivers an activation; the clock may be pinned."""
    outbox = Outbox(paths.outbox)
    return lambda: deliver_activation(outbox, spec, paths, at=pinned_as_of(paths))


def pending_op(
    spec: Sendable, inputs: Mapping[str, dg.AssetKey], plan_it: Planning
) -> Any:
    """Plan what is to be sent, copy it to the outbox, and begin to send it.

    Args:
        spec: An activation or a data action.
        inputs: What it depends on, by the name of the op's input.
        plan_it: Plans, and returns what it planned as a dataclass.
    """

    @dg.op(
        name=f"{spec.name}__pending",
        description=plan_it.__doc__,
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
            found = plan_it(context, connection, outbox, run)
            copied = hand_over(connection, outbox)
        WORKERS.start(context.run.run_id, spec.name, delivery(spec, warehouse.paths))
        context.log.info(f"{spec.name}: {found.planned} planned")
        return {**asdict(found), "copied_to_outbox": copied.copied}

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
