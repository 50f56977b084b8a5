"""Whether the published file lacks what may be read now: told from versions, and untrue as soon as it is published."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from tests.contract_rows import row, write
from tests.lakes import DAY, at, open_lake, points_unit
from warehouse.contracts import CONTRACTS
from warehouse.lake.lake import Lake
from warehouse.lake.state import NO_DAY
from warehouse.settings import PublishSettings
from warehouse.tiers.publish import is_behind, publish

ROI = "mart.roi"


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A lake whose one passed day is published."""
    with open_lake(tmp_path) as opened:
        write(opened, CONTRACTS[ROI], [row(CONTRACTS[ROI], 1)])
        opened.set_states(ROI, {DAY: ("passed", None)})
        assert is_behind(opened)
        publish(opened)
        assert not is_behind(opened)
        yield opened


def keep_raw(lake: Lake, days: int) -> None:
    """Configure for how many days the file keeps raw tables."""
    lake.settings = lake.settings.model_copy(update={"publish": PublishSettings(raw_days=days)})


@pytest.mark.parametrize("state", ["unchecked", "blocked"])
def test_new_rows_count_when_they_may_be_read(lake: Lake, state: str) -> None:
    write(lake, CONTRACTS[ROI], [row(CONTRACTS[ROI], 2)])
    lake.set_states(ROI, {DAY: (state, None)})
    assert not is_behind(lake)
    lake.set_states(ROI, {DAY: ("waved", "looked at")})
    assert is_behind(lake)
    publish(lake)
    assert not is_behind(lake)


def test_a_table_without_days_counts_by_its_version(lake: Lake) -> None:
    for batch in ("b1", "b2"):
        lake.land(points_unit(batch, [(1, at(f"2026-03-0{batch[1]} 10:00"), 1.0)]))
        assert not is_behind(lake)
        lake.set_states("raw.metric_series", {NO_DAY: ("passed", None)})
        assert is_behind(lake)
        publish(lake)
        assert not is_behind(lake)


def test_days_that_the_file_has_let_go_count_once_it_keeps_more(lake: Lake) -> None:
    keep_raw(lake, days=1)
    for n, batch in enumerate(("b1", "b2")):
        day = DAY + timedelta(days=n)
        write(lake, CONTRACTS["raw.logs"], [row(CONTRACTS["raw.logs"], n, day)], batch=batch)
        lake.set_states("raw.logs", {day: ("passed", None)})
        assert is_behind(lake)
        assert publish(lake).days == 1
        assert not is_behind(lake)
    keep_raw(lake, days=2)
    assert is_behind(lake)
    assert publish(lake).days == 1
    assert not is_behind(lake)


def test_a_file_that_is_none_lacks_everything(lake: Lake) -> None:
    file = Path(lake.settings.resolve(lake.settings.publish.path))
    file.chmod(0o644)
    file.write_text("not a database")
    assert is_behind(lake)
    file.unlink()
    assert is_behind(lake)


def test_of_the_five_minute_rollup_the_file_holds_as_few_days_as_of_samples(lake: Lake) -> None:
    days = [DAY - timedelta(days=i) for i in range(4)]
    for table in ("core.metric_rollup_5m", "core.metric_rollup_1h"):
        write(lake, CONTRACTS[table], [row(CONTRACTS[table], 1, day) for day in days], days=dict.fromkeys(days, "inputs"))
        lake.set_states(table, dict.fromkeys(days, ("passed", None)))
    publish(lake)
    with duckdb.connect(lake.settings.resolve(lake.settings.publish.path), read_only=True) as hot:
        held = {t: hot.execute(f"SELECT count(DISTINCT day) FROM core.metric_rollup_{t}").fetchone() for t in ("5m", "1h")}
    assert held == {"5m": (2,), "1h": (4,)}
