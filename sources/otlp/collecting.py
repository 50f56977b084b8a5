"""All rows of one file on their way, whatever the wire form: one collector holds the three signals and what had to be rejected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import orjson

from sources.otlp.metrics import MetricRows
from sources.otlp.records import LogRows, SpanRows
from sources.otlp.spool import FLUSH_ROWS, LABELLED_ROWS, RECORD_CHARACTERS, Rejects
from warehouse.lake.unit import Part

FLUSH_BYTES = 32 * 2**20
NO_SIGNAL = "raw.logs"


class Collector:
    """Takes rows and rejects message by message (`begin`, then rows, then `end`), and gives them back as parts."""

    def __init__(self, folder: Path, *, source: str, digest: str, origin: str) -> None:
        self.metrics = MetricRows(folder, source)
        self.spans = SpanRows(folder)
        self.logs = LogRows(folder, source, digest)
        self._rejects = Rejects(folder, origin)
        self._line: int | None = None
        self._table = NO_SIGNAL
        self._bytes = 0

    def begin(self, line: int | None) -> None:
        """A message begins, on that line of the file."""
        self._line = line

    def end(self, size: int) -> None:
        """A message of so many bytes is through: write what is held when it has become much."""
        self._bytes += size
        much = self._bytes >= FLUSH_BYTES
        self._flush(1 if much else FLUSH_ROWS, 1 if much else LABELLED_ROWS)
        if much:
            self._bytes = 0

    def signal(self, table: str | None) -> None:
        """Which table the records at hand belong to: where records of no signal of their own are rejected."""
        self._table = table or self._table

    def reject(self, table: str | None, reason: str, record: Any) -> None:
        """Keep what could not become a row. table: None for that of the last signal seen."""
        self._rejects.add(table or self._table, reason, self._line, _written(record))

    def _flush(self, points: int, labelled: int) -> None:
        self.metrics.flush(points, labelled)
        self.spans.spans.flush(at_least=labelled)
        self.logs.logs.flush(at_least=labelled)

    def parts(self, connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        """Everything collected, a part per table that has rows, rejects after rows."""
        metrics = self.metrics
        everything = (metrics.series, metrics.points, metrics.histograms, self.spans.spans, self.logs.logs)
        for spool in everything:
            spool.close()
        if metrics.points.rows or metrics.histograms.rows:
            yield Part("raw.metric_series", _series(connection, metrics))
        for table, spool in (
            ("raw.metric_points", metrics.points),
            ("raw.metric_histograms", metrics.histograms),
            ("raw.spans", self.spans.spans),
            ("raw.logs", self.logs.logs),
        ):
            if spool.rows:
                yield Part(table, spool.reader())
        if not any(spool.rows for spool in everything) and not self._rejects.tables:
            yield Part(NO_SIGNAL, self.logs.logs.reader())  # a file of nothing is a batch of no rows, and known from then on
        for table, spool in self._rejects.tables.items():
            spool.close()
            yield Part(table, spool.reader(), rejects=True)


def _series(connection: duckdb.DuckDBPyConnection, metrics: MetricRows) -> duckdb.DuckDBPyRelation:
    """Each series once, with the first and last time of its rows (those that the lake's range of days holds)."""
    connection.register("otlp_series", metrics.series.reader())
    connection.register("otlp_points", metrics.points.reader())
    connection.register("otlp_histograms", metrics.histograms.reader())
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE otlp_seen AS
        SELECT series_id, min(time) AS first_seen, max(time) AS last_seen
        FROM (SELECT series_id, time FROM otlp_points UNION ALL SELECT series_id, time FROM otlp_histograms)
        WHERE time < TIMESTAMP '2262-01-01'
        GROUP BY series_id""")
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE otlp_defined AS
        SELECT DISTINCT ON (series_id) * FROM otlp_series""")
    for name in ("otlp_series", "otlp_points", "otlp_histograms"):
        connection.unregister(name)
    return connection.sql("SELECT * FROM otlp_defined JOIN otlp_seen USING (series_id)")


def _written(record: Any) -> str:
    """A record as text, for the person who looks into quarantine."""
    if isinstance(record, bytes):
        return record[: 4 * RECORD_CHARACTERS].decode("utf-8", "replace")
    if isinstance(record, str):
        return record
    if not isinstance(record, (dict, list, int, float, bool, type(None))):
        return str(record)
    try:
        return orjson.dumps(record).decode()
    except TypeError:
        return "(nested too deeply to be written)"
