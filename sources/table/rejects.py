"""Records of a table file that cannot become rows: where they stand and why. Slow paths, walked only when there are any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from sources.files import InputFile
from sources.lines import numbered_lines
from sources.rejects import KEPT_CHARS
from warehouse.errors import SourceError

DAMAGES = "table_damages"
IntArray = npt.NDArray[np.int64]


def csv_damage(connection: duckdb.DuckDBPyConnection, file: InputFile, path: Path) -> bool:
    """Put what DuckDB's CSV reader refused (too few or many columns, bad UTF-8, quotes, over-long lines) into the temporary table
    `table_damages` (line, offset, reason, record), with physical line numbers; whether there is any.

    Raises SourceError for a quote that is never closed, because all lines after it would be lost in it."""
    if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'reject_errors'").fetchone():
        return False
    blank = "length(csv_line) - length(ltrim(csv_line, chr(10) || chr(13)))"
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {DAMAGES} AS
            SELECT 0::BIGINT AS line, CAST(place AS BIGINT) AS "offset", 'csv_' || replace(lower(kind), ' ', '_') AS reason,
                   left(ltrim(text, chr(10) || chr(13)), {KEPT_CHARS}) AS record
            FROM (SELECT line_byte_position - 1 + coalesce({blank}, 0) AS place, min(error_type::VARCHAR) AS kind,
                         coalesce(any_value(csv_line), '') AS text
                  FROM reject_errors WHERE error_type <> 'CAST' GROUP BY place)"""
    )
    offsets = integers(connection, f'SELECT "offset" FROM {DAMAGES} ORDER BY 1')
    if not len(offsets):
        return False
    lines = np.array(lines_at(path, offsets), np.int64) + file.first_line
    join_lines(connection, DAMAGES, "offset", offsets, lines)
    swallowed = f"SELECT line FROM {DAMAGES} WHERE reason = 'csv_unquoted_value' AND contains(rtrim(record, chr(10) || chr(13)), chr(10))"
    hidden = connection.execute(f"{swallowed} ORDER BY line LIMIT 1").fetchone()
    if hidden:
        raise SourceError(
            f"{file.origin} line {hidden[0]}: a quote opens that is never closed, which hides the lines after it; mend the line"
        )
    return True


def no_damage() -> bool:
    """For formats whose bad records show as rows."""
    return False


def damaged_offsets(connection: duckdb.DuckDBPyConnection) -> IntArray:
    """Byte offsets of the damaged records that `csv_damage` found, ascending."""
    return integers(connection, f'SELECT "offset" FROM {DAMAGES} ORDER BY 1')


def integers(connection: duckdb.DuckDBPyConnection, query: str) -> IntArray:
    """The one column of a query as 64-bit integers."""
    columns = connection.execute(query).fetchnumpy()
    return np.asarray(next(iter(columns.values())), np.int64)


def join_lines(connection: duckdb.DuckDBPyConnection, table: str, key: str, keys: IntArray, lines: IntArray) -> None:
    """Set the column `line` of a temporary table, by an ascending key."""
    import pyarrow as pa

    connection.register("located", pa.table({"key": keys, "line": lines}))
    connection.execute(f'UPDATE {table} SET line = located.line FROM located WHERE located.key = {table}."{key}"')
    connection.unregister("located")


def lines_at(path: Path, offsets: Iterable[int]) -> list[int]:
    """For ascending byte offsets: how many line ends come before each."""
    counts: list[int] = []
    position = lines = 0
    with path.open("rb") as stream:
        for offset in offsets:
            while position < offset:
                chunk = stream.read(min(1 << 20, int(offset) - position))
                if not chunk:
                    break
                position += len(chunk)
                lines += chunk.count(b"\n")
            counts.append(lines)
    return counts


def record_lines(path: Path, *, skip: int, first_line: int, damaged: Iterable[int]) -> Iterator[int]:
    """The line at which each record begins that DuckDB's CSV reader takes for a row, in order: not the skipped, blank or damaged ones.

    damaged: byte offsets of damaged records, ascending."""
    bad = iter(damaged)
    next_bad = next(bad, None)
    quoted = False
    begin = begin_at = offset = 0
    number = first_line - 1
    with path.open("rb") as stream:
        for index, line in enumerate(stream):
            at, offset, number = offset, offset + len(line), number + 1
            if index < skip:
                continue
            if not quoted:
                begin, begin_at = number, at
            quoted ^= bool(line.count(b'"') & 1)
            while next_bad is not None and next_bad < begin_at:
                next_bad = next(bad, None)
            if next_bad == begin_at:
                quoted = False
            elif not quoted and (begin != number or line.strip(b"\r\n")):
                yield begin


def csv_lines(path: Path, ordinals: Iterable[int], *, skip: int, first_line: int, damaged: Iterable[int]) -> list[int]:
    """Lines of the records with the given ordinals (from 1, ascending)."""
    found: list[int] = []
    wanted = iter(ordinals)
    target = next(wanted, None)
    for ordinal, line in enumerate(record_lines(path, skip=skip, first_line=first_line, damaged=damaged), start=1):
        if target is None:
            break
        if target == ordinal:
            found.append(line)
            target = next(wanted, None)
    return found


def register_lines(connection: duckdb.DuckDBPyConnection, file: InputFile, path: Path, max_line_bytes: int) -> str:
    """A view over the numbered lines of a file that can be read once; its name."""
    lines = numbered_lines(lambda: path.open("rb"), first_line=file.first_line, max_line_bytes=max_line_bytes)
    connection.register("table_lines", lines)
    return "table_lines"
