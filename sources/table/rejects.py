"""Records of a table file that cannot become rows: where they stand and why. Slow paths, walked only when there are any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import numpy.typing as npt

from sources.files import InputFile
from sources.lines import numbered_lines
from sources.rejects import KEPT_CHARS
from warehouse.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

DAMAGES = "table_damages"
IntArray = npt.NDArray[np.int64]


def csv_damage(connection: duckdb.DuckDBPyConnection, file: InputFile, path: Path) -> bool:
    """Put what DuckDB's CSV reader refused (too few or many columns, bad UTF-8, quotes, over-long lines) into the temporary table
    `table_damages` (line, reason, record): one record for each physical line with an error; whether there is any.

    The reader's own line numbers count records, and its text is at times that of the line before: only its byte of the error counts.
    Raises SourceError for a quote that is never closed, because all lines after it would be lost in it."""
    if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'reject_errors'").fetchone():
        return False
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE table_errors AS
           SELECT CAST(coalesce(byte_position, line_byte_position) - 1 AS BIGINT) AS place,
                  'csv_' || replace(lower(min(error_type::VARCHAR)), ' ', '_') AS reason,
                  bool_or(error_type::VARCHAR = 'UNQUOTED VALUE' AND contains(trim(csv_line, chr(10) || chr(13)), chr(10))) AS swallows
           FROM reject_errors WHERE error_type <> 'CAST' GROUP BY place"""
    )
    places = integers(connection, "SELECT place FROM table_errors ORDER BY place")
    if not len(places):
        return False
    connection.register("located", located_lines(path, places, file.first_line))
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {DAMAGES} AS SELECT l.line, min(e.reason) AS reason, any_value(l.record) AS record,
            bool_or(e.swallows) AS swallows FROM located AS l JOIN table_errors AS e USING (place) GROUP BY l.line"""
    )
    connection.unregister("located")
    hidden = connection.execute(f"SELECT line FROM {DAMAGES} WHERE swallows ORDER BY line LIMIT 1").fetchone()
    if hidden:
        raise SourceError(
            f"{file.origin} line {hidden[0]}: a quote opens that is never closed, which hides the lines after it; mend the line"
        )
    return True


def located_lines(path: Path, places: Iterable[int], first_line: int) -> pa.RecordBatchReader:
    """For ascending byte offsets: `place`, `line` (the physical line that holds it) and `record` (its text, shortened)."""
    import pyarrow as pa

    schema = pa.schema([("place", pa.int64()), ("line", pa.int64()), ("record", pa.string())])

    def rows() -> Iterator[tuple[int, int, str]]:
        wanted = iter(places)
        place = next(wanted, None)
        end = 0
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=first_line):
                end += len(line)
                while place is not None and place < end:
                    yield int(place), number, line[:KEPT_CHARS].decode("utf-8", errors="replace").rstrip("\r\n")
                    place = next(wanted, None)
                if place is None:
                    return

    def batches() -> Iterator[pa.RecordBatch]:
        found = rows()
        while held := list(islice(found, 1000)):
            yield pa.RecordBatch.from_arrays(
                [pa.array(c, t.type) for c, t in zip(zip(*held, strict=True), schema, strict=True)], schema=schema
            )

    return pa.RecordBatchReader.from_batches(schema, batches())


def no_damage() -> bool:
    """For formats whose bad records show as rows."""
    return False


def damaged_lines(connection: duckdb.DuckDBPyConnection) -> IntArray:
    """Physical lines of the damaged records that `csv_damage` found, ascending."""
    return integers(connection, f"SELECT line FROM {DAMAGES} ORDER BY line")


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


def record_lines(path: Path, *, skip: int, first_line: int, damaged: Iterable[int]) -> Iterator[int]:
    """The line at which each record begins that DuckDB's CSV reader takes for a row, in order: not the skipped, blank or damaged ones.

    damaged: physical lines with an error, ascending; a record ends with such a line at the latest."""
    bad = iter(damaged)
    next_bad = next(bad, None)
    quoted = spoiled = False
    begin = first_line
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=first_line):
            if number - first_line < skip:
                continue
            if not quoted:
                begin, spoiled = number, False
            quoted ^= bool(line.count(b'"') & 1)
            while next_bad is not None and next_bad < number:
                next_bad = next(bad, None)
            if next_bad == number:
                quoted, spoiled = False, True
            if not quoted and not spoiled and (begin != number or line.strip(b"\r\n")):
                yield begin


def csv_lines(path: Path, ordinals: Iterable[int], *, skip: int, first_line: int, damaged: Iterable[int]) -> list[int]:
    """Lines of the records with the given ordinals (from 1, ascending). damaged: see `record_lines`."""
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
