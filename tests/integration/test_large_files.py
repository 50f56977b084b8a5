"""Large files are hashed while they are read: what is known of small ones holds for them too."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sources import files, units
from tests.lakes import files_on_disk, open_lake
from warehouse.errors import SourceError
from warehouse.lake import Slice
from warehouse.lake.identity import batch_id, file_digest
from warehouse.lake.lake import Lake
from warehouse.lake.staging import EVER

SOURCE = {
    "kind": "table",
    "table": "raw.metric_points",
    "path": "in/*.csv",
    "columns": {"time": "t", "value": "v", "metric_name": "m"},
}


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    monkeypatch.setattr(files, "LARGE", 0)
    (tmp_path / "in").mkdir()
    with open_lake(tmp_path, sources={"s": SOURCE}) as lake:
        yield lake


def write(lake: Lake, name: str, *values: int) -> Path:
    path = lake.settings.root / "in" / name
    path.write_text("t,m,v\n" + "".join(f"2026-03-01 00:00:{i:02},up,{v}\n" for i, v in enumerate(values)))
    os.utime(path, (time.time() - 3600,) * 2)
    return path


def run(lake: Lake, window: Slice = EVER) -> list[tuple[str, bool]]:
    found = units("s", lake.settings.sources["s"], config=lake.settings, known=lake.known("s"), window=window)
    return [(unit.origin, lake.land(unit).already) for unit in found]


def samples(lake: Lake) -> list[float]:
    return [v for (v,) in lake.connection.execute("SELECT value FROM raw.metric_points ORDER BY time").fetchall()]


def test_content_lands_once_under_the_id_that_small_files_have(lake: Lake) -> None:
    path = write(lake, "a.csv", 1, 2)
    write(lake, "b.csv", 1, 2)
    assert run(lake) == [("in/a.csv", False), ("in/b.csv", True)]
    write(lake, "c.csv", 1, 2)
    assert run(lake) == []
    assert samples(lake) == [1, 2]
    ids = lake.connection.execute("SELECT DISTINCT batch_id, origin_digest FROM meta.ingest_log").fetchall()
    assert ids == [(batch_id("file", "s", file_digest(path)), file_digest(path))]
    assert lake.connection.execute("SELECT DISTINCT batch_id FROM raw.metric_points").fetchall() == [ids[0][:1]]


def test_new_content_of_the_same_size_replaces_the_former(lake: Lake) -> None:
    write(lake, "a.csv", 1, 2)
    run(lake)
    write(lake, "a.csv", 3, 4)
    assert run(lake) == [("in/a.csv", False)]
    assert samples(lake) == [3, 4]


def test_a_file_that_changes_while_it_is_read_leaves_nothing(lake: Lake) -> None:
    path = write(lake, "a.csv", 1, 2)
    [unit] = units("s", lake.settings.sources["s"], config=lake.settings, known=lake.known("s"), window=EVER)
    path.write_text("t,m,v\n")
    with pytest.raises(SourceError, match=r"in/a\.csv: changed while it was read"):
        lake.land(unit)
    assert samples(lake) == []
    assert not files_on_disk(lake, "store/**/*.parquet")
