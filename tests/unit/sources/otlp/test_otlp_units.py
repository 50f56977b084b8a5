"""OTLP sources as units of work: what is new in a folder, files that grow, memory that does not."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from sources.otlp import units
from warehouse.errors import SourceError
from warehouse.lake.unit import Former, Slice, Unit
from warehouse.settings import Settings
from warehouse.settings.sources import OtlpSettings

NANO = 1_700_000_000_000_000_000
WINDOW = Slice(dt.date(2023, 1, 1), dt.date(2023, 1, 2))


class Memory:
    """What a lake knows of the past of a source."""

    def __init__(self) -> None:
        self.batches: set[str] = set()
        self.origins: dict[str, Former] = {}

    def has(self, batch_id: str) -> bool:
        return batch_id in self.batches

    def has_size(self, size: int) -> bool:
        return False

    def former_origins(self) -> tuple[str, ...]:
        return tuple(self.origins)

    def former(self, origin: str) -> Former | None:
        return self.origins.get(origin)

    def watermark(self, table: str) -> dt.datetime | None:
        return None

    def commit(self, unit: Unit) -> None:
        former = self.origins.get(unit.origin)
        before = tuple(b for b in (former.batch_ids if former else ()) if b not in unit.supersedes)
        self.batches = (self.batches - set(unit.supersedes)) | {unit.batch_id}
        self.origins[unit.origin] = Former((*before, unit.batch_id), unit.offset, unit.digest)


def log_line(body: str) -> str:
    record = {"timeUnixNano": str(NANO), "body": {"stringValue": body}}
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}) + "\n"


def write(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, (NANO / 1e9, NANO / 1e9 + len(text)))


def run(root: Path, memory: Memory, connection: duckdb.DuckDBPyConnection) -> list[tuple[str, list[str], list[Any]]]:
    """(origin, bodies, lines of rejects) of every unit, each committed."""
    settings = OtlpSettings(kind="otlp", path="in/*")
    found = []
    for unit in units("telemetry", settings, config=Settings(root=root), known=memory, window=WINDOW):
        bodies, lines, ids = [], [], []
        for part in unit.open(connection):
            assert isinstance(part.rows, pa.RecordBatchReader)
            rows = part.rows.read_all().to_pylist()
            (lines if part.rejects else bodies).extend(row["line" if part.rejects else "body"] for row in rows)
            ids += [row["log_id"] for row in rows if not part.rejects]
        assert len(set(ids)) == len(ids)
        memory.commit(unit)
        found.append((unit.origin, bodies, lines))
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


def test_a_file_that_grows_is_read_on(root: Path, connection: duckdb.DuckDBPyConnection) -> None:
    memory, path = Memory(), root / "in" / "logs.jsonl"
    write(path, log_line("a") + "broken\n")
    assert run(root, memory, connection) == [("in/logs.jsonl", ["a"], [2])]
    assert run(root, memory, connection) == []
    write(path, path.read_text() + log_line("b") + "broken too\n")
    assert run(root, memory, connection) == [("in/logs.jsonl", ["b"], [4])]


def test_a_rotated_file_adds_nothing_twice(root: Path, connection: duckdb.DuckDBPyConnection) -> None:
    memory, path = Memory(), root / "in" / "logs.jsonl"
    write(path, log_line("a"))
    run(root, memory, connection)
    path.rename(root / "in" / "logs-2023.jsonl")
    write(path, log_line("new"))
    assert run(root, memory, connection) == [("in/logs.jsonl", ["new"], [])]


def test_a_changed_document_replaces_what_it_brought(root: Path, connection: duckdb.DuckDBPyConnection) -> None:
    memory, path = Memory(), root / "in" / "logs.json"
    write(path, log_line("a"))
    run(root, memory, connection)
    first = set(memory.batches)
    write(path, log_line("other"))
    assert run(root, memory, connection) == [("in/logs.json", ["other"], [])]
    assert not first & memory.batches


def test_a_damaged_file_stops_nothing_but_itself(root: Path, connection: duckdb.DuckDBPyConnection) -> None:
    (root / "in" / "cut.pb").write_bytes(b"\x00\x00\x01\x00only this")
    write(root / "in" / "good.jsonl", log_line("a"))
    settings = OtlpSettings(kind="otlp", path="in/*")
    cut, good = units("telemetry", settings, config=Settings(root=root), known=Memory(), window=WINDOW)
    with pytest.raises(SourceError, match=r"in/cut\.pb: the message at byte 0 announces 256 bytes, but only 9 follow"):
        list(cut.open(connection))
    assert len(list(good.open(connection))) == 1


def test_temporary_files_are_gone_even_when_reading_stops(root: Path, connection: duckdb.DuckDBPyConnection) -> None:
    spools = root / "spools"
    spools.mkdir()
    write(root / "in" / "x.jsonl", log_line("a"))
    config = Settings.model_validate({"root": root, "lake": {"temp_directory": str(spools)}})
    (unit,) = units("t", OtlpSettings(kind="otlp", path="in/*"), config=config, known=Memory(), window=WINDOW)
    parts = unit.open(connection)
    next(iter(parts))
    assert list(spools.iterdir()) != []
    parts.close()  # type: ignore[attr-defined]
    assert list(spools.iterdir()) == []


MEASURE = """
import sys
from pathlib import Path
from sources.input_file import InputFile
from sources.otlp.reading import parts
from warehouse.lake.connection import scratch
from warehouse.settings import LakeSettings
path = Path(sys.argv[1])
status = path.stat()
file = InputFile(str(path), path.name, LakeSettings(), status.st_size, status.st_mtime_ns, content="x")
rows = 0
for part in parts(file, scratch(), source="s", max_line_bytes=1 << 26):
    for batch in part.rows if hasattr(part.rows, "schema") else ():
        rows += batch.num_rows
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(rows, int(peak.split()[1]) // 1024)  # ru_maxrss would begin at the peak of the process that forked this one
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Eight times the spans, once buffers are as large as they get, and at most 20 MiB more."""
    span = {"name": "n", "startTimeUnixNano": NANO, "endTimeUnixNano": NANO + 1, "attributes": []}
    span["attributes"] = [{"key": f"k{i}", "value": {"stringValue": "v" * 30}} for i in range(5)]
    spans = [{**span, "traceId": f"{i + 1:032x}", "spanId": f"{i + 1:016x}"} for i in range(500)]
    line = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}) + "\n"
    peaks = []
    for copies in (40, 320):
        path = tmp_path / f"{copies}.jsonl"
        path.write_text(line * copies)
        done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
        rows, peak = map(int, done.stdout.split())
        assert rows == 500 * copies
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 20, peaks
