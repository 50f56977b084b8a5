"""An analysis is made again when anything that decides its result has changed, and only then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from orchestration.analyses import ANALYSES, Analysis, Marts
from orchestration.analysing import Analysed, analyse, has_work
from orchestration.history import History
from orchestration.scenarios import Scenario
from tests.contract_rows import row, write
from tests.lakes import DAY, open_lake
from transforms.model import macros
from warehouse.contracts import CONTRACTS
from warehouse.lake.lake import Lake
from warehouse.settings import Settings, parse

TODAY = DAY + timedelta(days=1)
BY_NAME = {analysis.name: analysis for analysis in ANALYSES}


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A lake with one passed day of costs, and what is derived from it taken as passed, too."""
    with open_lake(tmp_path) as opened:
        opened.connection.execute(macros())
        table = CONTRACTS["core.costs_daily"]
        write(opened, table, [row(table, 1, DAY)])
        opened.set_states(table.full_name, {DAY: ("passed", None)})
        yield opened


def settings(**sections: Any) -> Settings:
    return parse(sections, Path("lakebed.toml"))


def roi(lake: Lake, configured: Settings | None = None, **scenario: float) -> Analysed:
    return analyse(lake, configured or settings(), BY_NAME["roi"], today=TODAY, scenario=Scenario(roi=scenario))


def net(lake: Lake) -> list[tuple[Any, ...]]:
    return lake.connection.execute("SELECT item, p50 FROM mart.roi ORDER BY item").fetchall()


def test_what_if_lasts_until_the_next_plain_analysis(lake: Lake) -> None:
    assert roi(lake).days == [DAY]
    plain = net(lake)
    assert roi(lake).days == []
    assert roi(lake, platform_cost_per_year=1_000_000.0).days == [DAY]
    assert net(lake) != plain
    assert roi(lake).days == [DAY]
    assert net(lake) == plain


@pytest.mark.parametrize(
    ("name", "sections"),
    [
        ("roi", {"roi": {"currency": "EUR"}}),
        ("roi", {"roi": {"inputs": {"mttr_hours": {"low": 1.0, "mode": 2.0, "high": 3.0}}}}),
        ("roi", {"models": {"risk": 0.2}}),
        ("cost_opportunities", {"models": {"horizon_days": 10}}),
        ("capacity_days", {"models": {"holidays": "US"}}),
        ("capacity_days", {"service_map": [{"pattern": "a", "holidays": "DE"}]}),
    ],
)
def test_what_is_configured_decides(lake: Lake, name: str, sections: dict[str, Any]) -> None:
    analysis = replace(BY_NAME["capacity"], reads=("core.costs_daily",)) if name == "capacity_days" else BY_NAME[name]
    assert analyse(lake, settings(), analysis, today=TODAY).days == [DAY]
    assert analyse(lake, settings(), analysis, today=TODAY).days == []
    assert analyse(lake, settings(**sections), analysis, today=TODAY).days == [DAY]
    assert analyse(lake, settings(**sections), analysis, today=TODAY).days == []


def test_what_an_analysis_does_not_read_does_not_make_it_again(lake: Lake) -> None:
    costs = BY_NAME["cost_opportunities"]
    assert analyse(lake, settings(), costs, today=TODAY).days == [DAY]
    assert analyse(lake, settings(roi={"currency": "EUR"}), costs, today=TODAY, scenario=Scenario(roi={"mttr_hours": 1.0})).days == []


CAPACITY = BY_NAME["capacity"].tables


@pytest.mark.parametrize("dead", CAPACITY)
def test_an_analysis_that_failed_between_its_tables_is_made_again(lake: Lake, dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(history: History) -> Marts:
        contracts = (CONTRACTS[table] for table in CAPACITY)
        return {c.full_name: pl.DataFrame([row(c, 1, history.as_of)], infer_schema_length=None) for c in contracts}

    several = replace(BY_NAME["capacity"], frames=(), run=found, reads=("core.costs_daily",))
    write_table = lake.replace_slice

    def die(table: str, *arguments: Any, **named: Any) -> Any:
        if table == dead:
            raise RuntimeError("power is gone")
        return write_table(table, *arguments, **named)

    with monkeypatch.context() as broken:
        broken.setattr(lake, "replace_slice", die)
        with pytest.raises(RuntimeError, match="power"):
            analyse(lake, settings(), several, today=TODAY)
    assert analyse(lake, settings(), several, today=TODAY).rows == dict.fromkeys(several.tables, 1)
    assert analyse(lake, settings(), several, today=TODAY).days == []


def test_a_day_of_input_that_is_waved_through_is_looked_at_again(lake: Lake) -> None:
    costs = BY_NAME["cost_opportunities"]
    lake.set_states("core.costs_daily", {DAY: ("blocked", None)})
    assert analyse(lake, settings(), costs, today=TODAY).days == [DAY]
    assert analyse(lake, settings(), costs, today=TODAY).days == []
    lake.set_states("core.costs_daily", {DAY: ("waved", "looked at")})
    assert analyse(lake, settings(), costs, today=TODAY).days == [DAY]


def test_a_day_that_only_an_analysis_of_years_reads_makes_that_one_again(lake: Lake) -> None:
    long_ago = DAY - timedelta(days=300)
    analyses = [replace(BY_NAME["cost_opportunities"], least_days=days) for days in (0, 301)]
    steady = settings(models={"history_days": 200})
    write(lake, CONTRACTS["core.costs_daily"], [row(CONTRACTS["core.costs_daily"], 1, long_ago)], days={long_ago: "inputs"})
    lake.set_states("core.costs_daily", {long_ago: ("passed", None)})
    for again, analysis in zip((False, True), analyses, strict=True):
        analyse(lake, steady, analysis, today=TODAY)
        lake.set_states("core.costs_daily", {long_ago: ("blocked", None)})
        assert (DAY in analyse(lake, steady, analysis, today=TODAY).days) is again
        lake.set_states("core.costs_daily", {long_ago: ("passed", None)})
    assert BY_NAME["seasonal_peaks"].days(90) > 2 * 365


def test_there_is_work_until_all_analyses_are_made_and_checked(lake: Lake) -> None:
    def pass_checks(analysis: Analysis) -> None:
        for table in analysis.tables:
            lake.set_states(table, dict.fromkeys(lake.states(table), ("passed", None)))

    for analysis in ANALYSES:
        assert has_work(lake, settings(), today=TODAY)
        analyse(lake, settings(), analysis, today=TODAY)
        assert has_work(lake, settings(), today=TODAY)
        pass_checks(analysis)
    assert not has_work(lake, settings(), today=TODAY)
    assert has_work(lake, settings(), today=TODAY, scenario=Scenario(roi={"mttr_hours": 1.0}))
    assert has_work(lake, settings(models={"risk": 0.2}), today=TODAY)
