"""Reads every configured source and lands its units. Decides nothing about Dagster and knows nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from warehouse.errors import LakebedError
from warehouse.lake import Slice, Unit
from warehouse.lake.lake import Lake
from warehouse.lake.query import SECRETS
from warehouse.lake.work import Landed

if TYPE_CHECKING:
    from warehouse.settings import Settings

Progress = Callable[[str], None]
MISHAPS = (OSError, duckdb.Error)
"""What befalls a source from outside: a file that is gone, closed to us or too large for the memory. The source may be read next time."""


@dataclass(frozen=True, slots=True)
class SourceFailure:
    """A source or one of its files that could not be read."""

    source: str
    origin: str
    message: str


@dataclass(slots=True)
class Ingest:
    """What one pass over the sources did."""

    rows: dict[str, int] = field(default_factory=dict)
    days: dict[str, set[date]] = field(default_factory=dict)
    quarantined: int = 0
    batches: int = 0
    known: int = 0
    failures: list[SourceFailure] = field(default_factory=list)

    def add(self, landed: Landed) -> None:
        """Count a unit."""
        if landed.already:
            self.known += 1
            return
        self.batches += 1
        self.quarantined += landed.quarantined
        for table, rows in landed.tables.items():
            self.rows[table] = self.rows.get(table, 0) + rows
        for table, days in landed.days.items():
            self.days.setdefault(table, set()).update(days)


def read_sources(
    lake: Lake,
    settings: Settings,
    window: Slice,
    *,
    run_id: str | None = None,
    allow_shrink: Iterable[str] = (),
    only: Iterable[str] | None = None,
    progress: Progress = lambda _message: None,
) -> Ingest:
    """Land every unit of every enabled source. One that fails does not stop the others; its failure is in the result and in
    meta.check_results under the table name `source:<name>`."""
    result = Ingest()
    shrinking = set(allow_shrink)
    chosen = set(only) if only is not None else set(settings.sources)
    for name, source in settings.sources.items():
        if name not in chosen or not source.enabled:
            continue
        before = len(result.failures)
        _read_source(lake, settings, name, window, result, run_id, name in shrinking, progress)
        _record(lake, name, result.failures[before:], run_id)
    return result


def _read_source(
    lake: Lake,
    settings: Settings,
    name: str,
    window: Slice,
    result: Ingest,
    run_id: str | None,
    allow_shrink: bool,
    progress: Progress,
) -> None:
    import sources

    try:
        for unit in sources.units(name, settings.sources[name], config=settings, known=lake.known(name), window=window):
            progress(f"{name}: {unit.origin}")
            _land(lake, unit, result, run_id, allow_shrink)
    except duckdb.InterruptException:
        raise
    except (LakebedError, *MISHAPS) as error:
        result.failures.append(SourceFailure(name, "", _said(error)))


def _land(lake: Lake, unit: Unit, result: Ingest, run_id: str | None, allow_shrink: bool) -> None:
    """Land a unit and move the file that it came from. A file stays in its inbox when the mishap says nothing against it."""
    from sources.inbox import accept, reject

    try:
        try:
            result.add(lake.land(unit, run_id=run_id, allow_shrink=allow_shrink))
        except LakebedError as error:
            result.failures.append(SourceFailure(unit.source, unit.origin, _said(error)))
            if unit.inbox_file is not None:
                reject(unit.inbox_file, _said(error))
        else:
            accept(unit)
    except duckdb.InterruptException:
        raise
    except MISHAPS as error:
        result.failures.append(SourceFailure(unit.source, unit.origin, _said(error)))


def _said(error: Exception) -> str:
    """What went wrong, with the name of the file and without secrets."""
    if isinstance(error, OSError) and error.strerror:
        return ": ".join([*([Path(str(error.filename)).name] if error.filename else []), error.strerror])
    return str(error) if isinstance(error, LakebedError) else SECRETS.sub(r"\1\3***", str(error))


def _record(lake: Lake, name: str, failures: list[SourceFailure], run_id: str | None) -> None:
    """One record per pass and source, so that a source that is well again is seen to be."""
    now = datetime.now(UTC).replace(tzinfo=None)
    text = "; ".join(f"{f.origin or f.source}: {f.message}" for f in failures)[:2000]
    row = (f"source:{name}", now.date(), 0, "readable", "error", not failures, len(failures), text or None, now, run_id)
    lake.append_log("meta.check_results", [row])
