"""Reads one outside system each and yields units of rows that fit a contract. Knows no lake and no Dagster.

One public function, `units`; each kind of source is a module that is imported when a source of that kind is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from importlib import import_module
from typing import Any

import pyarrow as pa

from warehouse.errors import ConfigError
from warehouse.lake.identity import batch_id
from warehouse.lake.unit import Former, Known, Slice, Unit
from warehouse.settings import Settings
from warehouse.settings.sources import GroupSettings, SourceSettings

KINDS = {
    "prometheus": "sources.prometheus",
    "otlp": "sources.otlp",
    "focus": "sources.focus",
    "table": "sources.table",
    "log_text": "sources.log_text",
    "pagerduty": "sources.pagerduty",
    "alertmanager": "sources.alertmanager",
}


def units(name: str, settings: SourceSettings, *, config: Settings, known: Known, window: Slice) -> Iterator[Unit]:
    """Everything new that a source has, as units to be committed one by one, in order.

    name: the key in [sources.NAME]. window: half-open days that the run asks for; files say themselves which days they hold.
    A source of kind `group` gives the units of its inputs, one input after the other. Disabled inputs give none.
    Raises what the readers raise (SourceError, ConfigError), while iterating and when a unit is opened."""
    if not isinstance(settings, GroupSettings):
        kind = import_module(KINDS[str(getattr(settings, "kind", ""))])
        found: Iterator[Unit] = kind.units(name, settings, config=config, known=known, window=window)
        yield from found
        return
    read: dict[str, int] = {}
    for number, one in enumerate(settings.inputs):
        if not one.enabled:
            continue
        for unit in _input_units(name, one, config, known, window):
            if read.setdefault(unit.origin, number) != number:
                raise ConfigError(
                    f"sources.{name}: two inputs read {unit.origin}; give one of them a `name`, so that each keeps its own account of it"
                )
            yield unit


def _input_units(name: str, settings: Any, config: Settings, known: Known, window: Slice) -> Iterator[Unit]:
    view = _InputKnown(known, name, settings.name)
    for unit in units(name, settings, config=config, known=view, window=window):
        yield replace(view.owned(unit), origin=view.origin(unit.origin))


class _InputKnown:
    """The past as one input of a group sees it: with the input's name, where it has one, in batch ids and origins."""

    def __init__(self, known: Known, source: str, part: str | None) -> None:
        self._known, self._source, self._part = known, source, part

    def own(self, batch: str) -> str:
        """The batch id under this input."""
        return batch_id("input", self._source, self._part, batch) if self._part else batch

    def owned(self, unit: Unit) -> Unit:
        """A unit under this input's batch id."""
        identify = unit.identify
        if identify is None:
            return replace(unit, batch_id=self.own(unit.batch_id))

        def identified() -> tuple[str, str]:
            batch, digest = identify()
            return self.own(batch), digest

        return replace(unit, identify=identified)

    def origin(self, origin: str) -> str:
        """The origin under this input."""
        return f"{origin}#{self._part}" if self._part else origin

    def has(self, batch_id: str) -> bool:
        """Whether the lake has this input's batch."""
        return self._known.has(self.own(batch_id))

    def has_size(self, size: int) -> bool:
        """Whether a batch of the source covers this many bytes."""
        return self._known.has_size(size)

    def former(self, origin: str) -> Former | None:
        """The former state of this input's origin."""
        return self._known.former(self.origin(origin))

    def former_origins(self) -> Iterator[str]:
        """This input's origins, as it knows them; what named inputs read is not an unnamed one's."""
        for origin in self._known.former_origins():
            own, mark, part = origin.rpartition("#")
            if not self._part and not mark:
                yield origin
            elif self._part and part == self._part:
                yield own

    def watermark(self, table: str) -> datetime | None:
        """End of the newest window of a table."""
        return self._known.watermark(table)

    def open_incidents(self, origin: str) -> pa.Table:
        """Incidents without an end that this input's origin told of last."""
        return self._known.open_incidents(self.origin(origin))
