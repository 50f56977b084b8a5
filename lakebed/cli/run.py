"""`lakebed run` and `lakebed ui`."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakebed.cli.console import DEFAULT_CONFIG, ConfigOption, JsonOption, cell, errors, out, print_json, progress, table
from lakebed.cli.sizes import size
from warehouse.errors import ChecksFailedError, ConfigError, LakebedError
from warehouse.lake import Slice
from warehouse.settings import load

if TYPE_CHECKING:
    from orchestration.execute import Outcome

MOST_COMPARED = 20


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("run")(run_command)
    app.command("ui")(ui_command)


def run_command(
    config: ConfigOption = DEFAULT_CONFIG,
    first: Annotated[str | None, typer.Option("--from", help="First day to ask servers for (YYYY-MM-DD, UTC). Default: yesterday.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day, inclusive. Default: today.")] = None,
    allow_shrink: Annotated[
        list[str] | None,
        typer.Option("--allow-shrink", metavar="SOURCE", help="Accept that this source now gives less than the lake holds."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build the days of the window again even when nothing changed.")] = False,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            "--scenario",
            metavar="NAME=VALUE,...",
            help="What if; repeatable, all given together are one scenario. growth=+30%: demand is that much above the forecast; "
            "growth:SERVICE=+30%: that of one service; NAME=2026-03-01: the event of [scenarios.NAME] happens on that day; NAME=12: an "
            "input of the ROI model. A name that does not exist lists those that do.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read the sources, check what landed, build core, marts and models, and publish.

    Does only what has not been done: files and days that are in the lake are not read again, a run that was killed goes on.

    With --scenario the capacity plan is made again under it and kept beside the plan that stands, in mart.capacity_scenarios; mart.roi
    shows the scenario until the next run without one."""
    from orchestration.execute import Request, run

    request = Request(window_of(first, last), tuple(allow_shrink or ()), force, scenario=tuple(scenario or ()))
    with progress("run") as report:
        outcome = run(config, request, progress=report)
    _tell(outcome, as_json)
    if scenario and not as_json:
        _compare(outcome)
    if outcome.errors:
        raise LakebedError("; ".join(outcome.errors))
    if outcome.unreadable:
        raise LakebedError("sources that could not be read: " + "; ".join(f"{k}: {v}" for k, v in outcome.unreadable.items()))
    if outcome.blocked:
        raise ChecksFailedError(
            f"{len(outcome.blocked)} day(s) are blocked and stay out of marts and publishing (`lakebed day list` shows them): "
            + ", ".join(f"{t} {d}" for t, d in outcome.blocked[:5])
        )


def window_of(first: str | None, last: str | None) -> Slice | None:
    """The half-open window of --from and --to, None when neither is given. Raises ConfigError for dates that are none."""
    if first is None and last is None:
        return None
    end = _day(last, "--to") if last else datetime.now(UTC).date()
    start = _day(first, "--from") if first else end
    if start > end:
        raise ConfigError(f"--from {start} is after --to {end}")
    return Slice(start, end + timedelta(days=1))


def _day(text: str, option: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise ConfigError(f"{option} {text!r} is not a day; write YYYY-MM-DD") from None


def _tell(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "runs": outcome.runs,
                "ranges": [str(r) for r in outcome.ranges],
                "days": outcome.days,
                "rows": outcome.rows,
                "errors": outcome.errors,
                "unreadable": outcome.unreadable,
                "blocked": [f"{t} {d}" for t, d in outcome.blocked],
                "buried": outcome.buried,
                "scenario": outcome.scenario or [],
                "seconds": round(outcome.seconds, 1),
            }
        )
        return
    landed = ", ".join(f"{n:,} {t}" for t, n in outcome.rows.items() if n) or "nothing new"
    out.print(f"landed {landed}; worked on {outcome.days} day(s); {outcome.seconds:.1f} s", highlight=False)
    if outcome.buried:
        errors.print(f"{outcome.buried} earlier run(s) had died and are now marked as failed")


def _compare(outcome: Outcome) -> None:
    """The plan before and under the scenario, for the resources where they differ."""
    from reports.wording import label

    if outcome.scenario is None:
        out.print("the scenario is one of the ROI model alone: mart.roi shows it until the next run without one", highlight=False)
        return
    if not outcome.scenario:
        out.print("the scenario changes no resource's plan within the forecast", highlight=False)
        return
    rows = [
        (
            label(one["resource_id"], longest=25),
            _when(one["before"]),
            _when(one["after"]),
            _amount(one["add_capacity"], one["unit"]),
            _amount(one["add_cost_per_month"], one["billing_currency"]),
        )
        for one in outcome.scenario[:MOST_COMPARED]
    ]
    table("", ["resource", "runs out", "then", "add", "price of 30 days"], rows)
    left = len(outcome.scenario) - len(rows)
    if left:
        out.print(f'and {left:,} more: lakebed sql "FROM mart.capacity_scenarios"', highlight=False)


def _when(time: datetime | None) -> str:
    return "later" if time is None else f"{time:%Y-%m-%d}"


def _amount(number: float | None, unit: str | None) -> str:
    if number is None:
        return "not known"
    if unit == "By":
        return size(round(number))
    return f"{cell(number)} {unit}" if unit and unit != "1" else cell(number)


def ui_command(
    config: ConfigOption = DEFAULT_CONFIG,
    port: Annotated[int, typer.Option(help="Port on localhost.")] = 3000,
    host: Annotated[
        str, typer.Option(help="Address to listen on. The UI has no login: put a reverse proxy before anything but localhost.")
    ] = "127.0.0.1",
) -> None:
    """Open the Dagster UI, with the daemon that runs schedules and sensors, on localhost."""
    from orchestration.instance import home_of

    settings = load(config)
    environment = {**os.environ, "LAKEBED_CONFIG": str(config.absolute()), "DAGSTER_HOME": str(home_of(settings))}
    out.print(f"Dagster UI: http://{host}:{port}  (Ctrl+C ends it)", highlight=False)
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "-m", "orchestration.definitions", "-h", host, "-p", str(port)]
    raise typer.Exit(subprocess.call(command, env=environment, cwd=settings.root))  # noqa: S603 - our own program, fixed arguments
