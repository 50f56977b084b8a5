"""The process that is killed while days go through the tiers: landed, rolled up, settled, published, archived and dropped, restored, and a
subject's rows erased from all of it.

Usage: tier_worker.py SPEC.json, as `worker.py`. An operation is `[what, day, csv]`; done again after a death, each goes on from there.
Before it works, it notes what it finds of every day. `die_in` is the operation's number, `die_at` the step in it that kills; should the
operation end without coming to that step, the next step of all does."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from tests.faults.worker import ROLLUP, unit
from warehouse.archive.erasing import erase_subject
from warehouse.archive.restoring import restore_into_lake
from warehouse.lake import Slice
from warehouse.lake.lake import Lake
from warehouse.retention.applying import apply_plan
from warehouse.retention.planning import plan_retention
from warehouse.settings import load
from warehouse.tiers.publish import publish
from warehouse.tiers.settle import settle

TABLE = "raw.metric_points"
ROLLED = "core.metric_rollup_1h"
TODAY = date(2026, 6, 1)
SUBJECT = 7
PLACES = {"lake": TABLE, "archive": "archive.metric_points"}
STATE = "SELECT day, count(*), sum(hash(series_id, time, value)::HUGEINT)::VARCHAR FROM {} GROUP BY day ORDER BY day"


def operate(lake: Lake, number: int, what: str, day: date, csv: str) -> None:
    """Do one operation, or what is left of it."""
    bounds = {"start": day, "end": day + timedelta(days=1)}
    if what == "land":
        lake.land(unit(csv, day, number))
    elif what == "roll up":
        lake.replace_slice(ROLLED, Slice(**bounds), ROLLUP, parameters=bounds, inputs={day: str(number)})
    elif what == "settle":
        settle(lake, tables=[TABLE])
    elif what == "publish":
        publish(lake)
    elif what == "retain":
        apply_plan(lake, plan_retention(lake, today=TODAY).plan_id, today=TODAY)
    elif what == "restore":
        for gone in [d for d, s in lake.states(TABLE).items() if s.state == "dropped"]:
            restore_into_lake(lake, TABLE, gone, gone)
    else:
        erase_subject(lake, TABLE, "series_id", str(SUBJECT), reason="asked for")
    for table in (TABLE, ROLLED):
        states = lake.states(table)
        lake.set_states(table, {d: ("passed", None) for d, s in states.items() if s.state == "unchecked"})


def standing(lake: Lake) -> dict[str, dict[str, Sequence[object]]]:
    """Place -> day -> rows and sum of row hashes."""
    views = {row[0] for row in lake.connection.execute("SELECT schema_name || '.' || view_name FROM duckdb_views()").fetchall()}
    return {
        place: {str(day): state for day, *state in lake.connection.execute(STATE.format(table)).fetchall()}
        for place, table in PLACES.items()
        if table in views
    }


class Killer:
    """Kills the process at a step of an operation, and says before where that was. Without one it only says where the process is."""

    def __init__(self, where: Path, operations: Sequence[Sequence[str]], number: int | None, step: str | None) -> None:
        self.where, self.operations, self.number, self.step = where, operations, number, step
        self.current = 0

    def begin(self, number: int) -> None:
        """The operation of a number begins."""
        self.current = number
        self.where.write_text(json.dumps([self.operations[number][0], "at any moment"]))

    def __call__(self, step: str) -> None:
        if self.number is None or self.current < self.number:
            return
        if self.current > self.number or step == self.step:
            self.where.write_text(json.dumps([self.operations[self.current][0], step]))
            os.kill(os.getpid(), signal.SIGKILL)


def main(spec: dict[str, object]) -> None:
    """Do the operations that the journal does not hold yet."""
    journal, ready = Path(str(spec["journal"])), Path(str(spec["ready"]))
    done = {int(line) for line in journal.read_text().split()} if journal.exists() else set()
    operations: Sequence[Sequence[str]] = spec["operations"]  # type: ignore[assignment]
    number, step = spec.get("die_in"), spec.get("die_at")
    killer = Killer(ready.with_name("where"), operations, number, step)  # type: ignore[arg-type]
    with Lake.open(load(Path(str(spec["config"])))) as lake:
        lake.step = killer
        ready.with_name("standing").write_text(json.dumps(standing(lake)))
        ready.touch()
        for at, (what, day, csv) in enumerate(operations):
            if at in done:
                continue
            killer.begin(at)
            operate(lake, at, what, date.fromisoformat(day), csv)
            with journal.open("a") as file:
                file.write(f"{at}\n")
                file.flush()
                os.fsync(file.fileno())


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
