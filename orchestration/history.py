"""What an analysis may look at: frames over the days before it, as polars, from usable days only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl

from orchestration.deriving import bounds
from orchestration.scenarios import Scenario
from transforms.model import load_frames
from warehouse.contracts import CONTRACTS
from warehouse.lake import Slice
from warehouse.lake.state import NO_DAY, USABLE

if TYPE_CHECKING:
    from warehouse.lake.lake import Lake
    from warehouse.settings import Settings

EPOCH_GAP_DAYS = 30


@dataclass(frozen=True, slots=True)
class History:
    """The past as seen from the end of `as_of`."""

    lake: Lake
    settings: Settings
    as_of: date
    scenario: Scenario = field(default_factory=Scenario)

    @property
    def window(self) -> Slice:
        """Half-open: the history's days up to and with `as_of`."""
        return self.last(self.settings.models.history_days)

    def last(self, days: int) -> Slice:
        """Half-open: so many days up to and with `as_of`."""
        end = self.as_of + timedelta(days=1)
        return Slice(end - timedelta(days=days), end)

    def dated(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows of a mart with the day that they look back from."""
        return frame.with_columns(pl.lit(self.as_of).alias("day"))

    def frame(self, name: str, *, days: int | None = None) -> pl.DataFrame:
        """A frame of transforms/frames over the window, or over more days up to `as_of`, without those that are blocked or unchecked."""
        model = load_frames()[name]
        window = self.last(max(days or 0, self.settings.models.history_days))
        wanted = {k: v for k, v in bounds(window).items() if f"${k}" in model.sql}
        return self._select(model.sql, wanted, model.inputs, window)

    def select(self, sql: str, parameters: Mapping[str, object] | None = None, *, reads: Iterable[str] = ()) -> pl.DataFrame:
        """Any other SELECT on the lake, as polars; days of the tables `reads` that are blocked or unchecked are left out."""
        return self._select(sql, parameters or {}, reads, self.window)

    def _select(self, sql: str, parameters: Mapping[str, object], reads: Iterable[str], window: Slice) -> pl.DataFrame:
        for name in reads:
            sql = without_days(sql, name, unusable_days(self.lake, name, window))
        table = self.lake.query(sql, dict(parameters))
        found = pl.from_arrow(table)
        assert isinstance(found, pl.DataFrame)
        return found


def unusable_days(lake: Lake, table: str, window: Slice) -> list[date]:
    """Days of a window that downstream must not read."""
    if not CONTRACTS[table].has_day:
        return []
    states = lake.states(table).items()
    return sorted(d for d, s in states if window.start <= d < window.end and s.state not in (*USABLE, "dropped"))


def without_days(sql: str, table: str, days: Iterable[date]) -> str:
    """The query with a table's days left out. The query must give the table an alias where it qualifies columns."""
    listed = ", ".join(f"DATE '{d}'" for d in days)
    if not listed:
        return sql
    return re.sub(rf"\b(FROM|JOIN)\s+{re.escape(table)}\b", rf"\1 (FROM {table} WHERE day NOT IN ({listed}))", sql, flags=re.IGNORECASE)


def epoch_ends(days: Iterable[date], *, before: date, gap_days: int = EPOCH_GAP_DAYS) -> list[date]:
    """Days that an analysis looks back from: the last closed day of the data, and of every earlier stretch that a gap ends."""
    ordered = sorted(d for d in days if d < before and d != NO_DAY)
    following = [*ordered[1:], date.max][: len(ordered)]
    return [d for d, then in zip(ordered, following, strict=True) if (then - d).days > gap_days]
