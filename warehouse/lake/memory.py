"""What a process remembers of day states and batches, so that they are read once and not for every commit.

It holds for one snapshot: this process's own commits are added to it, any other one makes it read again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime

import duckdb

from warehouse.lake.state import DayState, LakeKnowledge, all_day_states


@dataclass(frozen=True, slots=True)
class Batch:
    """A row of meta.ingest_log, as far as it says what is in the lake."""

    source: str
    batch_id: str
    table: str
    origin: str | None
    offset: int | None
    digest: str | None
    superseded: tuple[str, ...]
    committed_at: datetime


@dataclass(slots=True)
class News:
    """What a commit adds: batches in order, and states per table and day."""

    batches: list[Batch] = field(default_factory=list)
    states: dict[str, dict[date, DayState]] = field(default_factory=dict)


class Memory:
    """Day states of all tables and what is known of each source that was asked for. snapshot: gives the newest snapshot of the lake."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, snapshot: Callable[[], int]) -> None:
        self._connection, self._snapshot = connection, snapshot
        self._at = -1
        self._states: dict[str, dict[date, DayState]] | None = None
        self._known: dict[str, LakeKnowledge] = {}

    def states(self) -> dict[str, dict[date, DayState]]:
        """Latest state per table and day. Not to be changed by the caller."""
        self._follow(self._snapshot())
        if self._states is None:
            self._states = all_day_states(self._connection)
        return self._states

    def of(self, source: str) -> LakeKnowledge:
        """What is known of a source now. Not to be kept: it grows with every commit."""
        self._follow(self._snapshot())
        if source not in self._known:
            self._known[source] = LakeKnowledge(self._connection, source)
        return self._known[source]

    def next_sequence(self) -> int:
        """The number that the next records of day states carry; asked for inside the commit, under the lock."""
        return 1 + max((s.sequence for days in self.states().values() for s in days.values()), default=0)

    def committed(self, news: News) -> None:
        """Add what this process has just committed, while it still holds the lock; where another commit came between, forget.

        Only for commits that wrote something: one that did not makes no snapshot, and the next could be another process's."""
        now = self._snapshot()
        if now != self._at + 1:
            self._follow(now)
            return
        self._at = now
        for batch in news.batches:
            if batch.source in self._known:
                self._known[batch.source].take(
                    batch.batch_id, batch.origin, batch.offset, batch.digest, batch.superseded, batch.table, batch.committed_at
                )
        if self._states is not None:
            for table, days in news.states.items():
                self._states.setdefault(table, {}).update(days)

    def _follow(self, snapshot: int) -> None:
        if snapshot != self._at:
            self._at, self._states, self._known = snapshot, None, {}
