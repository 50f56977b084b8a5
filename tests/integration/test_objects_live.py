"""Tables and logs in an object store: listed by pattern, read once, read again when they are written again."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import duckdb
import pytest
from pyarrow import fs

from sources import units
from sources.objects import store
from tests.lakes import RememberedUnits
from warehouse.errors import SourceError
from warehouse.lake.connection import scratch
from warehouse.lake.unit import Slice, Unit
from warehouse.settings import Settings
from warehouse.settings.sources import LogTextSettings, SourceSettings, TableSettings

pytestmark = pytest.mark.server
DAY = Slice(date(2024, 1, 1), date(2024, 1, 2))
TABLE = TableSettings.model_validate(
    {
        "kind": "table",
        "table": "raw.metric_points",
        "path": "metrics/**/*.csv*",
        "columns": {"time": "t", "value": "v", "metric_name": "'m'"},
    }
)


class Memory(RememberedUnits):
    """Reads units, and remembers them."""

    def run(self, settings: SourceSettings, config: Settings) -> dict[str, int]:
        found = {}
        for unit in units("s", settings, config=config, known=self, window=DAY):
            parts = list(read(unit))
            self.seen[unit.origin] = unit
            found[unit.origin] = sum(parts)
        return found


def read(unit: Unit) -> list[int]:
    counts = []
    for part in unit.open(scratch()):
        rows = part.rows
        table = rows.to_arrow_table() if isinstance(rows, duckdb.DuckDBPyRelation) else rows.read_all()
        counts.append(table.num_rows if part.table in ("raw.metric_points", "raw.logs") else 0)
    return counts


@pytest.fixture
def config(s3_endpoint: str, tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {"root": tmp_path, "data_root": "s3://lakebed/data", "lake": {"s3_endpoint": s3_endpoint, "s3_use_ssl": False}}
    )


def put(config: Settings, name: str, content: bytes) -> None:
    files: fs.FileSystem = store(config.lake)
    with files.open_output_stream(f"lakebed/data/{name}", compression=None) as stream:
        stream.write(content)


def test_objects_are_read_once_and_again_when_they_change(config: Settings) -> None:
    put(config, "metrics/a/one.csv", b"t,v\n2024-01-01,1\n2024-01-02,2\n")
    put(config, "metrics/b/two.csv.gz", gzip.compress(b"t,v\n2024-01-01,1\n"))
    put(config, "metrics/b/other.txt", b"not asked for")
    lake = Memory()
    assert lake.run(TABLE, config) == {"metrics/a/one.csv": 2, "metrics/b/two.csv.gz": 1}
    assert lake.run(TABLE, config) == {}
    former = lake.seen["metrics/a/one.csv"].batch_id
    put(config, "metrics/a/one.csv", b"t,v\n2024-01-01,1\n2024-01-02,2\n2024-01-03,3\n")
    assert lake.run(TABLE, config) == {"metrics/a/one.csv": 3}
    assert lake.seen["metrics/a/one.csv"].supersedes == (former,)


def test_logs_too(config: Settings) -> None:
    put(config, "logs/app.log", b"2024-01-01 00:00:00,000 INFO a\n\tmore\n2024-01-01 00:00:01,000 WARN b\n")
    settings = LogTextSettings.model_validate({"kind": "log_text", "path": "logs/*.log", "pattern": "log4j"})
    assert Memory().run(settings, config) == {"logs/app.log": 2}


def test_what_is_not_there_is_an_error_without_secrets(config: Settings) -> None:
    missing = TABLE.model_copy(update={"path": "metrics/none.csv"})
    with pytest.raises(SourceError, match=r"metrics/none\.csv: there is no such object") as caught:
        Memory().run(missing, config)
    assert "testing-secret" not in str(caught.value)
