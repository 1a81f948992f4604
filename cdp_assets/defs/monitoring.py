"""Watching the graph: what failed and what is wrong, to the log and to a webhook.

The tables of what happened are dbt models (``models/monitoring``); how fresh each
stream must be stands in its YAML and becomes its asset's freshness policy. What is told
and how often is decided in ``operations/alerts.py``.
"""

import os
from collections.abc import Iterable, Sequence

import dagster as dg

from cdp_assets.defs.history import history
from cdp_assets.defs.resources import WarehouseResource
from cdp_assets.operations import doctor
from cdp_assets.operations.alerts import Alert, Webhook, tell
from cdp_assets.operations.findings import Finding
from cdp_assets.operations.gathering import gather
from cdp_assets.paths import Paths

# The failure sensor tells of runs; the daemon tells this itself by being alive; and a
# pinned clock is a choice.
NOT_TOLD = {"last_run_succeeded", "daemon_runs", "clock_is_live"}

# With what to do about it.
TOLD_BY_DOCTOR = {"nothing_is_quarantined", "nothing_is_held"}


def failure_alert(job: str, run_id: str, step: str | None, error: str) -> Alert:
    """What failed, where and by which kind of error; its message may quote data."""
    where = f" at {step}" if step else ""
    return Alert(
        key=f"{job}:{step}:{error}",
        level="failure",
        says=f"Run {run_id[:8]} of {job} failed{where} ({error})",
        next="Nothing half-done was published; open the run, mend the cause, "
        "re-execute it",
    )


@dg.run_failure_sensor(
    name="failure_sensor",
    description="Logs each failed run, and posts it to CDP_ALERT_URL where set; the "
    "same failure again only after twelve hours.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
)
def failure_sensor(context: dg.RunFailureSensorContext) -> None:
    """Say which run failed, where, and what to do next."""
    failed = context.get_step_failure_events()
    step = failed[0] if failed else None
    alert = failure_alert(
        context.dagster_run.job_name,
        context.dagster_run.run_id,
        step.step_key if step else None,
        _kind_of_error(step),
    )
    context.log.error(f"{alert.says}. {alert.next}")
    webhook = Webhook.from_environment(os.environ)
    if webhook is not None:
        paths = Paths.from_environment()
        tell(paths, webhook, [alert], source="runs", settles=False)


def _kind_of_error(event: dg.DagsterEvent | None) -> str:
    error = event.step_failure_data.error if event else None
    while error is not None and error.cause is not None:
        error = error.cause
    return (error.cls_name or "error") if error else "its process ended"


@dg.sensor(
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks every five minutes as `cdp doctor` does, and at the last result "
    "of every check; posts what is new or over to CDP_ALERT_URL.",
)
def health_sensor(
    context: dg.SensorEvaluationContext, warehouse: WarehouseResource
) -> dg.SkipReason:
    """Tell what is wrong while nothing fails."""
    webhook = Webhook.from_environment(os.environ)
    if webhook is None:
        return dg.SkipReason("CDP_ALERT_URL is not set; `cdp doctor` shows the same")
    paths = warehouse.paths
    facts = gather(paths, history(context.instance, paths))
    findings = [f for f in doctor.examine(facts) if f.check not in NOT_TOLD]
    inside = {check.__name__ for check in doctor.IN_THE_WAREHOUSE}
    told = {"doctor": alerts_of(f for f in findings if f.check not in inside)}
    # What could not be looked at is neither wrong nor over.
    if facts.unknown is None:
        told["doctor in the warehouse"] = alerts_of(
            f for f in findings if f.check in inside
        )
    repository = context.repository_def
    if repository is not None:
        keys = sorted(repository.asset_graph.asset_check_keys)
        told["checks"] = failed_checks(context.instance, keys)
    sent = [
        tell(paths, webhook, alerts, source=source) for source, alerts in told.items()
    ]
    return dg.SkipReason(
        f"{sum(len(alerts) for alerts in told.values())} troubles, "
        f"{sum(each.messages for each in sent)} messages sent"
    )


def alerts_of(findings: Iterable[Finding]) -> list[Alert]:
    """The findings that somebody must hear of."""
    return [
        Alert(finding.key, finding.level, finding.says, finding.next)
        for finding in findings
        if finding.level != "ok"
    ]


def failed_checks(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetCheckKey]
) -> list[Alert]:
    """The checks whose last result is a failure."""
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    alerts = []
    for key, record in sorted(latest.items()):
        evaluation = record.event.dagster_event if record.event else None
        if (
            evaluation is None
            or evaluation.event_type_value != "ASSET_CHECK_EVALUATION"
            or key.name in TOLD_BY_DOCTOR
        ):
            continue
        data = evaluation.asset_check_evaluation_data
        if data.passed:
            continue
        name = f"{key.name} of {'/'.join(key.asset_key.path)}"
        is_error = data.severity is dg.AssetCheckSeverity.ERROR
        alerts.append(
            Alert(
                key=name,
                level="failure" if is_error else "warning",
                says=f"Check {name} failed",
                next="Its result in `make ui` shows by how much",
            )
        )
    return alerts


@dg.definitions
def monitoring_definitions() -> dg.Definitions:
    """The failure sensor and the health sensor."""
    return dg.Definitions(sensors=[failure_sensor, health_sensor])
