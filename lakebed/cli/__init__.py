"""The command line: one module per family of commands, put together here.

Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 3 data checks failed."""

from __future__ import annotations

import sys

import typer

from lakebed.cli import anomaly, archive, data, demo, reports, retention, run, setup, sql
from lakebed.cli.console import errors
from warehouse.errors import ChecksFailedError, ConfigError, LakebedError

DONE, FAILED, USAGE, CHECKS = 0, 1, 2, 3

app = typer.Typer(
    name="lakebed",
    help="The long memory of an observability stack: metrics, traces, logs, incidents and bills in open Parquet and DuckDB.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for module in (demo, setup, run, sql, reports, data, anomaly, retention, archive):
    module.register(app)


def main() -> None:
    """Run the command line and turn deliberate errors into one clear message and an exit code."""
    try:
        app()
    except ConfigError as error:
        errors.print(f"[red]configuration:[/] {_plain(error)}")
        sys.exit(USAGE)
    except ChecksFailedError as error:
        errors.print(f"[red]data checks:[/] {_plain(error)}")
        sys.exit(CHECKS)
    except LakebedError as error:
        errors.print(f"[red]error:[/] {_plain(error)}")
        sys.exit(FAILED)
    except KeyboardInterrupt:
        errors.print("stopped; what was committed is safe, and the next run goes on from there")
        sys.exit(FAILED)


def _plain(error: Exception) -> str:
    from rich.markup import escape

    return escape(str(error))
