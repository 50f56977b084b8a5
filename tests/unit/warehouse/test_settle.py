"""Settling: one sorted file per day, the same rows bit for bit, never twice, and never over a writer's head."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from threading import Barrier

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.lakes import DAY, POINT, at, day_slice, files_on_disk, open_lake, points_unit, reader, stored
from transforms.model import load_models, macros
from warehouse.contracts import CONTRACTS
from warehouse.errors import LakeError
from warehouse.lake import Part, Unit, optional, sorted_files
from warehouse.lake.connection import another
from warehouse.lake.digest import Digest, quick_digest, rows_digest
from warehouse.lake.lake import Lake
from warehouse.lake.partitions import partition, partitions
from warehouse.lake.removal import erase
from warehouse.lake.rewriting import DenseForm, rewrite
from warehouse.lake.state import NO_DAY
from warehouse.tiers.encoding import writing
from warehouse.tiers.settle import DENSE, Unsettled, batches, settle, unsettled

TODAY = date(2026, 3, 20)
POINTS = "store.raw_metric_points"
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def land_scattered(lake: Lake) -> None:
    """Three files of one day, out of order, and a day beside it."""
    for i in (2, 0, 1):
        lake.land(points_unit(f"b{i}", [(n, at(f"2026-03-01 1{i}:0{n}"), float(i)) for n in (2, 1)]))
    lake.land(points_unit("next", [(1, at("2026-03-02 10:00"), 1.0)]))
    pass_all(lake)


def pass_all(lake: Lake) -> None:
    """Every day's checks pass."""
    for table in ("raw.metric_points", "raw.metric_series"):
        lake.set_states(table, dict.fromkeys(lake.states(table), ("passed", None)))


def test_a_settled_day_is_one_sorted_file_with_the_same_rows(lake: Lake) -> None:
    land_scattered(lake)
    before, version = stored(lake), lake.states("raw.metric_points")[DAY].version
    result = settle(lake, today=TODAY)
    assert (result.days, result.rows, result.files_before) == (2, 7, 4)
    assert stored(lake) == before
    assert lake.states("raw.metric_points")[DAY].version == version
    assert lake.states("raw.metric_points")[DAY].state == "passed"
    (path,) = files_on_disk(lake, "store/raw_metric_points/day=2026-03-01/settled_*.parquet")
    times = pq.ParquetFile(path).read(columns=["series_id", "time"]).to_pylist()
    assert times == sorted(times, key=lambda r: (r["series_id"], r["time"]))
    assert len(partition(lake.connection, POINTS, DAY).files) == 1


def test_settling_again_does_nothing(lake: Lake) -> None:
    land_scattered(lake)
    settle(lake, today=TODAY)
    files = files_on_disk(lake)
    assert settle(lake, today=TODAY).days == 0
    assert rewrite(lake, "raw.metric_points", [DAY]).days == 0
    assert files_on_disk(lake) == files


def test_only_passed_days_past_the_hot_window_are_settled(lake: Lake) -> None:
    land_scattered(lake)
    assert unsettled(lake, today=date(2026, 3, 4), tables=["raw.metric_points"])[0][:2] == ("raw.metric_points", DAY)
    lake.set_states("raw.metric_points", {DAY: ("blocked", "test")})
    assert unsettled(lake, today=date(2026, 3, 4), tables=["raw.metric_points"]) == []


def test_a_limit_says_what_is_left(lake: Lake) -> None:
    land_scattered(lake)
    result = settle(lake, today=TODAY, limit=1)
    assert (result.days, result.left) == (1, 1)
    assert [u[:2] for u in unsettled(lake, today=TODAY)] == [("raw.metric_points", DAY)]


def test_late_rows_make_a_day_unsettled_again(lake: Lake) -> None:
    land_scattered(lake)
    settle(lake, today=TODAY)
    lake.land(points_unit("late", [(1, at("2026-03-01 09:00"), 9.0)]))
    pass_all(lake)
    assert settle(lake, today=TODAY).days == 1
    assert len(stored(lake)) == 8


def test_stale_markers_and_negative_zero_keep_their_bits(lake: Lake) -> None:
    """Dictionaries of the usual Parquet settings make all NaN one and 0.0 of -0.0; the file is then written without them."""
    values = [float("nan"), STALE, -0.0, 0.0] * 8
    path = f"{lake.folder(POINTS)}/day={DAY}/part_plain.parquet"
    lake.land(points_unit("b1", [(9, at("2026-03-01 00:00"), 1.0)]))
    table = reader(POINT, [(n, at("2026-03-01 10:00"), v) for n, v in enumerate(values)]).read_all()
    for name in ("source", "batch_id"):
        table = table.append_column(name, [["s"] * len(table)])
    pq.write_table(table, path, use_dictionary=False)
    lake.register(POINTS, [path], hive=True)
    assert rewrite(lake, "raw.metric_points", [DAY]).days == 1
    rows = lake.query("SELECT value FROM raw.metric_points WHERE series_id < 32 AND time > '2026-03-01 01:00' ORDER BY series_id")
    assert [struct.pack("<d", v) for v in rows["value"].to_pylist()] == [struct.pack("<d", v) for v in values]


def test_a_writer_that_comes_between_wins(lake: Lake) -> None:
    land_scattered(lake)
    files = files_on_disk(lake)

    def late(name: str) -> None:
        if name == "settled":
            with open_lake(lake.settings.root) as other:
                other.land(points_unit("late", [(5, at("2026-03-01 05:00"), 5.0)]))

    lake.step = late
    assert rewrite(lake, "raw.metric_points", [DAY]).days == 0
    assert len(stored(lake)) == 8
    assert not any("settled_" in f.name for f in files_on_disk(lake) - files)


def test_a_file_that_differs_is_never_registered(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    land_scattered(lake)
    before, files = stored(lake), files_on_disk(lake)
    monkeypatch.setattr(sorted_files, "quick_digests", _never_equal())
    with pytest.raises(LakeError, match="do not hold the lake's rows"):
        rewrite(lake, "raw.metric_points", [DAY])
    assert stored(lake) == before
    assert files_on_disk(lake) == files


def _never_equal() -> Callable[..., dict[date, Digest]]:
    calls: list[int] = []

    def digests(*_arguments: object) -> dict[date, Digest]:
        calls.append(1)
        return {DAY: Digest(6, len(calls), 0)}

    return digests


def test_an_interrupt_after_the_commit_keeps_the_new_files(lake: Lake) -> None:
    land_scattered(lake)
    before = stored(lake)

    def interrupt(name: str) -> None:
        if name == "replaced":
            raise KeyboardInterrupt

    lake.step = interrupt
    with pytest.raises(KeyboardInterrupt):
        settle(lake, today=TODAY)
    assert stored(lake) == before


def test_batches_hold_one_table_and_a_bounded_number_of_days_and_bytes() -> None:
    days = [Unsettled("a", date.fromordinal(738000 + i), 1) for i in range(40)]
    big = [Unsettled("b", date.fromordinal(738000 + i), 200 * 2**20) for i in range(3)]
    found = batches([*days, *big])
    assert [(table, len(group)) for table, group in found] == [("a", 32), ("a", 8), ("b", 1), ("b", 1), ("b", 1)]
    assert len({(table, day) for table, group in found for day in group}) == 43


def test_a_settled_day_can_be_replaced(lake: Lake) -> None:
    land_scattered(lake)
    settle(lake, today=TODAY)
    lake.land(points_unit("again", [(n, at(f"2026-03-01 12:0{n}"), 4.0) for n in range(4)], slice=day_slice()))
    assert len(stored(lake)) == 5


def test_digests_add_up_and_see_bits(lake: Lake) -> None:
    rows = [(n, at("2026-03-01 10:00"), float(n)) for n in range(10)]
    for digest in (quick_digest, rows_digest):
        whole = digest(lake.connection, reader(POINT, rows))
        assert whole == digest(lake.connection, reader(POINT, rows[6:])) + digest(lake.connection, reader(POINT, rows[:6]))
        assert whole != digest(lake.connection, reader(POINT, [*rows[:9], rows[8]]))
        signed = digest(lake.connection, reader(POINT, [(1, at("2026-03-01"), -0.0)]))
        assert signed != digest(lake.connection, reader(POINT, [(1, at("2026-03-01"), 0.0)]))
        assert Digest.of(whole.rows, whole.hex) == whole


def test_landed_and_settled_days_read_alike_side_by_side(lake: Lake) -> None:
    """The catalog must not take a column for one without NULL because every landed file fills it."""
    land_scattered(lake)
    lake.land(spans_unit(["2026-03-01 10:00", "2026-03-02 10:00"]))
    lake.set_states("raw.spans", dict.fromkeys(lake.states("raw.spans"), ("passed", None)))
    before = stored(lake), lake.query("FROM raw.spans ORDER BY ALL")
    for today in (date(2026, 3, 4), TODAY):
        assert settle(lake, today=today).days
        assert (stored(lake), lake.query("FROM raw.spans ORDER BY ALL")) == before
        late = points_unit(f"late{today}", [(5, at("2026-03-01 08:00"), 1.0)])
        lake.land(late)
        assert lake.query("SELECT count(*) AS n FROM raw.metric_points WHERE value IS NULL")["n"].to_pylist() == [0]
        before = stored(lake), before[1]
        pass_all(lake)


def spans_unit(times: list[str]) -> Unit:
    """A span at each time, and its child."""

    def parts(connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        rows = connection.sql(
            """SELECT md5(t) AS trace_id, left(md5(t || n), 16) AS span_id,
                      CASE WHEN n = 1 THEN left(md5(t || '0'), 16) END AS parent_span_id, 'cart' AS service, 'add' AS name,
                      'SERVER' AS kind, t::TIMESTAMP AS time, epoch_ns(t::TIMESTAMP) + 7 AS time_unix_nano,
                      31 AS duration_ns, 'OK' AS status_code FROM unnest($times) AS u(t), range(2) AS r(n)""",
            params={"times": times},
        )
        yield Part("raw.spans", rows)

    return Unit("s", "spans", "spans", parts)


def test_rollups_past_the_hot_window_are_settled_smaller_and_read_alike(lake: Lake) -> None:
    table, sample = "core.metric_rollup_5m", "30 + 20 * sin(i * i + s)"
    points = lake.query(f"SELECT s, TIMESTAMP '2026-03-01' + i * INTERVAL 30 SECOND, {sample} FROM range(4) AS a(s), range(2800) AS b(i)")
    lake.land(points_unit("b1", list(zip(*points.to_pydict().values(), strict=True))))
    lake.connection.execute(macros())
    window = {"window_start": day_slice().start, "window_end": day_slice().end}
    lake.replace_slice(table, day_slice(), load_models()[table].sql, parameters=window)
    lake.set_states(table, {DAY: ("passed", None)})
    before = lake.query(f"FROM {table} ORDER BY ALL")
    assert unsettled(lake, today=date(2026, 3, 2), tables=[table]) == []
    result = settle(lake, today=TODAY, tables=[table])
    assert (result.days, result.rows, result.files_before) == (1, before.num_rows, 1)
    assert result.bytes_after < 0.95 * result.bytes_before
    assert lake.query(f"FROM {table} ORDER BY ALL") == before
    assert lake.query(f"SELECT count(*) AS n FROM {table} WHERE increase IS NULL")["n"].to_pylist() == [before.num_rows]
    (path,) = files_on_disk(lake, "core/metric_rollup_5m/**/settled_*.parquet")
    assert pq.read_table(path, page_checksum_verification=True, partitioning=None).num_columns == len(before.column_names) - 1
    assert settle(lake, today=TODAY, tables=[table]).days == 0
    assert erase(lake, table, DAY, "series_id = ?", (3,), reason="asked") == before.num_rows // 4
    lake.set_states(table, {DAY: ("passed", None)})
    assert settle(lake, today=TODAY, tables=[table]).days == 1, "what erasing wrote anew becomes dense again"


def test_tables_with_a_dense_form_say_so() -> None:
    assert set(DENSE) == {c.full_name for c in CONTRACTS.values() if c.encoding is not None}


@pytest.mark.parametrize(
    "passing", [duckdb.OutOfMemoryException("no memory"), duckdb.IOException("503"), duckdb.InterruptException("stop")]
)
def test_what_passes_does_not_make_a_day_plain(lake: Lake, passing: duckdb.Error) -> None:
    land_scattered(lake)
    before, files = stored(lake), files_on_disk(lake)

    def write(_rows: pa.RecordBatchReader, new_path: Callable[[], Path]) -> list[Path]:
        new_path().write_bytes(b"half")
        raise passing

    with pytest.raises(type(passing)):
        rewrite(lake, "raw.metric_points", [DAY], DenseForm("series_id, time", {}, write))
    assert (stored(lake), files_on_disk(lake)) == (before, files)


def test_rows_that_are_large_are_not_held_until_a_row_group_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "HELD_BYTES", 100_000)
    file = writing.DenseFile(lambda: tmp_path / "large.parquet")
    for number in range(40):
        file.write(pa.table({"n": [number] * 10, "text": [f"{number}" * 1000] * 10}), {})
    (path,) = file.close()
    groups = pq.ParquetFile(path).metadata
    assert groups.num_row_groups > 3
    assert pq.read_table(path)["n"].to_pylist() == [n for n in range(40) for _ in range(10)]


def test_a_row_of_nulls_left_by_a_kill_is_taken_away(tmp_path: Path) -> None:
    with open_lake(tmp_path) as lake:
        required = {"source": optional.MARK, "series_id": 0, "time": at("1970-01-01"), "batch_id": "", "day": NO_DAY}
        names, marks = ", ".join(required), ", ".join("?" * len(required))
        lake.connection.execute(f"INSERT INTO {POINTS} ({names}) VALUES ({marks})", list(required.values()))
        assert len(stored(lake)) == 1
    with open_lake(tmp_path) as lake:
        assert stored(lake) == []


@pytest.mark.parametrize("fault", ["writing", "reading"])
def test_a_day_that_its_dense_form_cannot_hold_is_written_plainly(lake: Lake, fault: str) -> None:
    land_scattered(lake)
    before = stored(lake)

    def write(rows: pa.RecordBatchReader, new_path: Callable[[], Path]) -> list[Path]:
        table = rows.read_all()
        path = new_path()
        if fault == "writing" and table["time"][0].as_py().day == 1:
            path.write_bytes(b"half")
            raise pa.ArrowInvalid("out of range")
        pq.write_table(table, path)
        if fault == "reading" and table["time"][0].as_py().day == 1:
            path.write_bytes(b"PAR1 is not enough")
        return [path]

    assert rewrite(lake, "raw.metric_points", [DAY, date(2026, 3, 2)], DenseForm("series_id", {}, write)).days == 2
    assert stored(lake) == before
    assert {len(p.files) for p in partitions(lake.connection, [POINTS])} == {1}
    assert len(files_on_disk(lake, "store/raw_metric_points/**/settled_*.parquet")) == 2


def test_a_log_row_at_the_edge_of_time_does_not_stop_settling(lake: Lake) -> None:
    def parts(connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        yield Part(
            "raw.logs",
            connection.sql(
                """SELECT uuid() AS log_id, TIMESTAMP '2026-03-01 10:00' AS time, 1772359200000000000 + i AS time_unix_nano,
                          [-9223372036854775808, 9223372036854775807, NULL, 5][i] AS observed_time_unix_nano, 'cart' AS service,
                          'INFO' AS severity, 'line ' || i AS body FROM range(1, 5) AS r(i)"""
            ),
        )

    lake.land(Unit("s", "odd", "odd", parts))
    lake.set_states("raw.logs", {DAY: ("passed", None)})
    before = lake.query("FROM raw.logs ORDER BY ALL")
    assert settle(lake, today=TODAY, tables=["raw.logs"]).days == 1
    assert lake.query("FROM raw.logs ORDER BY ALL") == before


def test_small_days_are_written_side_by_side_and_one_that_fails_takes_all_back(lake: Lake) -> None:
    land_scattered(lake)
    before, files = stored(lake), files_on_disk(lake)
    both = Barrier(2, timeout=20)

    def write(rows: pa.RecordBatchReader, new_path: Callable[[], Path]) -> list[Path]:
        table, path = rows.read_all(), new_path()
        pq.write_table(table, path)
        both.wait()
        if failing and table["time"][0].as_py().day == 1:
            raise duckdb.IOException("503")
        return [path]

    failing = True
    with pytest.raises(duckdb.IOException, match="503"):
        rewrite(lake, "raw.metric_points", [DAY, date(2026, 3, 2)], DenseForm("series_id, time", {}, write))
    assert (stored(lake), files_on_disk(lake)) == (before, files)
    failing = False
    assert rewrite(lake, "raw.metric_points", [DAY, date(2026, 3, 2)], DenseForm("series_id, time", {}, write)).days == 2
    assert stored(lake) == before


def test_another_connection_of_a_lake_is_at_home_and_in_utc(lake: Lake) -> None:
    with another(lake.connection) as connection:
        home = connection.execute("SELECT current_database(), current_setting('TimeZone')").fetchone()
    assert home == ("lake", "UTC")
