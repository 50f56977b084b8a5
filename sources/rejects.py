"""Records that a reader could not turn into rows, as Arrow batches for quarantine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from warehouse.lake.unit import REJECT_SCHEMA

if TYPE_CHECKING:
    import pyarrow as pa

KEPT_CHARS = 10_000
BATCH = 1000


def reject_reader(rows: Iterator[tuple[str, int | None, str]], origin: str) -> pa.RecordBatchReader:
    """(reason, line, record) as an Arrow reader of REJECT_SCHEMA, in batches."""
    import pyarrow as pa

    def batches() -> Iterator[pa.RecordBatch]:
        held: list[tuple[str, int | None, str]] = []
        for row in rows:
            held.append(row)
            if len(held) >= BATCH:
                yield _batch(held, origin)
                held = []
        if held:
            yield _batch(held, origin)

    return pa.RecordBatchReader.from_batches(REJECT_SCHEMA, batches())


def _batch(rows: list[tuple[str, int | None, str]], origin: str) -> pa.RecordBatch:
    import pyarrow as pa

    columns = [[r[0] for r in rows], [origin] * len(rows), [r[1] for r in rows], [r[2] for r in rows]]
    return pa.RecordBatch.from_pydict(dict(zip(REJECT_SCHEMA.names, columns, strict=True)), schema=REJECT_SCHEMA)
