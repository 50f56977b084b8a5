"""The process that is killed while days go through the tiers: landed, settled, rolled up, published, archived and dropped, restored.

Usage: tier_worker.py SPEC.json, as `worker.py`. An operation is `[what, day, csv]`; done again after a death, each goes on from there."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from tests.faults.worker import ROLLUP, unit
from warehouse.archive.restoring import restore_into_lake
from warehouse.lake import Slice
from warehouse.lake.lake import Lake
from warehouse.retention.applying import apply_plan
from warehouse.retention.planning import plan_retention
from warehouse.settings import load
from warehouse.tiers.publish import publish
from warehouse.tiers.settle import settle

TABLE = "raw.metric_points"
TODAY = date(2026, 6, 1)


def operate(lake: Lake, number: int, what: str, day: date, csv: str) -> None:
    """Do one operation, or what is left of it."""
    bounds = {"start": day, "end": day + timedelta(days=1)}
    if what == "land":
        lake.land(unit(csv, day, number))
    elif what == "roll up":
        lake.replace_slice("core.metric_rollup_1h", Slice(**bounds), ROLLUP, parameters=bounds, inputs={day: str(number)})
    elif what == "settle":
        settle(lake, tables=[TABLE])
    elif what == "publish":
        publish(lake)
    elif what == "retain":
        apply_plan(lake, plan_retention(lake, today=TODAY).plan_id, today=TODAY)
    else:
        for gone in [d for d, s in lake.states(TABLE).items() if s.state == "dropped"]:
            restore_into_lake(lake, TABLE, gone, gone)
    for table in (TABLE, "core.metric_rollup_1h"):
        states = lake.states(table)
        lake.set_states(table, {d: ("passed", None) for d, s in states.items() if s.state == "unchecked"})


def killer(name_of_step: str | None, occurrence: int) -> Callable[[str], None]:
    """A hook that kills the process when it comes to a step for the n-th time."""
    left = [occurrence]

    def step(name: str) -> None:
        if name == name_of_step:
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return step


def main(spec: dict[str, object]) -> None:
    """Do the operations that the journal does not hold yet."""
    journal = Path(str(spec["journal"]))
    done = {int(line) for line in journal.read_text().split()} if journal.exists() else set()
    with Lake.open(load(Path(str(spec["config"])))) as lake:
        lake.step = killer(spec.get("die_at"), int(str(spec.get("occurrence", 1))))  # type: ignore[arg-type]
        Path(str(spec["ready"])).touch()
        for number, (what, day, csv) in enumerate(spec["operations"]):  # type: ignore[call-overload]
            if number in done:
                continue
            operate(lake, number, what, date.fromisoformat(day), csv)
            with journal.open("a") as file:
                file.write(f"{number}\n")
                file.flush()
                os.fsync(file.fileno())


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
