"""Runs: what started, ended, failed or died, in meta.runs; and what must be tidied before a new run starts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

if TYPE_CHECKING:
    from warehouse.lake.lake import Lake

PROCESS_TAG = "lakebed/process"


def process_mark() -> str:
    """This process as `pid:start time`, which no later process shares."""
    me = psutil.Process()
    return f"{me.pid}:{_start_of(me)}"


def _start_of(process: psutil.Process) -> str:
    """When a process started: on Linux in ticks since the boot and with the boot's name, because what psutil calculates from the clock
    changes when that is set, and a run that works would be taken for dead."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return f"{process.create_time():.2f}"
    return f"{boot}:{ticks}"


def is_alive(mark: str) -> bool:
    """Whether the process behind a mark still runs."""
    pid, _, started = mark.partition(":")
    try:
        return _start_of(psutil.Process(int(pid))) == started
    except (psutil.NoSuchProcess, ValueError):
        return False


def bury_dead_runs(instance: DagsterInstance, lake: Lake | None = None) -> list[str]:
    """Mark as failed the runs whose process is gone, free their concurrency slots, and note them in meta.runs."""
    unfinished = RunsFilter(statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.CANCELING])
    dead = [run for run in instance.get_runs(unfinished) if PROCESS_TAG in run.tags and not is_alive(run.tags[PROCESS_TAG])]
    for run in dead:
        instance.report_run_failed(run, message="the process of this run is gone (killed, or the machine went down)")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        if lake is not None:
            record_run(lake, run.run_id, run.job_name, "dead", error="process is gone")
    return [run.run_id for run in dead]


def record_run(
    lake: Lake,
    run_id: str,
    job: str,
    status: str,
    *,
    partitions: str | None = None,
    error: str | None = None,
    duration_s: float | None = None,
) -> None:
    """Append a status of a run to meta.runs."""
    now = datetime.now(UTC).replace(tzinfo=None)
    lake.append_log("meta.runs", [(run_id, job, status, partitions, error[:2000] if error else None, duration_s, now)])
