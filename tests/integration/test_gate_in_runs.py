"""The gate as `lakebed run` keeps it: real sources, real checks, and another run for every step."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from orchestration.execute import Outcome, Request, run
from orchestration.resources import close_lakes
from tests.lakes import open_lake

pytestmark = [
    pytest.mark.filterwarnings("ignore:module 'sre_(constants|parse)' is deprecated:DeprecationWarning"),  # great_expectations' import
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
]

D1, D2, D3 = (date(2026, 3, day) for day in (1, 2, 3))
CONFIG = """
[lake]
memory_limit = "1GiB"
[sources.app]
kind = "table"
table = "raw.logs"
path = "logs/*.ndjson"
columns = { time = "ts", body = "msg", severity_text = "level", service = "svc" }
[sources.metrics]
kind = "table"
table = "raw.metric_points"
path = "metrics/*.ndjson"
columns = { time = "ts", value = "v", metric_name = "'requests'" }
labels = { service = "svc" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A configuration with two sources."""
    (tmp_path / "lakebed.toml").write_text(CONFIG)
    yield tmp_path
    close_lakes()


def put(file: Path, rows: list[dict[str, object] | None]) -> None:
    """Lines of JSON; None is a line that is none."""
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(f"{json.dumps(one) if one else '{'}\n" for one in rows))
    os.utime(file, (time.time() - 3600,) * 2)


def lines(day: date, numbers: range) -> list[dict[str, object] | None]:
    return [{"ts": f"{day} 10:{n:02}:00", "msg": "hello", "level": "INFO", "svc": "shop"} for n in numbers]


def another_run(folder: Path) -> Outcome:
    """A run with nothing left over from the one before."""
    close_lakes()
    outcome = run(folder / "lakebed.toml", Request())
    assert (outcome.errors, outcome.unreadable) == ([], {})
    return outcome


def published(folder: Path) -> list[tuple[date, int]]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute("SELECT day, log_count FROM mart.service_health_daily WHERE log_count > 0 ORDER BY day").fetchall()


def test_a_blocked_day_stays_as_it_was_published_until_it_is_waved_through(folder: Path) -> None:
    """And holds up no other day, not even those around it."""
    put(folder / "logs" / "a.ndjson", [*lines(D1, range(20)), *lines(D2, range(20))])
    put(folder / "metrics" / "a.ndjson", [{"ts": f"{d} 10:00:00", "v": 1.0, "svc": "shop"} for d in (D1, D2)])
    assert another_run(folder).blocked == []
    assert published(folder) == [(D1, 20), (D2, 20)]

    put(folder / "logs" / "b.ndjson", [*lines(D2, range(20, 28)), None])
    put(folder / "logs" / "c.ndjson", [*lines(D1, range(20, 22)), *lines(D3, range(5))])
    assert another_run(folder).blocked == [("raw.logs", D2)]
    assert published(folder) == [(D1, 22), (D2, 20), (D3, 5)]

    close_lakes()
    with open_lake(folder) as lake:
        assert {d: s.state for d, s in lake.states("raw.logs").items()} == {D1: "passed", D2: "blocked", D3: "passed"}
        lake.set_states("raw.logs", {D2: ("waved", "looked at")})
    assert another_run(folder).blocked == []
    assert published(folder) == [(D1, 22), (D2, 28), (D3, 5)]
