"""A reader's units taken in as the lake would take them, kept in memory to be compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sources.prometheus import units
from warehouse.lake import Former, Slice, Unit, scratch
from warehouse.settings import Settings
from warehouse.settings.sources import PrometheusSettings

Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass
class Lake:
    """What a lake would say of the past: known batches and the watermark."""

    batches: set[str] = field(default_factory=set)
    mark: datetime | None = None

    def has(self, batch_id: str) -> bool:
        return batch_id in self.batches

    def has_size(self, size: int) -> bool:
        return True

    def former_origins(self) -> tuple[str, ...]:
        return ()

    def former(self, origin: str) -> Former | None:
        return None

    def watermark(self, table: str) -> datetime | None:
        return self.mark


@dataclass
class Read:
    """Rows of the units that were added."""

    series: dict[Key, dict[str, Any]] = field(default_factory=dict)
    rows: int = 0
    _ids: dict[Key, int] = field(default_factory=dict)
    _tables: list[pa.Table] = field(default_factory=list)
    _sorted: dict[int, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]] = field(default_factory=dict)

    def add(self, unit: Unit) -> datetime:
        """Open the unit and take its rows; the end of its window, which is the lake's next watermark."""
        connection = scratch()
        for part in unit.open(connection):
            rows = part.rows
            assert not part.rejects
            table = rows.read_all() if isinstance(rows, pa.RecordBatchReader) else rows.to_arrow_table()
            if part.table == "raw.metric_series":
                for row in table.to_pylist(maps_as_pydicts="strict"):
                    key = (row["metric_name"], tuple(sorted(row["labels"].items())))
                    assert self._ids.setdefault(key, row["series_id"]) == row["series_id"]
                    self.series[key] = row
            else:
                assert part.table == "raw.metric_points"
                self.rows += table.num_rows
                self._tables.append(table)
                self._sorted.clear()
        return datetime.fromisoformat(unit.origin.rpartition("/")[2])

    def samples(self, key: Key) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Times (Unix us) and values of a series, sorted by time."""
        if not self._sorted:
            table = pa.concat_tables(self._tables).sort_by([("series_id", "ascending"), ("time", "ascending")])
            ids = table["series_id"].to_numpy()
            times = table["time"].cast(pa.int64()).to_numpy()
            values = table["value"].to_numpy()
            starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
            ends = np.r_[starts[1:], len(ids)]
            self._sorted = {int(ids[a]): (times[a:b], values[a:b]) for a, b in zip(starts, ends, strict=True)}
        return self._sorted[self._ids[key]]


def read_days(name: str, settings: PrometheusSettings, window: Slice, into: Read) -> None:
    """All units of the days of `window`; rows must be of the unit's own days."""
    for unit in units(name, settings, config=Settings(), known=Lake(), window=window):
        assert unit.slice is not None
        into.add(unit)
