"""The days on which Europe changes its clocks, read by a host in that zone: every sample on its UTC day, once, through every tier."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.faults.tiers import RETENTION

BERLIN = ZoneInfo("Europe/Berlin")
CHANGES = (date(2026, 3, 29), date(2026, 10, 25))
TODAY = date(2026, 11, 24)
CONFIG = f"""
[lake]
memory_limit = "512MiB"
threads = 1
{RETENTION}
[sources.zoned]
kind = "table"
table = "raw.metric_points"
path = "zoned.csv"
columns = {{ time = "at", value = "v", metric_name = "'load'" }}
[sources.local]
kind = "table"
table = "raw.metric_points"
path = "local.csv"
time_zone = "Europe/Berlin"
columns = {{ time = "at", value = "v", metric_name = "'load'" }}
"""
PASS = """
import json, sys
from datetime import date
from pathlib import Path
from orchestration.deriving import derive
from orchestration.landing import read_sources
from transforms.model import load_models, macros
from warehouse.archive.restoring import restore_into_lake
from warehouse.lake import Slice
from warehouse.lake.lake import Lake
from warehouse.retention.applying import apply_plan
from warehouse.retention.planning import plan_retention
from warehouse.settings import load

config, today = Path(sys.argv[1]), date.fromisoformat(sys.argv[2])
TABLE, ROWS = "raw.metric_points", "SELECT source, series_id, time, value, day FROM raw.metric_points ORDER BY ALL"
with Lake.open(load(config)) as lake:
    lake.connection.execute(macros())
    found = read_sources(lake, lake.settings, Slice(date(2026, 3, 1), date(2026, 11, 1)))
    assert not found.failures, found.failures
    for table in ("raw.metric_points", "raw.metric_series", "core.metric_rollup_5m", "core.metric_rollup_1h"):
        if table in load_models():
            derive(lake, load_models()[table], sorted(lake.states(TABLE)))
        lake.set_states(table, dict.fromkeys(lake.states(table), ("passed", None)))
    said = {"zone": lake.connection.execute("SELECT current_setting('TimeZone')").fetchone()[0]}
    before = lake.connection.execute(ROWS).fetchall()
    said["points"] = [[s, t.isoformat(), v, str(d)] for s, _, t, v, d in before]
    said["hours"] = lake.connection.execute(
        "SELECT source, day::VARCHAR, count(*), sum(count)::BIGINT FROM core.metric_rollup_1h GROUP BY ALL ORDER BY ALL").fetchall()
    said["quarantined"] = lake.connection.execute("SELECT count(*) FROM quarantine.metric_points").fetchone()[0]
    apply_plan(lake, plan_retention(lake, today=today).plan_id, today=today)
    said["kept"] = sorted(str(d) for d, s in lake.states(TABLE).items() if s.state != "dropped")
    days = lake.states(TABLE)
    restore_into_lake(lake, TABLE, min(days), max(days))
    said["equal"] = lake.connection.execute(ROWS).fetchall() == before
    lake.connection.execute("SET TimeZone = 'America/New_York'")
    said["equal_elsewhere"] = lake.connection.execute(ROWS).fetchall() == before
print(json.dumps(said))
"""


def instants() -> list[datetime]:
    """Every half hour of the local day before a change, of its day, and of the day after, in UTC."""
    found = []
    for change in CHANGES:
        begin = datetime(change.year, change.month, change.day, tzinfo=BERLIN) - timedelta(days=1)
        end = datetime(change.year, change.month, change.day, tzinfo=BERLIN) + timedelta(days=2)
        moment = begin.astimezone(UTC)
        while moment < end.astimezone(UTC):
            found.append(moment)
            moment += timedelta(minutes=30)
    return found


def is_clear(moment: datetime) -> bool:
    """Whether a local time without its offset says which instant it is."""
    local = moment.astimezone(BERLIN).replace(tzinfo=None)
    return local.replace(tzinfo=BERLIN, fold=0).utcoffset() == local.replace(tzinfo=BERLIN, fold=1).utcoffset()


@pytest.mark.faults
def test_days_of_23_and_25_hours_keep_every_sample(tmp_path: Path) -> None:
    moments = instants()
    clear = [m for m in moments if is_clear(m)]
    local_hours = Counter(m.astimezone(BERLIN).date() for m in moments)
    assert [local_hours[day] / 2 for day in CHANGES] == [23, 25]
    assert len(moments) - len(clear) == 4  # the hour that comes twice
    config = tmp_path / "lakebed.toml"
    config.write_text(CONFIG)
    zoned = "".join(f"{m.astimezone(BERLIN).isoformat()},{n}\n" for n, m in enumerate(moments))
    local = "".join(f"{m.astimezone(BERLIN):%Y-%m-%d %H:%M:%S},{n}\n" for n, m in enumerate(clear))
    for name, rows in (("zoned", zoned), ("local", local)):
        (tmp_path / f"{name}.csv").write_text("at,v\n" + rows)
        os.utime(tmp_path / f"{name}.csv", (1e9, 1e9))
    command = [sys.executable, "-c", PASS, str(config), str(TODAY)]
    done = subprocess.run(command, env={**os.environ, "TZ": "Europe/Berlin"}, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    wanted = sorted(
        [source, f"{m:%Y-%m-%dT%H:%M:%S}", float(n), f"{m:%Y-%m-%d}"]
        for source, rows in (("zoned", moments), ("local", clear))
        for n, m in enumerate(rows)
    )
    assert sorted(said["points"]) == wanted
    assert said["quarantined"] == 0
    samples = Counter((source, f"{m:%Y-%m-%d}") for source, rows in (("zoned", moments), ("local", clear)) for m in rows)
    hours = {(source, f"{m:%Y-%m-%d}", m.hour) for source, rows in (("zoned", moments), ("local", clear)) for m in rows}
    per_day = Counter((source, day) for source, day, _ in hours)
    assert {(s, d): (n, c) for s, d, n, c in said["hours"]} == {key: (per_day[key], samples[key]) for key in samples}
    utc_days = {m.date() for m in moments}
    assert said["kept"] == sorted(str(d) for d in utc_days if d > TODAY - timedelta(days=30))
    assert 0 < len(said["kept"]) < len(utc_days)
    assert (said["zone"], said["equal"], said["equal_elsewhere"]) == ("UTC", True, True)
