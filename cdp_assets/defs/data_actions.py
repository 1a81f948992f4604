"""Data actions as assets: pending -> deliver -> acknowledge, as activations are.

``pending`` looks at people after insights and segments; what it plans leaves and comes
back by the same ops as an activation's changes.
"""

from typing import Any

import dagster as dg
import duckdb

from cdp_assets.activation.outbox import Outbox
from cdp_assets.activation.spec import CONTACT
from cdp_assets.data_actions.planning import ActionResult, plan_action
from cdp_assets.data_actions.sources import EVENT, SOURCES
from cdp_assets.data_actions.spec import (
    SEGMENT,
    DataActionSpec,
    check,
    load_data_actions,
    names_of,
    segments_of,
)
from cdp_assets.defs.activation import ACTIVATIONS, GROUP, OWNER
from cdp_assets.defs.segments import COLUMNS, SEGMENTS, profile_keys, segment_key
from cdp_assets.defs.sending import Planning, acknowledge_op, deliver_op, pending_op
from cdp_assets.runs import Run

DATA_ACTIONS = load_data_actions()


def action_key(name: str) -> dg.AssetKey:
    """The asset of a data action: the messages that its edges caused."""
    return dg.AssetKey(["data_action", name])


def reads(spec: DataActionSpec) -> dict[str, dg.AssetKey]:
    """What an action depends on, by the name of its op's input."""
    keys = [
        *profile_keys(names_of(spec) - {CONTACT, SEGMENT, EVENT}),
        *(segment_key(name) for name in segments_of(spec)),
    ]
    if spec.is_on_event:
        keys += [dg.AssetKey(list(path)) for path in SOURCES[spec.trigger].reads]
    if spec.contact_point is not None:
        keys += [
            dg.AssetKey(["dmo", "contact_point_consent"]),
            dg.AssetKey(["unified", spec.contact_point.table]),
        ]
    return {"_".join(key.path): key for key in keys}


def planning(spec: DataActionSpec) -> Planning:
    """What looks for an action's edges."""

    def plan_it(
        _: dg.OpExecutionContext,
        connection: duckdb.DuckDBPyConnection,
        outbox: Outbox,
        run: Run,
    ) -> ActionResult:
        """Look for edges, plan their messages, and copy them to the outbox."""
        return plan_action(connection, spec, outbox, run.number, run.as_of)

    return plan_it


def described(spec: DataActionSpec) -> str:
    """What the action is, in the words of its declaration."""
    told = f"once in {spec.cool_down} a person" if spec.cool_down else "each time"
    to = (
        f"to the person by {spec.channel}, purpose {spec.purpose}"
        if spec.audience == "person"
        else "about the person, internal: no consent is asked"
    )
    when = "becomes true" if spec.trigger == "change" else f"meets an {spec.trigger}"
    return (
        f"{spec.description}\n\nWhen this {when}, {told}: `{spec.when.strip()}`. "
        f"{spec.destination.kind}, {to}."
    )


def action_asset(spec: DataActionSpec) -> dg.AssetsDefinition:
    """Build the asset of one action; one that cannot be is refused here."""
    check(spec, COLUMNS, SEGMENTS, ACTIVATIONS)
    inputs = reads(spec)
    pending = pending_op(spec, inputs, planning(spec))
    deliver, acknowledged = deliver_op(spec), acknowledge_op(spec)

    @dg.graph(
        name=f"data_action__{spec.name}",
        ins={name: dg.GraphIn() for name in inputs},
        description=spec.description,
    )
    def data_action(**upstream: Any) -> Any:
        return acknowledged(deliver(pending(**upstream)))

    return dg.AssetsDefinition.from_graph(
        data_action,
        keys_by_input_name=dict(inputs),
        keys_by_output_name={"result": action_key(spec.name)},
        group_name=GROUP,
        descriptions_by_output_name={"result": described(spec)},
        owners_by_output_name={"result": [OWNER]},
        tags_by_output_name={
            "result": {
                "cdp/layer": "activation",
                f"dagster/kind/{spec.destination.kind}": "",
            }
        },
    )


@dg.definitions
def data_action_definitions() -> dg.Definitions:
    """One asset per data action."""
    return dg.Definitions(assets=[action_asset(s) for s in DATA_ACTIONS.values()])
