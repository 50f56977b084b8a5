"""`lakebed init` and `lakebed doctor`: a configuration to begin with, and whether it fits the real systems."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakebed.cli.console import DEFAULT_CONFIG, ConfigOption, JsonOption, out, print_json, progress
from warehouse.errors import ConfigError
from warehouse.settings import load

if TYPE_CHECKING:
    from lakebed.cli.doctor import Finding

EXAMPLE = "lakebed.example.toml"
MARKS = {"ok": "[green]ok[/]     ", "warn": "[yellow]warning[/]", "problem": "[red]problem[/]"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("init")(init_command)
    app.command("doctor")(doctor_command)


def init_command(
    folder: Annotated[Path, typer.Argument(help="Folder for lakebed.toml.", file_okay=False)] = Path(),
) -> None:
    """Write a commented lakebed.toml to begin with. An existing one is never touched.

    Then: uncomment a source, `lakebed doctor`, `lakebed run`."""
    target = folder / DEFAULT_CONFIG
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as stream:
            stream.write(example())
    except FileExistsError:
        raise ConfigError(f"{target} is there already and was left as it is") from None
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror}") from None
    out.print(f"{target} is written. Uncomment a source in it, then: lakebed doctor", highlight=False, soft_wrap=True)


def example() -> str:
    """The text of lakebed.example.toml, from the installed package or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for place in (package / EXAMPLE, package.parent / EXAMPLE):
        if place.is_file():
            return place.read_text(encoding="utf-8")
    raise ConfigError(f"{EXAMPLE} is missing from the installation; install lakebed again")


def doctor_command(
    config: ConfigOption = DEFAULT_CONFIG,
    repair: Annotated[bool, typer.Option("--repair", help="Also mend: a lost catalog, dead runs, half-built files, old orphans.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the configuration against the real systems, and say what to mend. Exits with 1 when there is a problem.

    Looks at secrets, extensions, memory, folders, disk space, the catalog, leftovers of dead processes, clocks, and every source."""
    from lakebed.cli import doctor

    found = list(doctor.secrets(config))
    done: list[str] = []
    if not any(f.level == "problem" for f in found):
        settings = load(config)
        found.insert(0, doctor.Finding("configuration", "ok", f"{config} is valid, {len(settings.sources)} source(s)"))
        with progress("doctor") as report:
            if repair:
                for step in doctor.repair(settings):
                    done.append(step)
                    report(step)
            for finding in doctor.diagnose(settings):
                report(finding.check)
                found.append(finding)
    problems = sum(f.level == "problem" for f in found)
    if as_json:
        print_json({"problems": problems, "findings": [asdict(f) for f in found], "repaired": done})
    else:
        _tell(found, done, problems)
    if problems:
        raise typer.Exit(1)


def _tell(found: list[Finding], done: list[str], problems: int) -> None:
    from rich.markup import escape

    for step in done:
        out.print(f"[cyan]repair[/]  {escape(step)}", highlight=False, soft_wrap=True)
    for finding in found:
        out.print(f"{MARKS[finding.level]} {finding.check}: {escape(finding.message)}", highlight=False, soft_wrap=True)
        if finding.remedy:
            out.print(f"        -> {escape(finding.remedy)}", highlight=False, soft_wrap=True)
    out.print("nothing to mend" if not problems else f"{problems} problem(s) to mend", style="bold", highlight=False)
