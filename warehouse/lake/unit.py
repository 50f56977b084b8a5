"""What a source hands to the lake: units of work, each committed in one transaction or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Protocol, TypeAlias

import duckdb
import pyarrow as pa

Rows: TypeAlias = pa.RecordBatchReader | duckdb.DuckDBPyRelation

REJECT_SCHEMA = pa.schema([("reason", pa.string()), ("file", pa.string()), ("line", pa.int64()), ("record", pa.string())])


@dataclass(frozen=True, slots=True)
class Slice:
    """Half-open range of days `[start, end)`."""

    start: date
    end: date

    def __str__(self) -> str:
        return f"{self.start}/{self.end}"


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one table within a unit, or (`rejects`) records that the source could not turn into rows of that table.

    rows: an Arrow reader, or a relation on the connection that the unit was opened with (no detour over Arrow then). Columns: the
    contract's without `batch_id`, `day` and (for files and pushes) `source`, which the lake adds; missing ones are NULL; UUIDs are text;
    the order of columns is free. Rejects have REJECT_SCHEMA (line is NULL where a file has none) and may be given for any table.
    held: the relation reads tables of its connection, so that several passes over it cost little.
    collapsed: rows that the source read besides and that another row stands for; they count as read and as collapsed."""

    table: str
    rows: Rows
    rejects: bool = False
    held: bool = False
    collapsed: int = 0


@dataclass(frozen=True, slots=True)
class Unit:
    """One file, one push or one window: everything in it lands in one transaction, once.

    batch_id: see `batch_id()`. slice: days to be replaced as a whole (None appends). scope: SQL condition on the target's columns that
    narrows what a replacement deletes, with its bound values (bills: billing period and account). origin: file or window, for messages and
    to find former content under the same name; offset and digest describe how much of a growing file was consumed.
    supersedes: batches whose rows this unit replaces (changed files).
    open: called with a scratch connection when (and only if) the batch is new; yields the parts; memory must not grow with the input.
    identify: gives batch_id and digest of content that is new for sure and is still being hashed; asked once reading has begun, so that
    the one goes on beside the other. batch_id and digest are empty then."""

    source: str
    batch_id: str
    origin: str
    open: Callable[[duckdb.DuckDBPyConnection], Iterator[Part]]
    slice: Slice | None = None
    scope: tuple[str, tuple[object, ...]] | None = None
    supersedes: tuple[str, ...] = ()
    bytes_read: int = 0
    offset: int | None = None
    digest: str | None = None
    inbox_file: Path | None = field(default=None)
    identify: Callable[[], tuple[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Former:
    """What the lake knows of an origin: the batches that its present rows came from, and how much of the file they cover."""

    batch_ids: tuple[str, ...]
    offset: int | None
    digest: str | None


class Known(Protocol):
    """What a source may ask about the past of its data."""

    def has(self, batch_id: str) -> bool:
        """Whether this batch is in the lake (and was not superseded)."""
        ...

    def has_size(self, size: int) -> bool:
        """Whether a batch in the lake covers this many bytes of its origin: content of another size is new."""
        ...

    def former(self, origin: str) -> Former | None:
        """The latest committed state of this origin."""
        ...

    def former_origins(self) -> Iterable[str]:
        """Every origin that `former` knows, also of files that are gone."""
        ...

    def watermark(self, table: str) -> datetime | None:
        """Naive UTC end (exclusive) of the newest window that was committed for `table`, from the log of windows; None before the first."""
        ...

    def open_incidents(self, origin: str) -> pa.Table:
        """Rows of raw.incidents (all columns but source, batch_id and day) that have no end and whose present state came
        from this origin."""
        ...
