"""`lakebed demo`: the simulated company through the whole platform, findings beside the injected truth."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakebed.cli.console import errors, out, print_json, program, progress, table
from lakebed.cli.data import tell_tiers
from lakebed.cli.truth import Finding, compare
from warehouse.errors import ConfigError, LakebedError
from warehouse.settings import load

if TYPE_CHECKING:
    from orchestration.execute import Outcome

MARK = ".lakebed-demo"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo_command)


def demo_command(
    folder: Annotated[Path, typer.Argument(help="Folder for the demo; a former demo there is replaced.")] = Path("lakebed-demo"),
    seed: Annotated[int, typer.Option(help="Another seed is another company history.")] = 0,
    scale: Annotated[float, typer.Option(min=0.01, max=20.0, help="Size of the company's telemetry; 1 is 2 million samples.")] = 1.0,
    end: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day of the history, to have the same company again on another day.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison with the truth as JSON.")] = False,
) -> None:
    """Send a simulated company through the whole platform, and compare what is found with what was hidden.

    Generates 90 days of telemetry, incidents and bills as real systems write them, runs sources, checks, transforms, models, retention
    and archive, publishes warehouse.duckdb and writes the executive report. Then, and only then, it opens the truth."""
    from lakebed.demo import generate
    from orchestration.reporting import write_reports

    started = time.monotonic()
    last = end.date() if end else None
    if last is not None and last >= datetime.now(UTC).date():
        raise ConfigError(f"--end {last} is not over yet (UTC); name a day before today")
    prepare(folder)
    with progress("demo") as report:
        generate(folder, seed=seed, end=last, scale=scale, progress=lambda what, share: report(f"generating {what} ({share:.0%})"))
        config = folder / "lakebed.toml"
        outcome = _platform(config, report)
        kept = _upkeep(config, report)
        report("report")
        reports = {**write_reports(load(config), ["executive"]), **write_reports(load(config), ["capacity", "trends"], ["html"])}
        written = [path for files in reports.values() for path in files]
    findings = _findings(config, folder / "truth.json")
    seconds = time.monotonic() - started
    if as_json:
        print_json(
            {
                "seconds": round(seconds, 1),
                "loaded": outcome.rows,
                "blocked": [f"{t} {d}" for t, d in outcome.blocked],
                "findings": [asdict(f) for f in findings],
                "upkeep": kept,
                "report": [str(p) for p in written],
                "warehouse": str(folder / "warehouse.duckdb"),
            }
        )
        return
    _tell(config, folder, outcome, findings, kept, written, seconds)


def prepare(folder: Path) -> None:
    """A fresh folder with the demo's mark in it. Raises ConfigError for one that holds anything without that mark."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / MARK
    if any(folder.iterdir()) and not mark.is_file():
        raise ConfigError(
            f"{folder} holds something that is not a demo (it has no {MARK}), and nothing of it was touched; "
            "name a new folder (lakebed demo FOLDER), or remove this one yourself"
        )
    for path in folder.iterdir():  # the mark stays to the end, so that an interrupted clearing can be gone on with
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != mark:
            path.unlink()
    mark.write_text("Made by `lakebed demo`, which replaces all of this folder when it runs again.\n", encoding="utf-8")


def _platform(config: Path, report: Callable[[str], None]) -> Outcome:
    from orchestration.execute import Request, run

    outcome = run(config, Request(), progress=report)
    problems = [*outcome.errors, *(f"{name}: {why}" for name, why in outcome.unreadable.items())]
    if problems:
        raise LakebedError("the demo's run failed: " + "; ".join(problems))
    return outcome


def _upkeep(config: Path, report: Callable[[str], None]) -> dict[str, str]:
    """Retention, archive and a restore drill, as the nightly and weekly schedules do them."""
    from orchestration.execute import upkeep

    return upkeep(config, ("retention", "restore_drill"), progress=report)


def _findings(config: Path, truth: Path) -> list[Finding]:
    """Only now is the truth opened."""
    from lakebed.demo import read_truth
    from transforms.model import macros
    from warehouse.lake.query import open_read_only, query

    settings = load(config)
    connection = open_read_only(settings, macros())
    try:
        return compare(lambda sql: query(settings, sql, connection=connection), read_truth(truth))
    finally:
        connection.close()


def _tell(
    config: Path, folder: Path, outcome: Outcome, findings: list[Finding], kept: dict[str, str], written: list[Path], seconds: float
) -> None:
    table("Loaded", ["table", "rows"], [(name, rows) for name, rows in outcome.rows.items() if rows])
    checks = _check_counts(config)
    out.print(
        f"Checks: {checks[0]:,} passed, {checks[1]:,} warned, {checks[2]:,} failed; {len(outcome.blocked)} day(s) blocked", highlight=False
    )
    table(
        "Found, beside the truth",
        ["question", "found", "truth", ""],
        [(f.question, f.found, f.truth, "yes" if f.good else "NO") for f in findings],
    )
    table("Upkeep", ["what", "result"], list(kept.items()))
    tiers, retention = _tiers(config)
    tell_tiers(tiers)
    out.print("What retention would do next, and why:", highlight=False)
    for line in retention:
        out.print(f"  {line}", highlight=False, markup=False)
    page = next((p for p in written if p.suffix == ".html"), written[0])
    out.print(f"Report:    {page}", highlight=False, soft_wrap=True)
    out.print(f"Warehouse: {folder / 'warehouse.duckdb'}", highlight=False, soft_wrap=True)
    given = f"--config {shlex.quote(str(config))}"
    out.print(f"UI:        {program()} ui {given}", markup=False, highlight=False, soft_wrap=True)
    out.print(f"SQL:       {program()} sql {given} 'FROM mart.capacity_plan'", markup=False, highlight=False, soft_wrap=True)
    errors.print(f"done in {seconds:.0f} s", highlight=False)


def _tiers(config: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows and bytes of each tier, and retention's next plan in a few lines."""
    from warehouse.lake.lake import Lake
    from warehouse.retention.planning import outlook
    from warehouse.retention.telling import summary
    from warehouse.tiers.sizes import tier_sizes

    with Lake.open(load(config), read_only=True) as lake:
        return [asdict(t) for t in tier_sizes(lake)], summary(outlook(lake, store=False))


def _check_counts(config: Path) -> tuple[int, int, int]:
    """Expectations that passed, warned and failed, each counted per table and day."""
    from warehouse.lake.query import query

    sql = """SELECT count(*) FILTER (success) AS passed, count(*) FILTER (NOT success AND severity = 'warn') AS warned,
             count(*) FILTER (NOT success AND severity = 'error') AS failed FROM meta.check_results"""
    row = query(load(config), sql).to_pylist()[0]
    return row["passed"], row["warned"], row["failed"]
