"""Progress of a run on a terminal: one line per asset, with its rows and seconds."""

import logging
import sys
import time

import dagster as dg

from cdp_assets.lock import WAITING

# The steps that are silent for ten seconds or more.
DBT_PARTS = {"harmonisation", "customer", "monitoring"}


class ProgressHandler(logging.Handler):
    """Prints what a person waiting for the run wants to know, and nothing else."""

    def __init__(self) -> None:
        """Count seconds from here."""
        super().__init__()
        self._started = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Print materialisations, failed checks and failures; skip the rest."""
        meta = getattr(record, "dagster_meta", {})
        event = meta.get("dagster_event") if isinstance(meta, dict) else None
        line = _line(event) if event is not None else _log_line(record)
        if line:
            elapsed = time.monotonic() - self._started
            # The run's own standard output goes to a file: dbt writes a line per test.
            terminal = sys.__stdout__ or sys.stdout
            terminal.write(f"{elapsed:7.1f} s  {line}\n")
            terminal.flush()


def _line(event: dg.DagsterEvent) -> str | None:
    if event.is_asset_materialization_planned:
        return None
    if event.event_type_value == "ASSET_MATERIALIZATION":
        materialization = event.step_materialization_data.materialization
        rows = materialization.metadata.get("dagster/row_count")
        name = "/".join(materialization.asset_key.path)
        # Views have no rows of their own to tell about.
        return f"{name:<52}{rows.value:>12,} rows" if rows is not None else None
    if event.event_type_value == "STEP_START" and event.step_key in DBT_PARTS:
        return f"dbt builds and tests {event.step_key} …"
    if event.event_type_value == "PIPELINE_SUCCESS":
        return "every step is done"
    if check := failed_check(event):
        # Those that only warn stand together at the end.
        if check.severity is dg.AssetCheckSeverity.WARN:
            return None
        name = "/".join(check.asset_key.path)
        return f"ERROR: check {check.check_name} of {name} failed"
    return f"FAILED: {failed_step(event)}" if event.is_step_failure else None


def failed_check(event: dg.DagsterEvent) -> dg.AssetCheckEvaluation | None:
    """The evaluation of a check that did not pass, if this event is one."""
    if event.event_type_value != "ASSET_CHECK_EVALUATION":
        return None
    check = event.asset_check_evaluation_data
    return None if check.passed else check


def failed_step(event: dg.DagsterEvent) -> str:
    """A failed step, and what was wrong at the bottom of it."""
    data = event.step_failure_data
    stated = data.user_failure_data
    if stated is not None and stated.description:
        return f"{event.step_key}: {stated.description}"
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    reason = error.message.strip() if error else event.message
    return f"{event.step_key}: {reason}"


def _log_line(record: logging.LogRecord) -> str | None:
    # A terminal that stands still must say for whom.
    if record.getMessage().rpartition(" - ")[2].startswith(WAITING):
        return record.getMessage().rpartition(" - ")[2]
    # Steps skipped for a failed one are told by the failure itself.
    if record.levelno < logging.ERROR or "Not executing" in record.getMessage():
        return None
    return record.getMessage()


@dg.logger(None, "One line per asset: its rows, and the seconds since the start.")
def progress(_: dg.InitLoggerContext) -> logging.Logger:
    """The logger that ``cdp run`` chooses."""
    logger = logging.Logger("cdp.progress", level=logging.DEBUG)
    logger.addHandler(ProgressHandler())
    return logger


@dg.definitions
def loggers() -> dg.Definitions:
    """Dagster's own console logger stays the default; a run may ask for this one."""
    return dg.Definitions(
        loggers={"console": dg.colored_console_logger, "progress": progress}
    )
