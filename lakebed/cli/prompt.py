"""The prompt of `lakebed sql`: lines until `;`, a history, completion, and the same without a person at the other end of a pipe."""

from __future__ import annotations

import os
import readline
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from lakebed.cli.console import errors, out, table
from lakebed.cli.sql import Session, answer
from warehouse.contracts import CONTRACTS, contract
from warehouse.errors import ConfigError, ContractError, QueryError

HELP = """\
A query ends with ; and may span lines. Only reading is possible: SELECT, DESCRIBE, SUMMARIZE, EXPLAIN.
  .tables          every table and what it holds
  .schema TABLE    columns of a table, with types and units
  .help            this text
  .quit            leave (Ctrl+D does, too); Ctrl+C drops the lines typed so far"""
HISTORY_LINES = 2_000


def history_file() -> Path:
    """Where the lines typed are kept: the user's state folder, as XDG says."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "lakebed" / "sql_history"


def converse(session: Session, read: Callable[[str], str] = input) -> None:
    """Read and answer queries until the user leaves; an error is shown and the prompt goes on."""
    out.print("Lakebed, read-only. A query ends with ; and .help says more.", highlight=False)
    _remember()
    pending = ""
    while True:
        try:
            line = read("   ...> " if pending else "lakebed> ")
        except EOFError:
            out.print()
            return
        except KeyboardInterrupt:
            out.print()
            pending = ""
            continue
        if not pending and line.strip().startswith("."):
            if not command(line.strip()):
                return
            continue
        pending = f"{pending}\n{line}" if pending else line
        if is_complete(session, pending):
            _try(session, pending)
            pending = ""


def read_pipe(session: Session, source: TextIO) -> None:
    """Answer the queries of a pipe one after the other. Raises QueryError at the first that fails, ConfigError when there is none."""
    pending, answered = "", 0
    for line in source:
        if not pending.strip() and line.strip().startswith("."):
            answered += 1
            if not command(line.strip()):
                return
            continue
        pending += line
        if is_complete(session, pending):
            answered += bool(pending.strip(" \t\r\n;"))
            if pending.strip(" \t\r\n;"):
                answer(session, pending)
            pending = ""
    if pending.strip():
        answer(session, pending)
    elif not answered:
        raise ConfigError('there is no query: lakebed sql "SELECT ...", or write one to standard input')


def is_complete(session: Session, text: str) -> bool:
    """Whether a text ends with a `;` that is not inside quotes or a comment."""
    import duckdb

    if not text.rstrip().endswith(";"):
        return False
    try:
        text.encode()
        session.connection.extract_statements(text)
    except duckdb.ParserException as error:
        return "unterminated" not in str(error)
    except UnicodeEncodeError:
        return True
    behind = text + " x"
    return duckdb.tokenize(behind)[-1][0] == len(behind.encode()) - 1


def command(line: str) -> bool:
    """Carry out a command that begins with a dot; False when it says to leave."""
    name, _, argument = line.partition(" ")
    if name in (".quit", ".exit", ".q"):
        return False
    if name == ".tables":
        table("", ("table", "what it holds"), [(c.full_name, c.description) for c in CONTRACTS.values()])
    elif name == ".schema" and argument.strip():
        _schema(argument.strip().rstrip(";"))
    else:
        out.print(HELP if name == ".help" else f"{line}: no such command\n{HELP}", markup=False, highlight=False)
    return True


def _schema(name: str) -> None:
    try:
        found = contract(name)
    except ContractError as error:
        errors.print(str(error), markup=False, highlight=False)
        return
    out.print(f"{found.full_name}: {found.description}. One row per {', '.join(found.grain)}.", markup=False, highlight=False)
    rows = [(c.name, c.type, c.unit or "", "no" if c.required else "yes", c.description) for c in found.columns]
    table("", ("column", "type", "unit", "may be null", "meaning"), rows)


def _try(session: Session, text: str) -> None:
    try:
        answer(session, text)
    except QueryError as error:
        errors.print(str(error), style="red", markup=False, highlight=False)
    except KeyboardInterrupt:
        session.connection.interrupt()
        errors.print("stopped")


def _remember() -> None:
    """Load the history, keep it at exit, and complete names of tables and their columns with the tab key."""
    import atexit

    file = history_file()
    readline.set_history_length(HISTORY_LINES)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            readline.read_history_file(file)
        atexit.register(_keep, file)
    except OSError as error:
        errors.print(f"no history: {error}", markup=False, highlight=False)
    words = sorted({*CONTRACTS, *(c for t in CONTRACTS.values() for c in t.column_names), ".tables", ".schema", ".help", ".quit"})
    readline.set_completer_delims(" \t\n(),;=<>")
    readline.set_completer(lambda text, state: next(iter([w for w in words if w.startswith(text)][state : state + 1]), None))
    readline.parse_and_bind("tab: complete")


def _keep(file: Path) -> None:
    try:
        readline.write_history_file(file)
        file.chmod(0o600)
    except OSError as error:
        errors.print(f"the history was not kept: {error}", markup=False, highlight=False)
