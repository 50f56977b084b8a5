"""The nightly and weekly jobs in process: what they did stands in their headlines, and damage fails their checks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import AssetCheckResult, materialize

from orchestration.resources import Platform, close_lakes
from orchestration.retention_assets import retention_assets
from tests.lakes import points_unit
from warehouse.archive import verifying
from warehouse.lake.lake import Lake
from warehouse.lake.maintenance import tidy
from warehouse.settings import load

TABLE = "raw.metric_points"


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """A platform whose lake has a day that is past its rule and one that is not."""
    file = tmp_path / "lakebed.toml"
    file.write_text('[lake]\nmemory_limit = "1GiB"\nthreads = 2\n')
    now = datetime.now(UTC).replace(tzinfo=None, hour=12, minute=0, second=0, microsecond=0)
    with Lake.open(load(file)) as lake:
        lake.land(points_unit("b1", [(n, now - timedelta(days=d), 1.0) for d in (40, 5) for n in range(3)]))
        for table in (TABLE, "raw.metric_series"):
            lake.set_states(table, dict.fromkeys(lake.states(table), ("passed", None)))
    yield Platform(config_file=str(file))
    close_lakes()


def run(platform: Platform, *only: str) -> tuple[dict[str, str], dict[str, AssetCheckResult]]:
    """Headlines of the assets, and results of the checks by name."""
    chosen = [a for a in retention_assets() if not only or a.key.path[-1] in only]
    result = materialize(chosen, resources={"platform": platform})
    assert result.success
    told = [e.step_materialization_data.materialization for e in result.get_asset_materialization_events()]
    headlines = {m.asset_key.path[-1]: str(m.metadata["summary"].value) for m in told}
    return headlines, {c.check_name: c for c in result.get_asset_check_evaluations()}  # type: ignore[misc]


def test_a_night_and_a_week(platform: Platform) -> None:
    headlines, checks = run(platform)
    assert headlines["retained"].startswith("kept 2, archived 1, dropped 1 partitions")
    assert headlines["settled"].startswith("1 days: 1 files became 1")
    assert headlines["verified"] == "1 bundles, 3 rows as sealed; 0 problems"
    assert headlines["catalog"].startswith("snapshot ")
    assert headlines["restore_drill"].startswith("1 bundles, 3 rows restored")
    assert headlines["fingerprinted"].startswith(("2 new files", "0 new files"))
    assert headlines["scrubbed"].startswith("2 files of the lake, 1 of the archive; 0 healed, 0 damaged")
    sound = {"drills_current": True, "as_sealed": True, "restored_equal": True, "as_written": True}
    assert {name: c.passed for name, c in checks.items()} == sound
    bundle = next((platform.settings.root / "archive").glob("*/*/*/*.parquet"))
    bundle.write_bytes(bundle.read_bytes()[:-1])
    _, checks = run(platform)
    damaged = {"drills_current": True, "as_sealed": False, "restored_equal": False, "as_written": False}
    assert {name: c.passed for name, c in checks.items()} == damaged
    _, checks = run(platform)
    assert not checks["drills_current"].passed


def test_what_could_not_be_cleared_beside_writers_is_told(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    root = platform.settings.root
    orphan = root / "lake/store/raw_metric_points/day=2026-03-01/orphan.parquet"
    abandoned = root / f"archive/{TABLE}/day=2026-03-01/dead/data.parquet"
    for file in (orphan, abandoned):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"PAR1")
        os.utime(file, (time.time() - 3 * 86400,) * 2)
    with monkeypatch.context() as impatient, platform.lake.catalog.present():
        impatient.setitem(tidy.__kwdefaults__, "patience_s", 0.0)
        impatient.setattr(verifying, "PATIENCE_S", 0.0)
        headlines, _ = run(platform, "tidied", "verified")
    assert headlines["tidied"].endswith("; 1 orphans left: writers are at work")
    assert headlines["verified"].endswith("; 1 abandoned bundles left: writers are at work")
    assert orphan.exists()
    assert abandoned.exists()
    headlines, _ = run(platform, "tidied", "verified")
    assert "left: " not in headlines["tidied"] + headlines["verified"]
    assert not orphan.exists()
    assert not abandoned.exists()
