"""What the return on investment is told: only days that may be read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from orchestration.history import History
from orchestration.roi_inputs import MIN_INCIDENTS, roi_inputs
from tests.contract_rows import row, write
from tests.lakes import DAY, open_lake
from warehouse.contracts import contract

INCIDENTS = contract("core.incidents")
NEXT = DAY + timedelta(days=1)


@pytest.mark.parametrize(("state", "days"), [("passed", 2), ("waved", 2), ("blocked", 1), ("unchecked", 1)])
def test_incidents_of_days_that_may_not_be_read_are_left_out(tmp_path: Path, state: str, days: int) -> None:
    with open_lake(tmp_path) as lake:
        rows = [row(INCIDENTS, n + 100 * day.day, day) for day in (DAY, NEXT) for n in range(MIN_INCIDENTS)]
        write(lake, INCIDENTS, rows, days={DAY: "a", NEXT: "b"})
        lake.set_states("core.incidents", {DAY: ("passed", None)})
        if state != "unchecked":
            lake.set_states("core.incidents", {NEXT: (state, "because")})
        found = roi_inputs(History(lake, lake.settings, NEXT))
        [source] = found.filter(name="incidents_per_year")["source"].to_list()
    assert source == f"core.incidents: {MIN_INCIDENTS * days} in {days} days"
