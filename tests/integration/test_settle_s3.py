"""Settling a lake whose files lie in an object store: dense as in a folder, equal bit for bit, and nothing left behind on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lakes import DAY, at, day_slice, open_lake, points_unit, stored
from transforms.model import load_models, macros
from warehouse.errors import LakeError
from warehouse.lake.digest import BATCH_ROWS, quick_digest
from warehouse.lake.lake import Lake
from warehouse.lake.partitions import partition
from warehouse.lake.rewriting import rewrite
from warehouse.tiers.settle import DENSE, settle

pytestmark = pytest.mark.server
TABLE, POINTS = "raw.metric_points", "store.raw_metric_points"
HOUR = [at(f"2026-03-01 10:{minute:02}:{second:02}") for minute in range(60) for second in (0, 20, 40)]


def lake_in_bucket(endpoint: str, folder: Path) -> Lake:
    """A lake in the bucket, with files on their way in a folder of its own."""
    settings = {"memory_limit": "1GiB", "threads": 2, "s3_endpoint": endpoint, "s3_use_ssl": False, "path": "s3://lakebed/the/lake"}
    return open_lake(folder, lake=settings | {"temp_directory": str(folder / "temporary")})


def land(lake: Lake) -> None:
    """Two files of one day: counters and decimals, and a few values that no integer holds."""
    for number in (1, 0):
        values = [(time, float(i)) for i, time in enumerate(HOUR)]
        points = [(s, time, (i * 30, i / 4)[s % 2] if i else -0.0) for s in range(number * 8, number * 8 + 8) for time, i in values]
        lake.land(points_unit(f"b{number}", points))
    lake.set_states(TABLE, {DAY: ("passed", None)})


def contents(lake: Lake) -> str:
    """Hash of all samples as the view gives them."""
    with lake.connection.cursor() as cursor:
        return quick_digest(cursor, lake.connection.execute(f"FROM {TABLE}").to_arrow_reader(BATCH_ROWS)).hex


def test_a_day_in_a_bucket_settles_densely(s3_endpoint: str, tmp_path: Path) -> None:
    with lake_in_bucket(s3_endpoint, tmp_path) as lake:
        land(lake)
        before = contents(lake)
        assert settle(lake, tables=[TABLE]).days == 1
        assert contents(lake) == before
        dense = lake.query(f"SELECT count(value_integer) + count(value_shifted) AS integers, count(value) AS others FROM {POINTS}")
        assert dense.to_pylist() == [{"integers": 16 * (len(HOUR) - 1), "others": 16}]
        assert partition(lake.connection, POINTS, DAY).settled
        assert settle(lake, tables=[TABLE]).days == 0
    assert list((tmp_path / "temporary").glob("*")) == []


def test_a_rollup_in_a_bucket_settles_densely_from_one_file(s3_endpoint: str, tmp_path: Path) -> None:
    table = "core.metric_rollup_5m"
    with lake_in_bucket(s3_endpoint, tmp_path) as lake:
        land(lake)
        lake.connection.execute(macros())
        lake.replace_slice(
            table, day_slice(), load_models()[table].sql, parameters={"window_start": day_slice().start, "window_end": day_slice().end}
        )
        lake.set_states(table, {DAY: ("passed", None)})
        before = lake.query(f"FROM {table} ORDER BY ALL")
        assert before.num_rows == 16 * 12
        assert (settle(lake, tables=[table]).days, settle(lake, tables=[table]).days) == (1, 0)
        assert lake.query(f"FROM {table} ORDER BY ALL") == before


def test_a_bucket_that_takes_no_files_leaves_the_day_as_it_was(s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with lake_in_bucket(s3_endpoint, tmp_path) as lake:
        land(lake)
        before = stored(lake)
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it remembers credentials
        with pytest.raises(LakeError, match="cannot be written"):
            rewrite(lake, TABLE, [DAY], DENSE[TABLE])
        assert len(stored(lake)) == len(before)
    assert list((tmp_path / "temporary").glob("*")) == []
