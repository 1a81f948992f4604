"""Governance as checks: what must never have happened, asked after each delivery."""

import dagster as dg

from cdp_assets.defs.activation import ACTIVATIONS, activation_key
from cdp_assets.defs.data_actions import DATA_ACTIONS, action_key
from cdp_assets.defs.resources import WarehouseResource


def consent_check(name: str, key: dg.AssetKey) -> dg.AssetChecksDefinition:
    """Build the check of one activation, or of a data action that writes to people."""

    @dg.asset_check(
        asset=key,
        name="every_delivery_names_its_consent",
        description="Each delivered change but removals names an opt-in row of the "
        "canonical consent, and each withheld one says why.",
    )
    def check(warehouse: WarehouseResource) -> dg.AssetCheckResult:
        with warehouse.reading("checking consent") as connection:
            unfounded, silent, delivered = connection.execute(
                """
                select
                    count(*) filter (
                        where r.outcome = 'delivered' and r.operation <> 'remove'
                            and c.consent_status_id is distinct from 'opt_in'
                    ),
                    count(*) filter (
                        where r.outcome = 'withheld' and coalesce(r.reason, '') = ''
                    ),
                    count(*) filter (where r.outcome = 'delivered')
                from dlo.system_receipt as r
                left join dmo.contact_point_consent as c on c.id = r.consent_record
                where r.activation = ?
                """,
                [name],
            ).fetchone() or (0, 0, 0)
        return dg.AssetCheckResult(
            passed=unfounded == silent == 0,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "delivered": delivered,
                "without_an_opt_in_row": unfounded,
                "withheld_without_a_reason": silent,
            },
        )

    return check


@dg.definitions
def governance_definitions() -> dg.Definitions:
    """One consent check per activation and per data action that writes to people."""
    people = [s.name for s in DATA_ACTIONS.values() if s.audience == "person"]
    return dg.Definitions(
        asset_checks=[
            *(consent_check(name, activation_key(name)) for name in ACTIVATIONS),
            *(consent_check(name, action_key(name)) for name in people),
        ]
    )
