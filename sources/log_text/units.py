"""Log files as units of work: new lines of growing files, rotated ones included, to rows and rejects."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import duckdb

from sources.files import InputFile, file_units
from sources.lines import numbered_lines
from sources.log_text.entries import entries
from sources.log_text.parsing import Context, Parser
from sources.log_text.patterns import Pattern, find
from sources.rejects import reject_reader
from sources.times import TimeFormat
from warehouse.errors import SourceError
from warehouse.lake.connection import scratch
from warehouse.lake.unit import Known, Part, Slice, Unit
from warehouse.settings import Settings
from warehouse.settings.sources import LogTextSettings

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = "raw.logs"
LOOK_BACK_BYTES = 1 << 16


def units(name: str, settings: LogTextSettings, *, config: Settings, known: Known, window: Slice) -> Iterator[Unit]:
    """The files of a text log source that hold something new. `window` is not used: a line says itself when it was written.

    Every line lands: those that fit no pattern as body with severity UNKNOWN and attribute `lakebed.parsed` = false. An entry without
    a time of its own has that of the entry before it, else the file's modification time; attribute `lakebed.time` says which.
    Rejected are only lines with bad UTF-8, NUL characters or more than `max_line_bytes`.
    Raises ConfigError for a pattern that is none, SourceError for files that are missing or, when opened, cut."""
    pattern = find(settings.pattern)
    if settings.multiline_start:
        pattern = Pattern(pattern.sql, settings.multiline_start, pattern.time_format, pattern.decimal_comma, pattern.slow, pattern.groups)

    def opener(file: InputFile, connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        return _parts(file, settings, pattern, config, connection)

    return file_units(name, settings, config=config, known=known, opener=opener, growing=lambda _: True, rotates=True)


def _parts(
    file: InputFile, settings: LogTextSettings, pattern: Pattern, config: Settings, connection: duckdb.DuckDBPyConnection
) -> Iterator[Part]:
    with scratch(config.lake) as own, tempfile.TemporaryFile(dir=config.lake.temp_directory) as spool:
        context = _context(file, settings)
        parser = Parser(own, pattern, context)
        if file.start:
            parser.last_ns = _time_before(file, settings, pattern, own, context)
        rejected = _Rejects(spool)
        lines = numbered_lines(file.stream, first_line=file.first_line, max_line_bytes=settings.max_line_bytes, encoding=settings.encoding)
        yield Part(TABLE, _rows(parser, entries(lines, pattern.start, settings.max_line_bytes), rejected))
        if rejected.count:
            yield Part(TABLE, reject_reader(rejected.records(), file.origin), rejects=True)


def _rows(parser: Parser, tables: Iterator[pa.Table], rejected: _Rejects) -> pa.RecordBatchReader:
    """An Arrow reader that parses as it is read; the first chunk is parsed at once, for the schema."""
    import pyarrow as pa

    def parsed() -> Iterator[pa.Table]:
        for table in tables:
            rows, rejects = parser.parse(table)
            rejected.add(rejects)
            yield rows

    results = parsed()
    first = next(results, None)
    if first is None:
        empty, _ = parser.parse(
            pa.table({"line": pa.array([], pa.int64()), "text": pa.array([], pa.string()), "problem": pa.array([], pa.string())})
        )
        return empty.to_reader()

    def batches() -> Iterator[pa.RecordBatch]:
        yield from first.to_batches()
        for rows in results:
            yield from rows.cast(first.schema).to_batches()

    return pa.RecordBatchReader.from_batches(first.schema, batches())


class _Rejects:
    """Rejected lines, kept in a file until the good ones have been read."""

    def __init__(self, spool: IO[bytes]) -> None:
        self._spool, self.count = spool, 0

    def add(self, rejects: pa.Table) -> None:
        import pyarrow as pa

        if rejects.num_rows:
            self.count += rejects.num_rows
            sink = io.BytesIO()
            with pa.ipc.new_stream(sink, rejects.schema) as writer:
                writer.write_table(rejects)
            content = sink.getvalue()
            self._spool.write(len(content).to_bytes(8, "big") + content)

    def records(self) -> Iterator[tuple[str, int | None, str]]:
        import pyarrow as pa

        self._spool.seek(0)
        while head := self._spool.read(8):
            table = pa.ipc.open_stream(self._spool.read(int.from_bytes(head, "big"))).read_all()
            for row in table.to_pylist():
                yield row["reason"], row["line"], row["record"]


def _context(file: InputFile, settings: LogTextSettings) -> Context:
    groups: dict[str, str] = {}
    if settings.filename_pattern:
        match = re.search(settings.filename_pattern, file.origin)
        if match is None:
            raise SourceError(f"{file.origin}: filename_pattern {settings.filename_pattern!r} does not fit; correct it, or narrow `path`")
        groups = {name: text or "" for name, text in match.groupdict().items()}
    try:
        service = settings.service.format_map(groups) if settings.service else None
        fixed = {name: text.format_map(groups) for name, text in settings.attributes.items()}
    except KeyError as error:
        raise SourceError(f"{file.origin}: {error} is no group of filename_pattern") from None
    times = None if settings.time_format == "auto" else TimeFormat(settings.time_format, settings.time_zone)
    prefix = f"{file.digest}:{file.origin}"
    return Context(prefix, service, fixed, file.mtime_ns, times, settings.time_zone)


def _time_before(
    file: InputFile, settings: LogTextSettings, pattern: Pattern, connection: duckdb.DuckDBPyConnection, context: Context
) -> int | None:
    """The last time in the lines just before those that are new, for entries that have none."""
    with Path(file.location).open("rb") as stream:
        stream.seek(max(0, file.start - LOOK_BACK_BYTES))
        before = stream.read(file.start - stream.tell())
    parser = Parser(connection, pattern, context)
    lines = numbered_lines(
        lambda: contextlib.closing(io.BytesIO(before)), max_line_bytes=settings.max_line_bytes, encoding=settings.encoding
    )
    for table in entries(lines, pattern.start, settings.max_line_bytes):
        parser.parse(table)
    return parser.last_ns
