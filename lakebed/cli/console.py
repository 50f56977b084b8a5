"""Where commands print: results to standard output, progress and errors to standard error; JSON where a script reads."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

out = Console()
errors = Console(stderr=True)

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", help="Configuration file.", envvar="LAKEBED_CONFIG", show_default=True),
]
DEFAULT_CONFIG = Path("lakebed.toml")
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


@contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """A line that says what is being worked on and for how long; plain lines where standard error is no terminal."""
    if not errors.is_terminal:
        last: list[str] = []

        def line(message: str) -> None:
            if not last or last[0] != message:
                last[:] = [message]
                errors.print(f"{title}: {message}", markup=False, highlight=False)

        yield line
        return
    columns = (SpinnerColumn(), TextColumn("[bold]{task.description}"), TextColumn("{task.fields[now]}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(title, total=None, now="")
        yield lambda message: bar.update(task, now=message[:100])


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows as a readable table; cells are text, never markup."""
    shown = Table(title=title or None, title_justify="left", header_style="bold")
    for i, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(r[i], int | float | Decimal) or r[i] is None for r in rows)
        shown.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(escape(cell(v)) for v in row))
    out.print(shown)


def cell(value: object) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def program() -> str:
    """Lakebed as a shell here can run it: the bare name when it is on the PATH, else the path it was called by, relative where that is
    shorter; also the bare name when it was called in some other way (from Python)."""
    path = Path(sys.argv[0])
    if path.stem != "lakebed" or len(path.parts) == 1 or shutil.which("lakebed") == str(path.absolute()):
        return "lakebed"
    relative = os.path.relpath(path)
    if os.sep not in relative:
        relative = os.path.join(os.curdir, relative)  # noqa: PTH118 - Path drops the leading dot, and a shell needs it
    return shlex.quote(min(str(path), relative, key=len))


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    typer.echo(json.dumps(value, default=_encode, indent=2))


def _encode(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | Path):
        return str(value)
    if isinstance(value, set | tuple):
        return sorted(value, key=str)
    return str(value)
