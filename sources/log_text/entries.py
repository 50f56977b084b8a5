"""Lines joined to entries: a stack trace belongs to the line that logged it. Works chunk by chunk on Arrow arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def entries(lines: pa.RecordBatchReader, start: str | None, max_entry_bytes: int) -> Iterator[pa.Table]:
    """Tables `line, text, problem` of entries. start: RE2 pattern that the first line of an entry fits (None: every line is one).

    A line with a problem is an entry of its own. An entry that grows beyond `max_entry_bytes` is cut; the rest is the next one."""
    import pyarrow as pa

    if start is None:
        for batch in lines:
            yield pa.Table.from_batches([batch])
        return
    held: tuple[int, list[str]] | None = None
    for batch in lines:
        rows, held = _joined(batch, start, held, max_entry_bytes)
        if rows:
            yield _table(rows, lines.schema)
    if held:
        yield _table([(held[0], "\n".join(held[1]), None)], lines.schema)


def _table(rows: list[tuple[int, str, str | None]], schema: Any) -> pa.Table:
    import pyarrow as pa

    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=schema)


def _joined(
    batch: pa.RecordBatch, start: str, held: tuple[int, list[str]] | None, max_entry_bytes: int
) -> tuple[list[tuple[int, str, str | None]], tuple[int, list[str]] | None]:
    """Whole entries of a chunk, and the one that may go on in the next."""
    import pyarrow.compute as pc

    begins = pc.match_substring_regex(batch["text"], start).to_pylist()
    numbers, texts, problems = (batch[name].to_pylist() for name in ("line", "text", "problem"))
    rows: list[tuple[int, str, str | None]] = []
    size = 0
    for number, text, problem, begin in zip(numbers, texts, problems, begins, strict=True):
        if problem is None and not begin and held is not None and size + len(text) <= max_entry_bytes:
            held[1].append(text)
            size += len(text) + 1
            continue
        if held is not None:
            rows.append((held[0], "\n".join(held[1]), None))
        if problem is not None:
            rows.append((number, text, problem))
            held = None
        else:
            held, size = (number, [text]), len(text)
    return rows, held
