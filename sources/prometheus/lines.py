"""The answer of VictoriaMetrics' `/api/v1/export`: one line for each piece of a series, with lists of values and of
timestamps in ms.

Lines are cut by their keys and not parsed as JSON: releases before 1.80 write `+Inf` bare."""

from __future__ import annotations

from collections.abc import Iterator

from sources.http import BrokenAnswerError
from sources.prometheus.samples import Answer, Collector
from warehouse.errors import SourceError

METRIC = b'{"metric":'
VALUES = b',"values":['
TIMESTAMPS = b'],"timestamps":['
MAX_LINE_BYTES = 64 << 20


def read(pieces: Iterator[bytes], collector: Collector) -> Answer:
    """Collect all lines of an export. Raises BrokenAnswerError when a line is not whole, TooManySamplesError from the
    collector."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            _line(line, collector)
        if len(rest) > MAX_LINE_BYTES:
            raise SourceError(f"the server sent {MAX_LINE_BYTES >> 20} MiB without the end of a line; this is not an export")
    if rest:
        raise BrokenAnswerError("the export stops in the middle of a line")
    collector.flush()
    return collector.answer


def _line(line: bytes, collector: Collector) -> None:
    if not line:
        return
    values, stamps = line.find(VALUES), line.rfind(TIMESTAMPS)
    if not line.startswith(METRIC) or values < 0 or stamps < values or not line.endswith(b"]}"):
        raise BrokenAnswerError(f"this is not a line of an export: {line[:80]!r}")
    collector.columns(line[len(METRIC) : values], line[values + len(VALUES) : stamps], line[stamps + len(TIMESTAMPS) : -2])
