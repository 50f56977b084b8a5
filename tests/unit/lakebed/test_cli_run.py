"""What `lakebed run` tells: a script learns no less than a reader."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path

import pytest

from orchestration import execute
from orchestration.execute import Outcome, Request
from tests.unit.lakebed.conftest import Run
from warehouse.errors import ChecksFailedError, ConfigError
from warehouse.lake import Slice

DAY = date(2026, 3, 1)
DONE = Outcome(
    runs=["r1", "r2"],
    ranges=[Slice(DAY, date(2026, 3, 3))],
    days=2,
    rows={"raw.logs": 1_500},
    blocked=[("raw.spans", DAY)],
    buried=3,
    seconds=1.26,
)


@pytest.fixture
def done(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is over."""
    monkeypatch.setattr(execute, "run", lambda *_arguments, **_named: DONE)


@pytest.mark.usefixtures("done")
def test_json_holds_everything_that_a_run_did(run: Run) -> None:
    result = run("run", "--json")
    assert json.loads(result.stdout) == {
        "runs": ["r1", "r2"],
        "ranges": ["2026-03-01/2026-03-03"],
        "days": 2,
        "rows": {"raw.logs": 1_500},
        "errors": [],
        "unreadable": {},
        "blocked": ["raw.spans 2026-03-01"],
        "buried": 3,
        "scenario": [],
        "seconds": 1.3,
    }
    assert isinstance(result.exception, ChecksFailedError)


@pytest.mark.usefixtures("done")
def test_a_reader_is_told_the_same(run: Run) -> None:
    said = run("run").output
    assert "landed 1,500 raw.logs; worked on 2 day(s); 1.3 s" in said
    assert "3 earlier run(s) had died" in said


CHANGES = [
    {
        "resource_id": "crm/licence",
        "before": None,
        "after": datetime(2026, 3, 9, 12),
        "p_before": 0.01,
        "p_after": 0.9,
        "add_capacity": 120.0,
        "unit": "{seat}",
        "add_cost_per_month": 4800.0,
        "billing_currency": "EUR",
    },
    {
        "resource_id": "db/disk",
        "before": datetime(2026, 3, 20),
        "after": datetime(2026, 3, 10),
        "p_before": 0.2,
        "p_after": 0.6,
        "add_capacity": 3 * 2.0**30,
        "unit": "By",
        "add_cost_per_month": None,
        "billing_currency": None,
    },
]


def test_a_scenario_is_set_beside_the_plan(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def done(_config: Path, request: Request, **_named: object) -> Outcome:
        asked.append(request.scenario)
        return Outcome(scenario=CHANGES)

    monkeypatch.setattr(execute, "run", done)
    said = [
        line.split("│")[1:-1] for line in run("run", "--scenario", "growth=+30%,sale=2026-03-01", "--scenario", "x=1").output.splitlines()
    ]
    cells = [[cell.strip() for cell in line] for line in said if line]
    assert cells == [
        ["crm/licence", "later", "2026-03-09", "120 {seat}", "4,800 EUR"],
        ["db/disk", "2026-03-20", "2026-03-10", "3.0 GiB", "not known"],
    ]
    assert asked == [("growth=+30%,sale=2026-03-01", "x=1")]
    assert json.loads(run("run", "--scenario", "growth=+30%", "--json").stdout)["scenario"][0]["after"] == "2026-03-09T12:00:00"


def test_a_scenario_without_effect_says_so(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "run", lambda *_arguments, **_named: Outcome(scenario=[]))
    assert "changes no resource's plan" in run("run", "--scenario", "growth=+1%").output
    assert "plan" not in run("run").output


def test_a_scenario_of_the_roi_model_says_where_it_is_seen(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "run", lambda *_arguments, **_named: Outcome())
    said = run("run", "--scenario", "engineers=12").output
    assert "mart.roi" in said
    assert "changes no" not in said
    assert json.loads(run("run", "--scenario", "engineers=12", "--json").stdout)["scenario"] == []


def test_a_scenario_that_is_not_known_ends_the_run_before_it_begins(run: Run, project: Path) -> None:
    result = run("run", "--scenario", "growht=+1%")
    assert isinstance(result.exception, ConfigError)
    assert "did you mean growth?" in str(result.exception)
