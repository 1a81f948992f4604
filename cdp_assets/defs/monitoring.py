"""Watching the graph: the failure sensor, and where its alerts go.

The tables of what happened are dbt models (``models/monitoring``); how fresh each
stream must be stands in its YAML and becomes its asset's freshness policy.
"""

import os

import dagster as dg

ALERT_URL = "CDP_ALERT_URL"


def alert_text(run_id: str, job: str, step: str | None, message: str) -> str:
    """One sentence for a chat channel; names what failed and what to do, no data."""
    where = f" at {step}" if step else ""
    return (
        f"Run {run_id[:8]} of {job} failed{where}: {message.splitlines()[0][:300]} "
        "Nothing half-done was published; open the run, mend the cause, re-execute it."
    )


@dg.run_failure_sensor(
    name="failure_sensor",
    description="Logs each failed run, and posts it to CDP_ALERT_URL where set.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
)
def failure_sensor(context: dg.RunFailureSensorContext) -> None:
    """Say which run failed, where, and what to do next."""
    failed = context.get_step_failure_events()
    text = alert_text(
        context.dagster_run.run_id,
        context.dagster_run.job_name,
        failed[0].step_key if failed else None,
        context.failure_event.message or "no message",
    )
    context.log.error(text)
    url = os.environ.get(ALERT_URL)
    if url:
        import httpx

        # {"text": …} is what Slack, Mattermost and Teams workflows all read.
        httpx.post(url, json={"text": text}, timeout=10).raise_for_status()


@dg.definitions
def monitoring_definitions() -> dg.Definitions:
    """The failure sensor."""
    return dg.Definitions(sensors=[failure_sensor])
