"""`lakebed run`: the same assets and checks as in the Dagster UI, in this process, for the days that have work to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster import DagsterInstance, Definitions, ExecuteInProcessResult

from orchestration import resources
from orchestration.analyses import ANALYSED
from orchestration.analysing import has_work
from orchestration.configuration import seed
from orchestration.definitions import build_defs, first_day_file
from orchestration.instance import open_instance
from orchestration.partitions import today
from orchestration.planning import Needs, Work, needs_of, plan
from orchestration.resources import Platform
from orchestration.runs import PROCESS_TAG, bury_dead_runs, process_mark, record_run
from orchestration.scenarios import refuse_unknown_services
from orchestration.what_if import services_with_limits, side_by_side
from transforms.model import load_models
from warehouse.contracts import CONTRACTS
from warehouse.errors import ConfigError, LakebedError
from warehouse.lake import Slice
from warehouse.lake.logs import merge_scattered
from warehouse.lake.query_log import load_spool
from warehouse.tiers.publish import is_behind

if TYPE_CHECKING:
    from warehouse.lake.lake import Lake

SCATTERED_FILES = 64
"""Files of a log that a run leaves to the nightly job, which where cron starts the runs there may not be."""
INTERRUPTS = frozenset({"KeyboardInterrupt", "DagsterExecutionInterruptedError"})
START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"

Progress = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What a run did. ranges: in which something was built; days: how many had work to do; rows: landed per raw table; errors: step
    failures; unreadable: sources and why; blocked: (table, day) that failed an `error` check in these runs; buried: earlier runs found
    dead; scenario: what changes in the plan under it (`what_if.side_by_side`), None where nothing is assumed of it; seconds: wall time."""

    runs: list[str] = field(default_factory=list)
    ranges: list[Slice] = field(default_factory=list)
    days: int = 0
    errors: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    blocked: list[tuple[str, date]] = field(default_factory=list)
    buried: int = 0
    scenario: list[dict[str, Any]] | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: a window of days (default: yesterday and today), how to treat what is found, and what to assume."""

    window: Slice | None = None
    allow_shrink: tuple[str, ...] = ()
    force: bool = False
    publish: bool = True
    scenario: tuple[str, ...] = ()


def run(config: Path, request: Request, *, progress: Progress = lambda _message: None) -> Outcome:
    """Read the sources for the window, then check, derive, analyse and publish every day that has work to do.

    Interrupted runs go on by themselves: what is committed is not done again, what is not has work to do. That holds for every step: what
    an earlier run derived and did not analyse, check or publish is made good though this one derives nothing."""
    started = time.monotonic()
    outcome = Outcome()
    platform = Platform(
        config_file=str(config.absolute()), allow_shrink=list(request.allow_shrink), force=request.force, scenario=list(request.scenario)
    )
    _refuse_unknown(platform, request)
    resources.listeners.append(progress)
    try:
        with open_instance(platform.settings) as instance:
            outcome.buried = len(bury_dead_runs(instance, platform.lake))
            seed(platform.lake, platform.settings)
            load_spool(platform.lake)
            if request.window:
                _remember_first_day(platform, request.window.start)
            _execute(
                instance,
                config,
                platform,
                "ingest",
                request.window or Slice(today() - timedelta(days=1), today() + timedelta(days=1)),
                outcome,
                progress,
            )
            _derive(instance, config, platform, request, outcome, progress)
            merge_scattered(platform.lake, SCATTERED_FILES)
    finally:
        resources.listeners.remove(progress)
    _summarise(platform.lake, outcome, platform)
    outcome.seconds = time.monotonic() - started
    return outcome


def upkeep(config: Path, jobs: Iterable[str], *, progress: Progress = lambda _message: None) -> dict[str, str]:
    """Run jobs that have no day (retention, restore_drill, publish) in this process; the headline of each asset, by asset name.

    Raises LakebedError with the first errors when a job fails."""
    platform = Platform(config_file=str(config.absolute()))
    outcome = Outcome()
    headlines: dict[str, str] = {}
    resources.listeners.append(progress)
    try:
        with open_instance(platform.settings) as instance:
            for job in jobs:
                result = _execute(instance, config, platform, job, None, outcome, progress)
                headlines |= _headlines(result)
    finally:
        resources.listeners.remove(progress)
    if outcome.errors:
        raise LakebedError("; ".join(outcome.errors))
    return headlines


def _headlines(result: ExecuteInProcessResult) -> dict[str, str]:
    """Asset name -> its metadata entry `summary`."""
    found = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        if "summary" in materialization.metadata:
            found["/".join(materialization.asset_key.path)] = str(materialization.metadata["summary"].value)
    return found


def dirty_days(lake: Lake) -> set[date]:
    """Days up to today that have work to do: written but not checked, or derived from inputs that have changed since."""
    return _needs(lake).days


def _needs(lake: Lake, force_within: Slice | None = None) -> Needs:
    tables = [name for name, contract in CONTRACTS.items() if contract.schema != "meta" and name not in ANALYSED]
    known = {name: lake.states(name) for name in CONTRACTS}
    return needs_of(known, tables, load_models().values(), until=today(), force_within=force_within)


def _derive(instance: DagsterInstance, config: Path, platform: Platform, request: Request, outcome: Outcome, progress: Progress) -> None:
    forced = request.window if request.force else None
    worked = _work(instance, config, platform, _needs(platform.lake, forced), outcome, progress)
    if _blocked(platform.lake, outcome):  # steps that waited for a day that is blocked now may do without it
        _work(instance, config, platform, _needs(platform.lake), outcome, progress)
    if worked or request.force or has_work(platform.lake, platform.settings, today=today(), scenario=platform.what_if):
        _execute(instance, config, platform, "analyse", None, outcome, progress)
    if request.publish and (worked or is_behind(platform.lake)):
        _execute(instance, config, platform, "publish", None, outcome, progress)


def _work(instance: DagsterInstance, config: Path, platform: Platform, needs: Needs, outcome: Outcome, progress: Progress) -> bool:
    """Plan what is needed and do it; whether there was anything to do."""
    if needs.days:
        _remember_first_day(platform, min(needs.days))
    outcome.days += len(needs.days)
    planned = plan(needs)
    for number, work in enumerate(planned, 1):
        progress(f"{work} ({number} of {len(planned)})")
        if work.days:
            outcome.ranges.append(work.days)
        _execute(instance, config, platform, "derive", work.days, outcome, progress, work)
    return bool(planned)


def _execute(
    instance: DagsterInstance,
    config: Path,
    platform: Platform,
    job: str,
    days: Slice | None,
    outcome: Outcome,
    progress: Progress,
    work: Work | None = None,
) -> ExecuteInProcessResult:
    """Run one job, or the part of it that has work, over a range in this process; a failure is noted and does not raise.

    Raises KeyboardInterrupt when it was interrupted, which Dagster takes for a failure like any other, and tries the step again."""
    progress(job)
    started = time.monotonic()
    result = _in_process(build_defs(config, resource_overrides={"platform": platform}, work=work), instance, job, days)
    seconds = time.monotonic() - started
    outcome.runs.append(result.run_id)
    failures = [e for e in result.get_step_failure_events() if not _is_blocked_check(e)] if not result.success else []
    errors = [f"{e.step_key}: {_message(e)}" for e in failures]
    outcome.errors += errors
    status = "success" if result.success else "failure"
    record_run(platform.lake, result.run_id, job, status, partitions=str(days or ""), error="; ".join(errors) or None, duration_s=seconds)
    if any(not _error_names(event).isdisjoint(INTERRUPTS) for event in result.all_events):
        raise KeyboardInterrupt
    return result


def _in_process(definitions: Definitions, instance: DagsterInstance, job: str, days: Slice | None) -> ExecuteInProcessResult:
    tags = {PROCESS_TAG: process_mark()}
    if days is not None:
        tags |= {START: days.start.isoformat(), END: (days.end - timedelta(days=1)).isoformat()}
    return definitions.resolve_job_def(job).execute_in_process(
        instance=instance, tags=tags, raise_on_error=False, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    )


def _is_blocked_check(event: object) -> bool:
    """Whether a step only stopped because a blocking check failed: that is a verdict on data, and stands in the days' states."""
    return "DagsterAssetCheckFailedError" in _error_names(event)


def _error_names(event: object) -> set[str]:
    """The classes of the error that an event carries, and of its causes."""
    names: set[str] = set()
    error = getattr(getattr(event, "event_specific_data", None), "error", None)
    while error is not None:
        names.add(getattr(error, "cls_name", None) or "")
        error = getattr(error, "cause", None)
    return names


def _message(event: object) -> str:
    data = getattr(event, "event_specific_data", None)
    error = getattr(data, "error", None)
    cause = error
    while getattr(cause, "cause", None) is not None:
        cause = cause.cause  # type: ignore[union-attr]
    return str(getattr(cause, "message", event)).strip()[:500]


def _remember_first_day(platform: Platform, first: date) -> None:
    """Partitions begin at the first day that the lake holds or a run asked for, unless the configuration says otherwise."""
    if platform.settings.start_day is not None:
        return
    file = first_day_file(platform.settings)
    known = date.fromisoformat(file.read_text().strip()) if file.is_file() else date.max
    if first < known:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(first.isoformat())


def _summarise(lake: Lake, outcome: Outcome, platform: Platform) -> None:
    """What the lake says of these runs: rows landed, sources that could not be read, days that are blocked."""
    rows = lake.connection.execute(
        """SELECT table_name, sum(rows_landed)::BIGINT FROM meta.ingest_log
           WHERE list_contains(?, run_id) AND starts_with(table_name, 'raw.') GROUP BY ALL ORDER BY ALL""",
        [outcome.runs],
    ).fetchall()
    outcome.rows = {str(table): int(count) for table, count in rows}
    failed = lake.connection.execute(
        """SELECT table_name, details FROM meta.check_results
           WHERE list_contains(?, run_id) AND starts_with(table_name, 'source:') AND NOT success""",
        [outcome.runs],
    ).fetchall()
    outcome.unreadable = {str(name).removeprefix("source:"): str(details) for name, details in failed}
    outcome.blocked = _blocked(lake, outcome)
    if platform.what_if.text:
        outcome.scenario = side_by_side(lake, platform.what_if.text)


def _blocked(lake: Lake, outcome: Outcome) -> list[tuple[str, date]]:
    """Days that the runs so far have blocked."""
    found = lake.connection.execute(
        "SELECT table_name, day FROM meta.day_state WHERE state = 'blocked' AND list_contains(?, run_id) ORDER BY ALL", [outcome.runs]
    ).fetchall()
    return [(str(table), day) for table, day in found]


def _refuse_unknown(platform: Platform, request: Request) -> None:
    unknown = set(request.allow_shrink) - set(platform.settings.sources)
    if unknown:
        raise ConfigError(
            f"--allow-shrink names no source: {', '.join(sorted(unknown))}; sources are {', '.join(platform.settings.sources)}"
        )
    if platform.what_if.growth:
        refuse_unknown_services(platform.what_if, services_with_limits(platform.lake))
    start = platform.settings.start_day
    if request.window and start is not None and request.window.start < start:
        raise ConfigError(f"--from {request.window.start} is before start_day {start}, the first day that this lake is to hold")
