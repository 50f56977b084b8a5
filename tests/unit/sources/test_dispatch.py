"""Groups: several inputs under one source, each with its own account of a file."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sources import KINDS, units
from tests.lakes import RememberedUnits
from warehouse.errors import ConfigError
from warehouse.lake.unit import Slice, Unit
from warehouse.settings import Settings, parse
from warehouse.settings.sources import AnySource, GroupSettings

DAY = Slice(datetime(2024, 1, 1).date(), datetime(2024, 1, 2).date())
TABLE = {"kind": "table", "path": "a.csv", "columns": {"time": "t", "body": "b"}, "table": "raw.logs"}
LOG = {"kind": "log_text", "path": "a.csv", "pattern": "json"}


def run(folder: Path, known: RememberedUnits, *inputs: dict[str, Any]) -> list[Unit]:
    (folder / "a.csv").write_text("t,b\n2024-01-01,x\n")
    os.utime(folder / "a.csv", (time.time() - 3600,) * 2)
    return read(folder, known, *inputs)


def read(folder: Path, known: RememberedUnits, *inputs: dict[str, Any]) -> list[Unit]:
    group = GroupSettings.model_validate({"kind": "group", "inputs": inputs})
    found = list(units("s", group, config=Settings(root=folder), known=known, window=DAY))
    known.seen.update({u.origin: u for u in found})
    return found


def test_two_inputs_of_one_file_need_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sources\.s: two inputs read a\.csv; give one of them a `name`"):
        run(tmp_path, RememberedUnits(), TABLE, LOG)


def test_named_inputs_keep_their_own_accounts(tmp_path: Path) -> None:
    known = RememberedUnits()
    first = run(tmp_path, known, {**TABLE, "name": "rows"}, LOG)
    assert [u.origin for u in first] == ["a.csv#rows", "a.csv"]
    assert len({u.batch_id for u in first}) == 2
    assert run(tmp_path, known, {**TABLE, "name": "rows"}, LOG) == []


def test_a_log_that_one_input_brought_is_not_a_former_log_of_another(tmp_path: Path) -> None:
    known = RememberedUnits()
    settings = {"kind": "log_text", "path": "a.csv", "pattern": "json"}
    assert [u.origin for u in run(tmp_path, known, {**settings, "name": "one"})] == ["a.csv#one"]
    assert [u.bytes_read for u in run(tmp_path, known, {**settings, "name": "two"})] == [17]
    assert [u.bytes_read for u in run(tmp_path, known, settings)] == [17]


def test_a_named_input_knows_its_renamed_log(tmp_path: Path) -> None:
    known = RememberedUnits()
    log = {"kind": "log_text", "path": "*.csv*", "pattern": "json", "name": "one"}
    run(tmp_path, known, log)
    (tmp_path / "a.csv").rename(tmp_path / "a.csv.1")
    with (tmp_path / "a.csv.1").open("a") as stream:
        stream.write("late\n")
    os.utime(tmp_path / "a.csv.1", (time.time() - 3600,) * 2)
    assert [(u.origin, u.bytes_read) for u in read(tmp_path, known, log)] == [("a.csv.1#one", 5)]


def test_disabled_inputs_are_not_read(tmp_path: Path) -> None:
    assert [u.origin for u in run(tmp_path, RememberedUnits(), {**TABLE, "enabled": False}, LOG)] == ["a.csv"]


def test_a_group_in_a_file_is_checked_to_the_key(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"sources\.s\.group\.inputs\.0\.table\.filename_patern: unknown key; did you mean filename_pattern\?"
    ):
        parse({"sources": {"s": {"kind": "group", "inputs": [{**TABLE, "filename_patern": "x"}]}}}, tmp_path / "lakebed.toml")


def test_a_prometheus_server_is_no_input_of_a_group(tmp_path: Path) -> None:
    server = {"kind": "prometheus", "url": "http://127.0.0.1:9090", "name": "metrics"}
    with pytest.raises(ConfigError, match=r'sources\.s.*kind = "prometheus" cannot be an input of a group.*section of its own'):
        parse({"sources": {"s": {"kind": "group", "inputs": [TABLE, server]}}}, tmp_path / "lakebed.toml")


def test_every_kind_of_the_configuration_has_a_reader() -> None:
    union = AnySource.__origin__  # type: ignore[attr-defined]
    kinds = {cls.model_fields["kind"].annotation.__args__[0] for cls in union.__args__}
    assert kinds == {*KINDS, "group"}
