"""One unit's rows on local disk between the server and the lake: points, series, rejects, and a digest that names the
content.

The digest does not depend on the order of rows nor on how the day was cut into windows, because servers answer in any
order."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from sources.prometheus.metadata import Facts
from sources.prometheus.samples import Answer, Block
from warehouse.contracts.series import series_id
from warehouse.lake import REJECT_SCHEMA, Part

POINTS = pa.schema([("series_id", pa.uint64()), ("time", pa.timestamp("us")), ("value", pa.float64())])
SERIES = pa.schema(
    [
        ("series_id", pa.uint64()),
        ("metric_name", pa.string()),
        ("labels", pa.map_(pa.string(), pa.string())),
        ("kind", pa.string()),
        ("unit", pa.string()),
        ("original_unit", pa.string()),
        ("unit_scale", pa.float64()),
        ("temporality", pa.string()),
        ("is_monotonic", pa.bool_()),
        ("description", pa.string()),
        ("first_seen", pa.timestamp("us")),
        ("last_seen", pa.timestamp("us")),
    ]
)
RECORD_LIMIT = 10_000
KNOWN_SERIES = 100_000
"""Series whose identity is remembered, so that it is not hashed again in each window."""


class Spool:
    """Append answers, `finish`, then read the parts as often as wanted. Its folder goes when the spool is no longer
    referenced."""

    def __init__(self, source: str, origin: str, facts: Callable[[str, Mapping[str, str]], Facts], folder: str | None) -> None:
        self._source = source
        self._origin = origin
        self._folder = Path(tempfile.mkdtemp(prefix="lakebed-spool-", dir=folder))
        self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writers = {
            name: pa.ipc.new_file(self._path(name), schema, options=options)
            for name, schema in (("points", POINTS), ("series", SERIES), ("rejects", REJECT_SCHEMA))
        }
        self._lanes = np.zeros(2, dtype=np.uint64)
        self.samples = 0
        self.rejects = 0

        @lru_cache(maxsize=KNOWN_SERIES)
        def identify(metric: bytes) -> tuple[int, str, tuple[tuple[str, str], ...], Facts]:
            labels: dict[str, str] = orjson.loads(metric)
            name = labels.pop("__name__", "")
            return series_id(source, name, labels), name, tuple(labels.items()), facts(name, labels)

        self._identify = identify

    def append(self, answer: Answer) -> None:
        """Add one window's samples."""
        for block in answer.blocks:
            self._append_block(block)
        if answer.rejects:
            rows = [{"reason": r, "file": self._origin, "record": _text(record)} for record, r in answer.rejects]
            self._writers["rejects"].write_batch(pa.RecordBatch.from_pylist(rows, REJECT_SCHEMA))
            self.rejects += len(rows)

    def finish(self) -> str:
        """Close the files; sha256 over the multiset of rows, as hex."""
        for writer in self._writers.values():
            writer.close()
        state = f"{self.samples}:{self.rejects}:{self._lanes[0]}:{self._lanes[1]}"
        return hashlib.sha256(state.encode()).hexdigest()

    def close(self) -> None:
        """Remove the folder at once."""
        for writer in self._writers.values():
            writer.close()
        self._remove()

    def parts(self, connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        """Series with first and last time seen, points, and rejects where there are any."""
        import pyarrow.dataset

        series = connection.from_arrow(pyarrow.dataset.dataset(self._path("series"), format="ipc"))
        keys = ", ".join(SERIES.names[:-2])
        yield Part(
            "raw.metric_series",
            series.aggregate(f"{keys}, min(first_seen) AS first_seen, max(last_seen) AS last_seen", keys),
        )
        yield Part("raw.metric_points", self._reader("points"))
        if self.rejects:
            yield Part("raw.metric_points", self._reader("rejects"), rejects=True)

    def _append_block(self, block: Block) -> None:
        known = [self._identify(metric) for metric in block.metrics]
        ids = np.array([k[0] for k in known], dtype=np.uint64)
        scales = np.array([k[3].unit_scale for k in known])
        values = block.values if (scales == 1.0).all() else block.values * np.repeat(scales, block.counts)
        owners = np.repeat(ids, block.counts)
        points = pa.record_batch([pa.array(owners), pa.array(block.times).view(pa.timestamp("us")), pa.array(values)], schema=POINTS)
        self._writers["points"].write_batch(points)
        starts = np.concatenate([[0], np.cumsum(block.counts)[:-1]])
        first, last = np.minimum.reduceat(block.times, starts), np.maximum.reduceat(block.times, starts)
        self._writers["series"].write_batch(_series_rows(known, first, last))
        self._lanes += _lanes(np.repeat(_mix(ids ^ _described(known)), block.counts), block.times, values)
        self.samples += len(values)

    def _reader(self, name: str) -> pa.RecordBatchReader:
        file = pa.ipc.open_file(pa.OSFile(self._path(name)))
        batches = (file.get_batch(i) for i in range(file.num_record_batches))
        return pa.RecordBatchReader.from_batches(file.schema, batches)

    def _path(self, name: str) -> str:
        return str(self._folder / f"{name}.arrow")


Identity = tuple[int, str, tuple[tuple[str, str], ...], Facts]


def _series_rows(known: list[Identity], first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> pa.RecordBatch:
    facts = [k[3] for k in known]
    columns = [
        pa.array([k[0] for k in known], pa.uint64()),
        pa.array([k[1] for k in known]),
        pa.array([k[2] for k in known], SERIES.field("labels").type),
        pa.array([f.kind for f in facts]),
        pa.array([f.unit for f in facts], pa.string()),
        pa.array([f.original_unit for f in facts], pa.string()),
        pa.array([f.unit_scale for f in facts], pa.float64()),
        pa.array([f.temporality for f in facts], pa.string()),
        pa.array([f.is_monotonic for f in facts], pa.bool_()),
        pa.array([f.description for f in facts], pa.string()),
        pa.array(first).view(pa.timestamp("us")),
        pa.array(last).view(pa.timestamp("us")),
    ]
    return pa.record_batch(columns, schema=SERIES)


def _described(known: list[Identity]) -> npt.NDArray[np.uint64]:
    """Kind and unit take part in the digest: when the server tells them for the first time, the content has changed."""
    words = (f"{k[3].kind}:{k[3].unit}:{k[3].unit_scale!r}" for k in known)
    return np.array([int.from_bytes(hashlib.blake2b(w.encode(), digest_size=8).digest(), "little") for w in words], dtype=np.uint64)


def _lanes(owners: npt.NDArray[np.uint64], times: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """Two 64-bit sums over a hash of each row: equal for equal multisets of rows, whatever their order."""
    rows = _mix(_mix(owners ^ times.view(np.uint64)) ^ values.view(np.uint64))
    return np.array([rows.sum(dtype=np.uint64), _mix(rows).sum(dtype=np.uint64)], dtype=np.uint64)


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection that spreads each bit over all others."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def _text(record: bytes) -> str:
    return record.decode("utf-8", "replace")[:RECORD_LIMIT]
