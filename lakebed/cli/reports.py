"""`lakebed report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lakebed.cli.console import DEFAULT_CONFIG, ConfigOption, JsonOption, out, print_json, table
from warehouse.settings import load


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report_command)


def report_command(
    name: Annotated[str | None, typer.Argument(help="Report to write; without one, what there is.", show_default=False)] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    formats: Annotated[str, typer.Option("--format", help="Of html, pdf, xlsx, md, csv, parquet, separated by commas; default: all.")] = "",
    folder: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to write to; default: reports/ beside the file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a report from the marts: findings with charts, what they rest on, and the SQL that shows each.

    Without a name: which reports there are, and what each answers."""
    from orchestration.reporting import write_reports
    from reports import REPORTS

    if name is None:
        if as_json:
            print_json({name: kind.answers for name, kind in REPORTS.items()})
        else:
            table("", ["report", "answers"], [(name, kind.answers) for name, kind in REPORTS.items()])
        return
    (paths,) = write_reports(load(config), [name], [f.strip() for f in formats.split(",") if f.strip()], folder).values()
    if as_json:
        print_json([str(p) for p in paths])
        return
    for path in paths:
        out.print(str(path), highlight=False, soft_wrap=True)
