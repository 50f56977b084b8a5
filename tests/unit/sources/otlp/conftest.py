"""Reading OTLP bytes in tests: everything that a file gives, as plain rows per table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from sources.input_file import InputFile
from sources.otlp.reading import parts
from sources.streams import compression_of
from warehouse.lake.connection import scratch
from warehouse.settings import LakeSettings

Row = dict[str, Any]


@dataclass
class Found:
    """Rows and rejects per table."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    rejects: dict[str, list[Row]] = field(default_factory=dict)

    def counts(self) -> dict[str, tuple[int, int]]:
        """(rows, rejects) per table that has any, series left out."""
        tables = sorted({*self.rows, *self.rejects} - {"raw.metric_series"})
        found = {t: (len(self.rows.get(t, [])), len(self.rejects.get(t, []))) for t in tables}
        return {t: pair for t, pair in found.items() if any(pair)}

    def of(self, table: str) -> list[Row]:
        """Rows of a table, sorted by their text."""
        return sorted(self.rows.get(f"raw.{table}", []), key=repr)

    def one(self, table: str) -> Row:
        """The only row of a table."""
        (row,) = self.rows[f"raw.{table}"]
        return row

    def reasons(self) -> list[str]:
        """Reasons of all rejects."""
        return [r["reason"] for rows in self.rejects.values() for r in rows]


Reader = Callable[..., Found]


@pytest.fixture(scope="session")
def connection() -> duckdb.DuckDBPyConnection:
    return scratch()


@pytest.fixture(scope="session")
def read_file(connection: duckdb.DuckDBPyConnection) -> Reader:
    """`read_file(path, max_line_bytes=..., max_expanded_bytes=...)`: what the file gives."""

    def read(path: Path, *, max_line_bytes: int = 1 << 26, max_expanded_bytes: int = 1 << 30) -> Found:
        status, head = path.stat(), path.read_bytes()[:4]
        file = InputFile(
            str(path),
            path.name,
            LakeSettings(),
            status.st_size,
            status.st_mtime_ns,
            compression=compression_of(path.name, head),
            content="content",
            max_expanded_bytes=max_expanded_bytes,
        )
        found = Found()
        for part in parts(file, connection, source="telemetry", max_line_bytes=max_line_bytes):
            table = part.rows.read_all() if isinstance(part.rows, pa.RecordBatchReader) else part.rows.to_arrow_table()
            rows = found.rejects if part.rejects else found.rows
            rows.setdefault(part.table, []).extend(table.to_pylist(maps_as_pydicts="strict"))
        return found

    return read


@pytest.fixture(scope="session")
def read_bytes(read_file: Reader, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """`read_bytes(data, name="x.jsonl", **limits)`: what a file of these bytes gives."""
    folder = tmp_path_factory.mktemp("otlp")

    def read(data: bytes, name: str = "x.jsonl", **limits: int) -> Found:
        path = folder / name
        path.write_bytes(data)
        return read_file(path, **limits)

    return read
