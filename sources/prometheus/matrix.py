"""The answer of `/api/v1/query` to a range selector (result type `matrix`), read as it arrives: one series at a time,
never the whole.

Form: https://prometheus.io/docs/prometheus/latest/querying/api/#range-vectors. Prometheus, Thanos, Mimir and
VictoriaMetrics write it without white space. Inside a JSON string a quote is always escaped, so the byte sequences
looked for here occur as structure only."""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from sources.http import BrokenAnswerError
from sources.prometheus.samples import Answer, Collector
from warehouse.errors import SourceError

OPEN = b'{"metric":'
VALUES = b',"values":[['
HISTOGRAMS = b',"histograms":[['
MAX_SERIES_BYTES = 64 << 20
BRACE = re.compile(rb"[{}]")


def read(pieces: Iterator[bytes], collector: Collector) -> Answer:
    """Collect all series of an answer.

    Raises BrokenAnswerError when it is not whole, SourceError when it is an error, warns that it is partial, or is of
    another result type, and TooManySamplesError from the collector."""
    frame = bytearray()
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        _take(buffer, frame, collector)
        if len(buffer) > MAX_SERIES_BYTES:
            raise SourceError(f"the server sent {MAX_SERIES_BYTES >> 20} MiB without the end of a series; is this its query API?")
    frame += buffer
    _judge(bytes(frame))
    collector.flush()
    return collector.answer


def _take(buffer: bytearray, frame: bytearray, collector: Collector) -> None:
    """Move whole series from the buffer to the collector, and what stands around them to the frame."""
    at = 0
    while True:
        start = buffer.find(OPEN, at)
        if start < 0:
            break
        end = _series(buffer, start, collector)
        if end < 0:
            break
        frame += buffer[at:start]
        at = end
    del buffer[:at]


def _series(buffer: bytearray, start: int, collector: Collector) -> int:
    """Collect the series that begins at `start`; the index behind it, or -1 while it is not whole."""
    values = buffer.find(VALUES, start)
    histograms = buffer.find(HISTOGRAMS, start, values if values >= 0 else len(buffer))
    if histograms >= 0:
        return _with_histograms(buffer, start, collector)
    end = buffer.find(b"]]", values) if values >= 0 else -1
    if end < 0 or end + 2 >= len(buffer):
        return -1
    if buffer[end + 2] != ord("}"):
        return _with_histograms(buffer, start, collector)
    collector.pairs(bytes(buffer[start + len(OPEN) : values]), bytes(buffer[values + len(VALUES) - 1 : end + 1]))
    return end + 3


def _with_histograms(buffer: bytearray, start: int, collector: Collector) -> int:
    """A series that has native histogram samples: its plain samples are collected, its histograms are rejects."""
    keys = [i for i in (buffer.find(VALUES, start), buffer.find(HISTOGRAMS, start)) if i >= 0]
    depth = 1
    for brace in BRACE.finditer(buffer, min(keys)):
        depth += 1 if brace.group() == b"{" else -1
        if depth == 0:
            series = orjson.loads(buffer[start : brace.end()])
            metric = orjson.dumps(series["metric"])
            if series.get("values"):
                collector.pairs(metric, b",".join(orjson.dumps(pair) for pair in series["values"]))
            for histogram in series["histograms"]:
                record = orjson.dumps({"metric": series["metric"], "histogram": histogram})
                collector.reject(record, "native histogram sample: only plain samples are read from this API")
            return brace.end()
    return -1


def _judge(frame: bytes) -> None:
    """The answer without its series must be whole JSON that says success, matrix, and nothing of missing data."""
    try:
        document = orjson.loads(re.sub(rb"(?<=\[),+(?=\])", b"", frame))
        status, data = document["status"], document["data"]
        kind, left = data["resultType"], data["result"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise BrokenAnswerError("the answer stops in its middle or is not an answer to a query") from None
    if status != "success" or kind != "matrix" or left:
        raise SourceError(f"the server answered status {status!r} and result type {kind!r} instead of the samples of a range selector")
    if document.get("isPartial") or document.get("warnings"):
        said = "; ".join(str(w) for w in document.get("warnings") or ["isPartial"])[:400]
        raise SourceError(f"the server says that samples may be missing ({said}); mend that, then run again")
