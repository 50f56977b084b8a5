"""What `lakebed run` tells: a script learns no less than a reader."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from orchestration import execute
from orchestration.execute import Outcome
from tests.unit.lakebed.conftest import Run
from warehouse.errors import ChecksFailedError
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
