"""The archive in an object store: sealed, verified, restored, erased; manifests are put only where none is; damage is found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from tests.lakes import DAY, at, open_lake, points_unit, stored
from warehouse.archive.backup import backup_catalog
from warehouse.archive.bucket import Bucket
from warehouse.archive.drilling import drill
from warehouse.archive.erasing import erase_subject
from warehouse.archive.records import recorded_bundles
from warehouse.archive.restoring import restore, restore_into_lake
from warehouse.archive.scrubbing import scrub
from warehouse.archive.sealing import seal
from warehouse.archive.storage import storage_of
from warehouse.archive.verifying import verify
from warehouse.archive.views import refresh_views
from warehouse.errors import ArchiveError
from warehouse.lake.lake import Lake
from warehouse.lake.query import query
from warehouse.settings import LakeSettings

pytestmark = pytest.mark.server
TABLE = "raw.metric_points"
NEXT = date(2026, 3, 2)
POINTS = [(n, at(f"2026-03-0{d} 10:0{n}"), n / 7 + d) for d in (1, 2) for n in range(5)]


@pytest.fixture
def sealed(s3_endpoint: str, tmp_path: Path) -> Iterator[Lake]:
    """A local lake whose two days are sealed in a bucket."""
    settings = {"memory_limit": "1GiB", "threads": 2, "s3_endpoint": s3_endpoint, "s3_use_ssl": False}
    with open_lake(tmp_path, lake=settings, archive={"path": "s3://lakebed/the/archive"}) as lake:
        lake.land(points_unit("b1", POINTS))
        for day in (DAY, NEXT):
            seal(lake, TABLE, day)
        yield lake


def found(lake: Lake) -> set[tuple[str, date | None, int]]:
    """What verification says."""
    return {(p.kind, p.day, p.rows) for p in verify(lake).problems}


def test_bundles_verify_and_come_back(sealed: Lake, tmp_path: Path) -> None:
    result = verify(sealed)
    assert (result.bundles, result.files, result.rows, result.problems) == (2, 2, 10, [])
    assert {p.rpartition("/")[2] for p in storage_of(sealed).listing()} == {"head.json", "manifest.json", "rows-00000.parquet"}
    assert restore(sealed, TABLE, DAY, NEXT, tmp_path / "out").rows == 10
    assert all(d.equal for d in drill(sealed))


def test_a_dropped_day_comes_back_into_the_lake(sealed: Lake) -> None:
    before = stored(sealed)
    sealed.set_states(TABLE, {DAY: ("dropped", "test")})
    sealed.connection.execute("DELETE FROM store.raw_metric_points WHERE day = ?", [DAY])
    assert restore_into_lake(sealed, TABLE, DAY, DAY).rows == 5
    assert stored(sealed) == before


def test_damage_is_found_with_its_rows(sealed: Lake, tmp_path: Path) -> None:
    storage = storage_of(sealed)
    first, second = recorded_bundles(sealed)
    rows = f"{first.path}/rows-00000.parquet"
    content = storage.read(rows)
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 1
    for other, kind in ((bytes(damaged), "changed file"), (content[:-1], "truncated file")):
        storage.write(rows, other)
        assert found(sealed) == {(kind, DAY, 5)}
        with pytest.raises(ArchiveError, match="cannot be restored"):
            restore(sealed, TABLE, DAY, DAY, tmp_path / "out")
    storage.write(rows, content)
    storage.write(f"{first.path}/more", b"x")
    assert found(sealed) == {("added file", DAY, 0)}
    storage.remove([f"{first.path}/more", f"{second.path}/rows-00000.parquet"])
    assert found(sealed) == {("missing file", NEXT, 5)}


def test_erasure_rewrites_bundles(sealed: Lake) -> None:
    erase_subject(sealed, TABLE, "series_id", "3", reason="request")
    result = verify(sealed)
    assert (result.problems, result.erased, result.rows) == ([], 2, 8)


def test_a_manifest_is_put_only_where_none_is(s3_endpoint: str) -> None:
    bucket = Bucket("s3://lakebed/p", LakeSettings(s3_endpoint=s3_endpoint, s3_use_ssl=False))
    bucket.create("t/manifest.json", b"one")
    bucket.create("t/manifest.json", b"one")
    with pytest.raises(ArchiveError, match="other content"):
        bucket.create("t/manifest.json", b"two")
    assert bucket.read("t/manifest.json") == b"one"
    assert bucket.find("t/absent") is None
    bucket.remove(list(bucket.listing()))
    assert bucket.listing() == {}


def test_a_store_that_refuses_is_named_without_a_secret(s3_endpoint: str) -> None:
    bucket = Bucket("s3://no-such-bucket/p", LakeSettings(s3_endpoint=s3_endpoint, s3_use_ssl=False))
    with pytest.raises(ArchiveError, match=r"s3://no-such-bucket/p.* cannot be written") as caught:
        bucket.write("x", b"y")
    assert "testing-secret" not in str(caught.value)


def test_archived_rows_are_queried_in_place_through_the_read_only_door(sealed: Lake) -> None:
    refresh_views(sealed)
    rows = query(sealed.settings, "SELECT day, count(*) AS n FROM archive.metric_points GROUP BY day ORDER BY day").to_pydict()
    assert rows == {"day": [DAY, NEXT], "n": [5, 5]}


def test_the_catalog_is_backed_up_and_drilled(sealed: Lake) -> None:
    backup_catalog(sealed)
    assert verify(sealed).problems == []
    assert all(d.equal for d in drill(sealed))
    assert scrub(sealed).unhealed == 0
