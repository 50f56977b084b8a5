"""What starts runs besides the clock: files in an inbox, and runs that failed."""

import hashlib
from pathlib import Path

from dagster import (
    DefaultSensorStatus,
    RunFailureSensorContext,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    run_failure_sensor,
    sensor,
)

from orchestration.partitions import today
from orchestration.resources import Platform
from orchestration.runs import record_run
from warehouse.settings import Settings
from warehouse.settings.sources import GroupSettings

MAX_ATTEMPTS = 3


def sensors(settings: Settings) -> list[SensorDefinition]:
    """The inbox sensor (when a source has an inbox) and the failure sensor."""
    folders = inboxes(settings)

    @sensor(job_name="ingest", minimum_interval_seconds=30, default_status=DefaultSensorStatus.RUNNING)
    def inbox(context: SensorEvaluationContext) -> RunRequest | SkipReason:
        """Start ingest when settled files lie in an inbox. The run key holds the attempt, because a failed run uses its key up."""
        waiting = sorted(
            f"{name}/{entry.name}/{entry.stat().st_mtime_ns}" for name, folder in folders.items() for entry in _settled(folder)
        )
        if not waiting:
            return SkipReason("no settled file in any inbox" if folders else "no source has an inbox")
        state = hashlib.sha256("\n".join(waiting).encode()).hexdigest()[:16]
        before, _, tries = (context.cursor or "").partition(":")
        attempt = int(tries) + 1 if before == state and tries else 1
        if attempt > MAX_ATTEMPTS:
            return SkipReason(f"the same {len(waiting)} file(s) are still there after {MAX_ATTEMPTS} runs; look at meta.check_results")
        context.update_cursor(f"{state}:{attempt}")
        return RunRequest(run_key=f"{state}:{attempt}", partition_key=today().isoformat())

    @run_failure_sensor(default_status=DefaultSensorStatus.RUNNING)
    def record_failures(context: RunFailureSensorContext, platform: Platform) -> None:
        """Failed runs stand in meta.runs with their first error."""
        run = context.dagster_run
        record_run(platform.lake, run.run_id, run.job_name, "failure", error=context.failure_event.message)

    return [inbox, record_failures]


def inboxes(settings: Settings) -> dict[str, Path]:
    """Inbox folders by the source (and number of its input) that they belong to."""
    found: dict[str, Path] = {}
    for name, source in settings.sources.items():
        for number, one in enumerate(source.inputs if isinstance(source, GroupSettings) else (source,)):
            folder: str | None = getattr(one, "inbox", None)
            if folder:
                found[f"{name}#{number}"] = Path(settings.resolve_input(folder))
    return found


def _settled(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [f for f in folder.iterdir() if f.is_file() and not f.is_symlink() and not f.name.startswith(".")]
