"""`lakebed report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakebed.cli.console import DEFAULT_CONFIG, ConfigOption, JsonOption, out, print_json
from warehouse.settings import load

if TYPE_CHECKING:
    from warehouse.settings import Settings

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
    settings = load(config)
    paths = write_report(settings, name, folder, [f.strip() for f in formats.split(",") if f.strip()])
    if as_json:
        print_json([str(p) for p in paths])
        return
    for path in paths:
        out.print(str(path), highlight=False, soft_wrap=True)


def write_report(settings: Settings, name: str, folder: Path | None, formats: list[str]) -> list[Path]:
    """Render a report over a read-only connection and return the paths."""
    from reports import render
    from transforms.model import macros
    from warehouse.lake.query import open_read_only

    connection = open_read_only(settings, macros())
    try:
        return render(name, connection, folder or Path(settings.root) / "reports", formats)
    finally:
        connection.close()
