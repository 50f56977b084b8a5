"""Small lakes and units for tests: what a test says is the rows, not how they get there."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from warehouse.archive.file_hashes import live_files
from warehouse.lake import Part, Slice, Unit
from warehouse.lake.lake import Lake
from warehouse.lake.state import NO_DAY
from warehouse.lake.unit import Former
from warehouse.settings import parse

DAY = date(2026, 3, 1)
POINT = pa.schema([("series_id", pa.uint64()), ("time", pa.timestamp("us")), ("value", pa.float64())])
SERIES = pa.schema(
    [
        ("series_id", pa.uint64()),
        ("metric_name", pa.string()),
        ("labels", pa.map_(pa.string(), pa.string())),
        ("kind", pa.string()),
        ("unit_scale", pa.float64()),
        ("first_seen", pa.timestamp("us")),
        ("last_seen", pa.timestamp("us")),
    ]
)


def open_lake(folder: Path, **sections: Any) -> Lake:
    """A lake with a SQLite catalog in a folder; a new one is a copy of one that was made once, as making it takes most of a second."""
    document = {"lake": {"memory_limit": "1GiB", "threads": 2}, **sections}
    if not (folder / "lake").exists() and {"path", "catalog"}.isdisjoint(document["lake"]):
        shutil.copytree(empty_lake(), folder / "lake")
    return Lake.open(parse(document, folder / "lakebed.toml"))


@cache
def empty_lake() -> Path:
    """The folder of a lake that holds nothing, gone when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="lakebed-empty-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Lake.open(parse({}, folder / "lakebed.toml")).close()
    return folder / "lake"


def at(text: str) -> datetime:
    """A naive UTC time."""
    return datetime.fromisoformat(text)


def reader(schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatchReader:
    """Rows as an Arrow reader."""
    columns = [pa.array([row[i] for row in rows], type=field.type) for i, field in enumerate(schema)]
    return pa.Table.from_arrays(columns, schema=schema).to_reader()


def series_rows(points: Sequence[tuple[int, datetime, float | None]]) -> list[tuple[Any, ...]]:
    """The series that points belong to."""
    seen: dict[int, list[datetime]] = {}
    for number, time, _value in points:
        seen.setdefault(number, []).append(time)
    return [(n, f"m{n}", [("n", str(n))], "gauge", 1.0, min(t), max(t)) for n, t in sorted(seen.items())]


def points_unit(batch: str, points: Sequence[tuple[int, datetime, float | None]], *, source: str = "s", **fields: Any) -> Unit:
    """A unit of metric points with their series."""

    def parts(_connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        yield Part("raw.metric_series", reader(SERIES, series_rows(points)))
        yield Part("raw.metric_points", reader(POINT, points))

    return Unit(source, batch, fields.pop("origin", f"file {batch}"), parts, **fields)


class RememberedUnits:
    """What a source may ask a lake about its past (`Known`), of units that a test noted in `seen` by their origin."""

    def __init__(self) -> None:
        self.seen: dict[str, Unit] = {}

    def has(self, batch_id: str) -> bool:
        """Whether a unit with this id was noted."""
        return any(u.batch_id == batch_id for u in self.seen.values())

    def has_size(self, size: int) -> bool:
        """Whether a unit ends at this many bytes."""
        return any(u.offset == size for u in self.seen.values())

    def former_origins(self) -> tuple[str, ...]:
        """All origins noted."""
        return tuple(self.seen)

    def former(self, origin: str) -> Former | None:
        """The unit of an origin."""
        unit = self.seen.get(origin)
        return Former((unit.batch_id,), unit.offset, unit.digest) if unit else None

    def watermark(self, table: str) -> datetime | None:
        """None: no window was read."""
        return None


def day_slice(day: date = DAY) -> Slice:
    """One day."""
    return Slice(day, date.fromordinal(day.toordinal() + 1))


def stored(lake: Lake) -> list[tuple[str, int, datetime, float]]:
    """All points in the lake, in order."""
    return lake.connection.execute("SELECT source, series_id, time, value FROM raw.metric_points ORDER BY ALL").fetchall()


def files_on_disk(lake: Lake, pattern: str = "**/*.parquet") -> set[Path]:
    """Parquet files under the data path, but for those of the row that was written and deleted when the tables were made."""
    assert lake.data_folder is not None
    return {file for file in lake.data_folder.glob(pattern) if file.parent.name != f"day={NO_DAY}"}


def age(lake: Lake, table: str, column: str, hours: float) -> None:
    """Move times of the catalog into the past."""
    then = datetime.now(UTC) - timedelta(hours=hours)
    text = then.strftime("%Y-%m-%d %H:%M:%S.%f") + "+00"
    lake.connection.execute(f"UPDATE __ducklake_metadata_lake.{table} SET {column} = ?", [text])


def change_unread_byte(lake: Lake, table: str, day: date) -> None:
    """Change a byte of a day's file that no reader looks at (of its writer's name): only its hash tells."""
    file = Path(lake.catalog.data_path) / live_files(lake, [table], [day])[0].path
    content = file.read_bytes()
    before, name, after = content.rpartition(b"DuckDB")
    assert name
    file.write_bytes(before + b"DuckdB" + after)
