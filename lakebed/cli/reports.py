"""`lakebed report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lakebed.cli.console import DEFAULT_CONFIG, ConfigOption, JsonOption, out, print_json
from warehouse.settings import load

DEFAULT_FORMATS = "html,md,csv,parquet"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report_command)


def report_command(
    name: Annotated[str, typer.Argument(help="Report to write; `executive` answers eight questions on one page.")] = "executive",
    config: ConfigOption = DEFAULT_CONFIG,
    formats: Annotated[str, typer.Option("--format", help="Formats, separated by commas: html, md, csv, parquet.")] = DEFAULT_FORMATS,
    folder: Annotated[Path | None, typer.Option("--out", help="Folder to write to. Default: reports/ beside the configuration.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a report from the marts: findings with charts, what they rest on, and the SQL that shows each."""
    from orchestration.reporting import write_report

    paths = write_report(load(config), name, [f.strip() for f in formats.split(",") if f.strip()], folder)
    if as_json:
        print_json([str(p) for p in paths])
        return
    for path in paths:
        out.print(str(path), highlight=False, soft_wrap=True)
