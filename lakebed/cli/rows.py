"""Rows of a query as people and programs read them: a bounded table, JSON, or CSV that a spreadsheet cannot run."""

from __future__ import annotations

import csv
import json
import math
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lakebed.cli.console import cell, out, table

if TYPE_CHECKING:
    import pyarrow as pa

    from warehouse.lake.query import Result

FORMULA = re.compile(r"^[\s\x00]*[=+\-@\t\r\n|%＝＋－＠]")
NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
CELL_CHARACTERS = 300
COLUMN_WIDTH = 9

Writer = Callable[["Result"], int]


def rows_of(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """The rows of a batch as Python values; two columns may have one name."""
    yield from zip(*(column.to_pylist(maps_as_pydicts="lossy") for column in batch.columns), strict=True)


def write_table(result: Result, max_rows: int) -> int:
    """Print at most `max_rows` rows as a table, one block per row when the terminal is too narrow; says when rows were left out."""
    names = list(result.schema.names)
    shown: list[tuple[Any, ...]] = []
    for batch in result.batches:
        shown += rows_of(batch)
        if len(shown) > max_rows:
            break
    rows = [tuple(_readable(value) for value in row) for row in shown[:max_rows]]
    if names[:1] == ["explain_key"]:
        out.print("\n".join(str(row[1]) for row in shown), markup=False, highlight=False, soft_wrap=True)
        return len(rows)
    if rows and len(names) * COLUMN_WIDTH > out.width:
        _print_blocks(names, rows)
    else:
        table("", names, rows)
    if len(shown) > max_rows:
        out.print(f"the first {max_rows:,} rows of more; --max-rows N shows more, --json and --csv all", style="yellow", highlight=False)
    else:
        out.print(f"{len(rows):,} row{'' if len(rows) == 1 else 's'}", style="dim", highlight=False)
    return len(rows)


def _print_blocks(names: list[str], rows: list[tuple[Any, ...]]) -> None:
    width = max(len(name) for name in names)
    for number, row in enumerate(rows, 1):
        out.print(f"row {number}", style="bold", highlight=False)
        for name, value in zip(names, row, strict=True):
            out.print(f"  {name:<{width}}  {cell(value)}", markup=False, highlight=False, soft_wrap=True)


def _readable(value: Any) -> Any:
    """A value for a terminal: numbers stay numbers, text cannot move the cursor and is not endless."""
    if value is None or isinstance(value, int | float | Decimal):
        return value
    text = value if isinstance(value, str) else str(plain(value)) if isinstance(value, bytes | date | time) else _json(plain(value))
    text = text if len(text) <= CELL_CHARACTERS else text[:CELL_CHARACTERS] + "…"
    return "".join(c if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf") else repr(c)[1:-1] for c in text)


def write_json(result: Result) -> int:
    """Print all rows as one JSON list of objects, batch by batch. Not-a-number and infinity are null; money is a number if exact."""
    names = _unique(result.schema.names)
    written = 0
    sys.stdout.write("[")
    for batch in result.batches:
        for row in rows_of(batch):
            document = {name: plain(value) for name, value in zip(names, row, strict=True)}
            sys.stdout.write((",\n " if written else "\n ") + _json(document))
            written += 1
    sys.stdout.write("\n]\n" if written else "]\n")
    return written


def write_csv(result: Result) -> int:
    """Print all rows as CSV (RFC 4180, header first). Text that a spreadsheet would run as a formula gets an apostrophe before it."""
    writer = csv.writer(sys.stdout)
    writer.writerow([neutral(name) for name in result.schema.names])
    written = 0
    for batch in result.batches:
        for row in rows_of(batch):
            writer.writerow([_csv_cell(value) for value in row])
            written += 1
    return written


def neutral(text: str) -> str:
    """Text with an apostrophe before it when a spreadsheet would run it (OWASP, CSV Injection); a plain number stays."""
    return "'" + text if FORMULA.match(text) and not NUMBER.match(text) else text


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float | Decimal | int):
        return str(value)
    value = plain(value)
    return neutral(value if isinstance(value, str) else _json(value))


def plain(value: Any) -> Any:
    """A value as JSON can carry it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def _number(value: Decimal) -> int | float | str:
    """A decimal as a JSON number when that is exact, else as text."""
    if value == value.to_integral_value():
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)


def _unique(names: list[str]) -> list[str]:
    """Column names with `_1`, `_2` behind those that are there already, because a JSON object has each key once."""
    found: list[str] = []
    for name in names:
        candidate, number = name, 0
        while candidate in found:
            number += 1
            candidate = f"{name}_{number}"
        found.append(candidate)
    return found


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
