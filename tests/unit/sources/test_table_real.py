"""The example configuration of the real data sets: what it reads is what their SOURCE.md counts."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from sources import units
from warehouse.lake.connection import scratch
from warehouse.lake.unit import Former, Slice
from warehouse.settings import Settings, load

pytestmark = pytest.mark.realdata
EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "real" / "lakebed.toml"
DAY = Slice(datetime(2024, 1, 1).date(), datetime(2024, 1, 2).date())


class Nothing:
    """A lake that knows nothing."""

    def has(self, batch_id: str) -> bool:
        return False

    def has_size(self, size: int) -> bool:
        return True

    def former_origins(self) -> tuple[str, ...]:
        return ()

    def former(self, origin: str) -> Former | None:
        return None

    def watermark(self, table: str) -> datetime | None:
        return None


@pytest.fixture
def config(realdata: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LAKEBED_REALDATA", str(realdata))
    return load(EXAMPLE)


def counts(config: Settings, name: str, only: str = "") -> Counter[str]:
    found: Counter[str] = Counter()
    for unit in units(name, config.sources[name], config=config, known=Nothing(), window=DAY):
        if only not in unit.origin:
            continue
        for part in unit.open(scratch()):
            rows = part.rows
            table = rows.to_arrow_table() if isinstance(rows, duckdb.DuckDBPyRelation) else rows.read_all()
            found[part.table + (" rejected" if part.rejects else "")] += table.num_rows
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nab", {"raw.metric_points": 186_167, "raw.metric_series": 27}),
        ("opendc", {"raw.metric_points": 276_979, "raw.metric_series": 50}),
        ("ms_cloud_monitoring", {"raw.metric_points": 109_593, "raw.metric_points rejected": 11, "raw.metric_series": 30}),
        ("git_delivery", {"raw.changes": 284 + 2773 + 16 + 77 + 284 + 2702}),
    ],
)
def test_rows_read_are_those_that_the_set_has(config: Settings, name: str, expected: dict[str, int]) -> None:
    assert counts(config, name) == expected


def test_petshop_has_its_incidents_and_samples(config: Settings) -> None:
    found = counts(config, "petshop", only="low_traffic")
    assert found["raw.incidents"] == 8
    assert found["raw.metric_points"] > 50_000
    assert not [table for table in found if table.endswith("rejected")]


def test_nezha_names_its_broken_lines_and_keeps_every_fault(config: Settings) -> None:
    found = counts(config, "nezha", only="10_06_log")
    assert (found["raw.logs"], found["raw.logs rejected"]) == (2_127, 2)
    assert counts(config, "nezha", only="fault_list") == {"raw.incidents": 52}
    assert counts(config, "nezha", only="03_53_trace")["raw.spans"] > 10_000
