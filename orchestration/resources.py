"""What assets are given: the platform (settings, the open lake, checks) of this process."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import ConfigurableResource
from pydantic import Field, PrivateAttr

from orchestration.scenarios import Scenario, parse_scenario
from warehouse.settings import Settings, load

if TYPE_CHECKING:
    from orchestration.checks.engine import Validator
    from warehouse.lake.lake import Lake

_open_lakes: dict[str, Lake] = {}
listeners: list[Callable[[str], None]] = []


class Platform(ConfigurableResource):  # type: ignore[type-arg]
    """The configuration of a run, and the lake, opened once per process (attaching costs a quarter of a second).

    allow_shrink: sources whose slices may shrink in this run. force: build days whose inputs have not changed.
    scenario: what is assumed, as NAME=VALUE (`orchestration.scenarios`)."""

    config_file: str
    allow_shrink: list[str] = Field(default_factory=list)
    force: bool = False
    scenario: list[str] = Field(default_factory=list)
    _validators: dict[str, Validator] = PrivateAttr(default_factory=dict)

    @cached_property
    def settings(self) -> Settings:
        """The configuration, read when it is first needed."""
        return load(Path(self.config_file))

    @cached_property
    def what_if(self) -> Scenario:
        """The scenario of this run. Raises ConfigError when it cannot be read."""
        return parse_scenario(self.scenario, self.settings)

    @property
    def lake(self) -> Lake:
        """The lake of this process."""
        from transforms.model import macros
        from warehouse.lake.lake import Lake

        key = str(Path(self.config_file).resolve())
        if key not in _open_lakes:
            lake = Lake.open(self.settings)
            lake.connection.execute(macros())
            _open_lakes[key] = lake
        return _open_lakes[key]

    @property
    def validator(self) -> Validator:
        """Great Expectations over the lake of this process."""
        from orchestration.checks.engine import Validator

        if "lake" not in self._validators:
            self._validators["lake"] = Validator(self.lake.connection)
        return self._validators["lake"]

    def report(self, message: str) -> None:
        """Tell whoever listens in this process what is being worked on."""
        for listener in listeners:
            listener(message)


def close_lakes() -> None:
    """Close every lake that this process opened through the resource."""
    while _open_lakes:
        _open_lakes.popitem()[1].close()
