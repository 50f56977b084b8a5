"""kill -9 while days are settled, rolled up, published, archived, dropped and restored: afterwards every row is there, and once."""

from __future__ import annotations

import os
import random
import time
from datetime import date
from pathlib import Path

import duckdb
import pytest

from tests.faults.conftest import DAYS
from tests.faults.test_kills import Victim, expected, orphans, present
from warehouse.archive.verifying import verify
from warehouse.lake.lake import Lake
from warehouse.tiers.publish import publish

pytestmark = [pytest.mark.faults, pytest.mark.server]

KILLS = int(os.environ.get("LAKEBED_TIER_KILLS", "40"))
ROWS = int(os.environ.get("LAKEBED_TIER_ROWS", "150000"))
STEPS = ("settling", "settled", "replacing", "replaced", "sealing", "sealed", "pending", "recorded", "committed", "staged")
CYCLE = ("land", "roll up", "settle", "publish", "retain", "restore")


@pytest.fixture(scope="session")
def days(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[date, int], Path]:
    """For each day two contents as CSV, half of the series incompressible."""
    folder = tmp_path_factory.mktemp("tier_days")
    files = {}
    with duckdb.connect() as connection:
        for day in DAYS:
            for content in (0, 1):
                files[day, content] = folder / f"{day}.{content}.csv"
                connection.execute(
                    f"""COPY (SELECT i % 300 AS series_id, TIMESTAMP '{day}' + to_microseconds((i // 300) * 33000000) AS time,
                              CASE WHEN i % 2 = 0 THEN hash(i * 7 + {content}) / 1.8446744073709552e19
                                   ELSE (i // 300) * 0.25 + {content} END AS value
                              FROM range({ROWS}) AS t(i)) TO '{files[day, content]}' (HEADER)"""
                )
    return files


def operations(files: dict[tuple[date, int], Path], cycles: int) -> list[tuple[str, str, str]]:
    """Cycle after cycle over the days, with the two contents in turn."""
    turns = [(DAYS[i % len(DAYS)], i // len(DAYS) % 2) for i in range(cycles)]
    return [(what, str(day), str(files[day, content])) for day, content in turns for what in CYCLE]


def test_kills_in_the_tiers_lose_tear_and_double_nothing(tmp_path: Path, catalog: str, days: dict[tuple[date, int], Path]) -> None:
    victim = Victim(tmp_path, catalog, days)
    victim.worker = Path(__file__).with_name("tier_worker.py")
    victim.config.write_text(
        victim.config.read_text()
        + '[retention]\nhold_incidents = false\n[[retention.rules]]\ntables = "raw.metric_points"\nkeep_days = 30\n'
        + '[[retention.rules]]\ntables = "*"\n'
    )
    victim.operations = operations(days, 4 * KILLS)
    dice = random.Random(20261123)
    for kill in range(KILLS):
        at_step = kill % 2 == 0
        spec = {"die_at": STEPS[kill // 2 % len(STEPS)], "occurrence": dice.choice((1, 2))} if at_step else {}
        process = victim.start(len(victim.operations), **spec)
        if not at_step:
            time.sleep(dice.uniform(0.0, 2.5))
            process.kill()
        process.wait(timeout=300)
        assert process.returncode == -9, (tmp_path / "stderr").read_text()[-3000:]
    cycles = victim.acknowledged() // len(CYCLE) + 1 + len(DAYS)
    victim.finish(cycles * len(CYCLE))
    contents = {DAYS[i % len(DAYS)]: i // len(DAYS) % 2 for i in range(cycles)}
    with victim.lake() as lake:
        assert present(lake) == expected(days, contents)
        assert archived(lake) == expected(days, contents)
        assert verify(lake).problems == []
        assert orphans(lake) == set()
        assert published(lake) == expected(days, contents)


def archived(lake: Lake) -> list[tuple[object, ...]]:
    """Day, rows, sum of row hashes of what the active bundles hold."""
    return lake.connection.execute(
        "SELECT day, count(*), sum(hash(series_id, time, value)::HUGEINT) FROM archive.metric_points GROUP BY day ORDER BY day"
    ).fetchall()


def published(lake: Lake) -> list[tuple[object, ...]]:
    """The same of the published file, which is brought up to date first."""
    path = publish(lake).path
    assert list(path.parent.glob(".*building*")) == []
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(
            "SELECT day, count(*), sum(hash(series_id, time, value)::HUGEINT) FROM raw.metric_points GROUP BY day ORDER BY day"
        ).fetchall()
