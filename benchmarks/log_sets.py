"""Sets of log lines for `benchmarks.storage_logs`, as rows of raw.logs: the line is the body, and all else comes from the line."""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks import log_lines

BATCH_ROWS = 20_000
LABELS = pa.map_(pa.string(), pa.string())
SCHEMA = pa.schema(
    {
        "source": pa.string(),
        "log_id": pa.string(),
        "time": pa.timestamp("us"),
        "time_unix_nano": pa.int64(),
        "observed_time_unix_nano": pa.int64(),
        "service": pa.string(),
        "severity": pa.string(),
        "severity_text": pa.string(),
        "severity_number": pa.int32(),
        "body": pa.string(),
        "trace_id": pa.string(),
        "span_id": pa.string(),
        "event_name": pa.string(),
        "scope_name": pa.string(),
        "resource_attributes": LABELS,
        "attributes": LABELS,
        "batch_id": pa.string(),
    }
)
ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)[.,](\d{3,9})")
CLF = re.compile(r"\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d) ")
LEVEL = re.compile(r"\b(TRACE|DEBUG|INFO|WARN|ERROR|FATAL)\b")

Entry = tuple[str, int, str, str]
"""service, nanoseconds since 1970, severity, line"""


@dataclass(frozen=True, slots=True)
class LogSet:
    """Lines in the order in which they were written, read again at each call."""

    name: str
    entries: Callable[[], Iterator[Entry]]

    def lines(self) -> Iterator[str]:
        """The lines alone."""
        return (line for _, _, _, line in self.entries())

    def rows(self) -> pa.RecordBatchReader:
        """Rows of raw.logs; log_id counts the lines."""
        return pa.RecordBatchReader.from_batches(SCHEMA, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        prefix = int(hashlib.md5(self.name.encode(), usedforsecurity=False).hexdigest()[:16], 16) << 64
        held: list[Entry] = []
        done = 0
        for entry in self.entries():
            held.append(entry)
            if len(held) == BATCH_ROWS:
                yield self._batch(held, prefix, done)
                done, held = done + len(held), []
        if held:
            yield self._batch(held, prefix, done)

    def _batch(self, entries: list[Entry], prefix: int, done: int) -> pa.RecordBatch:
        services, nanos, severities, lines = (list(column) for column in zip(*entries, strict=True))
        columns: dict[str, list[Any]] = {name: [None] * len(entries) for name in SCHEMA.names}
        columns |= {
            "source": [self.name] * len(entries),
            "log_id": [str(uuid.UUID(int=prefix + done + i)) for i in range(len(entries))],
            "time": [n // 1000 for n in nanos],
            "time_unix_nano": nanos,
            "service": services,
            "severity": severities,
            "body": lines,
            "batch_id": [hashlib.sha256(self.name.encode()).hexdigest()] * len(entries),
        }
        return pa.record_batch(columns, schema=SCHEMA)


def real_data() -> Path:
    """The folder with the real data sets. Raises RuntimeError where there is none."""
    folder = Path(os.environ.get("LAKEBED_REALDATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not (folder / "README.md").is_file():
        raise RuntimeError(f"the real data sets are not at {folder}; set LAKEBED_REALDATA to their folder")
    return folder


def log_sets(size: int) -> list[LogSet]:
    """Kafka, Apache, nezha (TrainTicket) and a generated set of about `size` bytes."""
    folder = real_data()
    return [
        LogSet("kafka", lambda: _timed("kafka", _files(sorted((folder / "elastic_logs/kafka/kafka0").iterdir())), _iso)),
        LogSet("apache", lambda: _timed("apache", _files([folder / "elastic_logs/apache_logs.log"]), _clf)),
        LogSet("nezha", lambda: _timed("trainticket", _nezha(folder / "nezha/trainticket"), _iso)),
        LogSet("generated", lambda: _generated(size)),
    ]


def _files(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        with path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.removesuffix("\n")


def _nezha(folder: Path) -> Iterator[str]:
    """Lines of the containers' log files, as the container runtime wrote them (JSON)."""
    csv.field_size_limit(2**31 - 1)
    for path in sorted(folder.glob("*/log/*.gz")):
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield row["Log"]


def _timed(service: str, lines: Iterator[str], time_of: Callable[[str], int | None]) -> Iterator[Entry]:
    last = 0
    for line in lines:
        last = time_of(line) or last
        level = LEVEL.search(line)
        yield service, last, level[1] if level else "UNKNOWN", line


def _iso(line: str) -> int | None:
    match = ISO.search(line)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()) * 10**9 + int(match[7].ljust(9, "0"))


def _clf(line: str) -> int | None:
    match = CLF.search(line)
    return None if match is None else int(datetime.strptime(match[1] + " +0000", "%d/%b/%Y:%H:%M:%S %z").timestamp()) * 10**9


def _generated(size: int) -> Iterator[Entry]:
    for service, time, level, line in log_lines.lines(size):
        yield service, int(time.timestamp()) * 10**9 + time.microsecond * 1000, level, line
