"""Records of a table file that cannot become rows: where they stand and why. Slow paths, walked only when there are any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from sources.files import InputFile
from sources.lines import numbered_lines
from sources.rejects import KEPT_CHARS
from warehouse.errors import SourceError


@dataclass(frozen=True, slots=True)
class Damage:
    """A record that is no row: the line it begins at, its byte offset in the file that was read, why, and its text."""

    line: int
    offset: int
    reason: str
    record: str


def csv_damage(connection: duckdb.DuckDBPyConnection, file: InputFile, path: Path) -> list[Damage]:
    """What DuckDB's CSV reader refused (too few or many columns, bad UTF-8, quotes, over-long lines), with physical line numbers.

    Raises SourceError for a quote that is never closed, because all lines after it would be lost in it."""
    if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'reject_errors'").fetchone():
        return []
    found = connection.execute(
        """SELECT line_byte_position - 1 AS place, min(error_type::VARCHAR), any_value(csv_line) FROM reject_errors
           WHERE error_type <> 'CAST' GROUP BY place ORDER BY place"""
    ).fetchall()
    texts = [str(text or "") for _, _, text in found]
    offsets = [int(at) + _blank(text) for (at, _, _), text in zip(found, texts, strict=True)]
    damages = []
    for (_, kind, _), text, offset, line in zip(found, texts, offsets, lines_at(path, offsets), strict=True):
        number = file.first_line + line
        body = text.lstrip("\r\n")
        if kind == "UNQUOTED VALUE" and "\n" in body.rstrip("\r\n"):
            raise SourceError(
                f"{file.origin} line {number}: a quote opens that is never closed, which hides the lines after it; mend the line"
            )
        damages.append(Damage(number, offset, f"csv_{kind.lower().replace(' ', '_')}", body[:KEPT_CHARS]))
    return damages


def _blank(text: str) -> int:
    """Blank lines before a record belong to it for DuckDB; bytes to skip."""
    return len(text) - len(text.lstrip("\r\n"))


def no_damage() -> list[Damage]:
    """For formats whose bad records show as rows."""
    return []


def lines_at(path: Path, offsets: Sequence[int]) -> list[int]:
    """For ascending byte offsets: how many line ends come before each."""
    counts: list[int] = []
    position = lines = 0
    with path.open("rb") as stream:
        for offset in offsets:
            while position < offset:
                chunk = stream.read(min(1 << 20, offset - position))
                if not chunk:
                    break
                position += len(chunk)
                lines += chunk.count(b"\n")
            counts.append(lines)
    return counts


def record_lines(path: Path, *, skip: int, first_line: int, damaged: set[int]) -> Iterator[int]:
    """The line at which each record begins that DuckDB's CSV reader takes for a row, in order: not the skipped, blank or damaged ones."""
    quoted = False
    begin = offset = 0
    number = first_line - 1
    with path.open("rb") as stream:
        for index, line in enumerate(stream):
            at, offset, number = offset, offset + len(line), number + 1
            if index < skip:
                continue
            if not quoted:
                begin, begin_at = number, at
            quoted ^= bool(line.count(b'"') & 1)
            if not quoted and begin_at not in damaged and (begin != number or line.strip(b"\r\n")):
                yield begin


def csv_lines(path: Path, ordinals: Sequence[int], *, skip: int, first_line: int, damaged: set[int]) -> list[int]:
    """Lines of the records with the given ordinals (from 1, ascending)."""
    found: list[int] = []
    wanted = iter(ordinals)
    target = next(wanted, None)
    for ordinal, line in enumerate(record_lines(path, skip=skip, first_line=first_line, damaged=damaged), start=1):
        while target == ordinal:
            found.append(line)
            target = next(wanted, None)
        if target is None:
            break
    return found


def register_lines(connection: duckdb.DuckDBPyConnection, file: InputFile, path: Path, max_line_bytes: int) -> str:
    """A view over the numbered lines of a file that can be read once; its name."""
    lines = numbered_lines(lambda: path.open("rb"), first_line=file.first_line, max_line_bytes=max_line_bytes)
    connection.register("table_lines", lines)
    return "table_lines"
