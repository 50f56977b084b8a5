"""The process that is killed: replaces days with large files and rolls them up, and says in a journal what was acknowledged.

Usage: worker.py SPEC.json. The spec holds the configuration file, the journal, the CSV files, the operations to do, and where to die."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb

from warehouse.lake import Part, Slice, Unit, batch_id
from warehouse.lake.lake import Lake
from warehouse.settings import load

ROLLUP = """
SELECT source, series_id, date_trunc('hour', time) AS time, count(*) AS count,
    0::BIGINT AS nonfinite_count, sum(value) AS sum, min(value) AS min, max(value) AS max, day
FROM raw.metric_points WHERE day >= $start AND day < $end GROUP BY ALL ORDER BY ALL"""


def unit(csv: str, day: date, number: int, source: str = "killed") -> Unit:
    """The content of a CSV file as the new content of a day."""

    def parts(connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        columns = "{'series_id': 'UBIGINT', 'time': 'TIMESTAMP', 'value': 'DOUBLE'}"
        yield Part("raw.metric_points", connection.sql(f"SELECT * FROM read_csv('{csv}', header = true, columns = {columns})"))

    window = Slice(day, day + timedelta(days=1))
    return Unit(source, batch_id("window", source, str(day), str(number)), f"{day} {number}", parts, slice=window)


def main(spec: dict[str, object]) -> None:
    """Do the operations that the journal does not hold yet."""
    journal = Path(str(spec["journal"]))
    done = {int(line) for line in journal.read_text().split()} if journal.exists() else set()
    lake = Lake.open(load(Path(str(spec["config"]))))
    countdown = [int(str(spec.get("occurrence", 1)))]

    def step(name: str) -> None:
        if name == spec.get("die_at"):
            countdown[0] -= 1
            if countdown[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    lake.step = step
    ready = Path(str(spec["ready"]))
    ready.touch()
    for number, (csv, day_text) in enumerate(spec["operations"]):  # type: ignore[call-overload]
        if number in done:
            continue
        day = date.fromisoformat(day_text)
        lake.land(unit(csv, day, number))
        bounds = {"start": day, "end": day + timedelta(days=1)}
        lake.replace_slice("core.metric_rollup_1h", Slice(**bounds), ROLLUP, parameters=bounds, inputs={day: str(number)})
        with journal.open("a") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
