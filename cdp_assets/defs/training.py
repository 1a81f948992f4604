"""Training the match model: by hand or once a year, never with a wave.

A job of its own, and its result an event of the asset ``identity/match_model``: waves
materialise every asset, and none of them may train.
"""

import dagster as dg

from cdp_assets.defs.identity import RULESET
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.identity.judging.training_report import charts, in_words
from cdp_assets.identity.train import (
    LEAST_TRAINED_ON,
    keep_version,
    train,
    write_file,
)
from cdp_assets.warehouse import utc_now


class TrainingConfig(dg.Config):
    """On how many records at least."""

    least_records: int = LEAST_TRAINED_ON


@dg.op
def trained_model(
    context: dg.OpExecutionContext, config: TrainingConfig, warehouse: WarehouseResource
) -> None:
    """One version of the match model, which no run uses before the ruleset names it."""
    with warehouse.reading("training the match model") as connection:
        trained = train(connection, least=config.least_records)
    with warehouse.get_connection("keeping a match model") as connection:
        keep_version(connection, trained, RULESET, at=utc_now())
    file = warehouse.paths.root / "models" / f"{trained.version}.json"
    write_file(trained, file)
    context.log_event(
        dg.AssetMaterialization(
            ["identity", "match_model"],
            description=f"{trained.version}: try `cdp identity what-if {file}`, then "
            "name it in the ruleset",
            metadata={
                "version": trained.version,
                "trained_on_records": trained.content["trained_on_records"],
                "file": dg.MetadataValue.path(str(file)),
                "training_report": dg.MetadataValue.md(in_words(trained)),
                **{
                    name: dg.MetadataValue.md(chart)
                    for name, chart in charts(trained).items()
                },
            },
        )
    )


@dg.job(description="Another version of the match model; nobody uses it by itself.")
def train_match_model() -> None:
    trained_model()


@dg.definitions
def training_definitions() -> dg.Definitions:
    """The job, and a yearly schedule that is off until somebody turns it on."""
    return dg.Definitions(
        jobs=[train_match_model],
        schedules=[
            dg.ScheduleDefinition(
                job=train_match_model,
                cron_schedule="0 5 2 1 *",
                default_status=dg.DefaultScheduleStatus.STOPPED,
            )
        ],
    )
