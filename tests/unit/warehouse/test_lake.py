"""The three ways to write: once, whole, or not at all."""

from __future__ import annotations

import math
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.lakes import DAY, at, day_slice, files_on_disk, open_lake, points_unit, reader, stored
from warehouse.contracts import contract
from warehouse.errors import ContractError, LakeError, ShrunkSourceError
from warehouse.lake import Slice
from warehouse.lake.lake import Lake

A = (1, at("2026-03-01 10:00"), 1.0)
B = (1, at("2026-03-01 10:01"), 2.0)
C = (2, at("2026-03-02 10:00"), 3.0)


def log_row(lake: Lake, batch: str, table: str = "raw.metric_points") -> tuple[int, int, int, int]:
    row = lake.connection.execute(
        "SELECT rows_read, rows_landed, rows_collapsed, rows_quarantined FROM meta.ingest_log WHERE batch_id = ? AND table_name = ?",
        [batch, table],
    ).fetchone()
    assert row is not None
    return row


def test_a_batch_lands_once_however_often_it_is_sent(lake: Lake) -> None:
    assert lake.land(points_unit("b1", [A, B, C])).tables["raw.metric_points"] == 3
    assert lake.land(points_unit("b1", [A, B, C])).already
    assert [r[1:] for r in stored(lake)] == [A, B, C]
    assert log_row(lake, "b1") == (3, 3, 0, 0)


def test_equal_content_under_another_batch_collapses(lake: Lake) -> None:
    lake.land(points_unit("b1", [A, B]))
    lake.land(points_unit("b2", [B, C]))
    assert [r[1:] for r in stored(lake)] == [A, B, C]
    assert log_row(lake, "b2") == (2, 1, 1, 0)


def test_a_later_value_wins_and_the_former_one_goes_to_quarantine(lake: Lake) -> None:
    lake.land(points_unit("b1", [A, B]))
    lake.land(points_unit("b2", [(1, A[1], 9.0)]))
    assert [r[1:] for r in stored(lake)] == [(1, A[1], 9.0), B]
    assert lake.connection.execute("SELECT reason, batch_id FROM quarantine.metric_points").fetchall() == [
        ("superseded_by_later_ingest", "b1")
    ]
    assert lake.states("raw.metric_points")[DAY].row_count == 2


def test_duplicates_inside_a_batch_collapse_or_go_to_quarantine(lake: Lake) -> None:
    lake.land(points_unit("b1", [A, A, B, (1, B[1], 7.0)]))
    assert len(stored(lake)) == 2
    assert log_row(lake, "b1") == (4, 2, 1, 1)


def test_a_row_that_breaks_a_rule_goes_to_quarantine_and_the_others_land(lake: Lake) -> None:
    lake.land(points_unit("b1", [A, (1, at("1969-12-31 23:59"), 5.0), (1, B[1], None)]))
    assert [r[1:] for r in stored(lake)] == [A]
    reasons = lake.connection.execute("SELECT reason, file, record FROM quarantine.metric_points ORDER BY reason").fetchall()
    assert [r[0] for r in reasons] == ["required_value", "time_in_slice"]
    assert all(r[1] == "file b1" for r in reasons)
    assert "1969-12-31" in reasons[1][2]


def test_changed_content_under_an_old_name_replaces_what_it_brought(lake: Lake) -> None:
    lake.land(points_unit("b1", [A, B], origin="a.csv"))
    lake.land(points_unit("b2", [B, C], origin="a.csv", supersedes=("b1",)))
    assert [r[1:] for r in stored(lake)] == [B, C]
    assert lake.land(points_unit("b1", [A, B], origin="a.csv", supersedes=("b2",))).already is False
    assert [r[1:] for r in stored(lake)] == [A, B]


def test_replacing_a_slice_leaves_other_days_and_sources_alone(lake: Lake) -> None:
    lake.land(points_unit("b1", [A, B, C]))
    lake.land(points_unit("other", [A], source="other"))
    lake.land(points_unit("b2", [(1, A[1], 5.0)], slice=day_slice()))
    assert stored(lake) == [("other", *A), ("s", 1, A[1], 5.0), ("s", *C)]


def test_a_replacement_that_shrank_is_refused_and_changes_nothing(lake: Lake) -> None:
    lake.land(points_unit("b1", [A, B, (1, at("2026-03-01 11:00"), 4.0)]))
    before, files = stored(lake), files_on_disk(lake)
    for points in ([], [A]):
        with pytest.raises(ShrunkSourceError, match="--allow-shrink s"):
            lake.land(points_unit("b2", points, slice=day_slice()))
    assert stored(lake) == before
    assert files_on_disk(lake) == files
    lake.land(points_unit("b2", [A], slice=day_slice()), allow_shrink=True)
    assert [r[1:] for r in stored(lake)] == [A]


def test_rows_outside_the_slice_go_to_quarantine(lake: Lake) -> None:
    lake.land(points_unit("b1", [A, C], slice=day_slice()))
    assert [r[1:] for r in stored(lake)] == [A]
    assert log_row(lake, "b1") == (2, 1, 0, 1)


def test_a_failing_unit_leaves_no_row_no_file_and_no_log(lake: Lake) -> None:
    files = files_on_disk(lake)
    lake.step = lambda name: (_ for _ in ()).throw(RuntimeError(name)) if name == "logged" else None
    with pytest.raises(RuntimeError, match="logged"):
        lake.land(points_unit("b1", [A]))
    lake.step = lambda _name: None
    assert stored(lake) == []
    assert files_on_disk(lake) == files
    assert lake.connection.execute("SELECT count(*) FROM meta.ingest_log").fetchone() == (0,)
    assert lake.land(points_unit("b1", [A])).already is False


def test_a_file_of_another_day_or_registered_already_is_refused(lake: Lake) -> None:
    lake.land(points_unit("b1", [A]))
    name = contract("raw.metric_points").storage_name
    path = next(iter(files_on_disk(lake, "store/raw_metric_points/**/*.parquet")))
    with pytest.raises(LakeError, match="already"):
        lake.register(name, [str(path)], hive=True)


def test_series_keep_their_first_and_last_sample(lake: Lake) -> None:
    lake.land(points_unit("b1", [B]))
    lake.land(points_unit("b2", [A]))
    rows = lake.connection.execute("SELECT series_id, first_seen, last_seen FROM raw.metric_series").fetchall()
    assert rows == [(1, A[1], B[1])]


def test_two_names_behind_one_series_id_are_an_error(lake: Lake) -> None:
    from tests.lakes import SERIES

    row = (1, "m1", [("n", "1")], "gauge", 1.0, A[1], A[1])
    for batch, name in (("b1", "m1"), ("b2", "other")):
        work = lake.work(batch_id=batch, source="s", origin=batch)
        work.upsert("raw.metric_series", reader(SERIES, [(row[0], name, *row[2:])]))
        if batch == "b1":
            work.commit()
        else:
            with pytest.raises(ContractError, match="collision"):
                work.commit()


def test_an_unknown_column_and_a_wrong_type_say_so(lake: Lake) -> None:
    with pytest.raises(ContractError, match="no column nonsense"):
        lake.replace_slice("core.log_rollup_1h", day_slice(), "SELECT 1 AS nonsense")
    with pytest.raises(ContractError, match=r"do not fit core\.log_rollup_1h"):
        lake.replace_slice("core.log_rollup_1h", day_slice(), "SELECT 'x' AS log_count, DATE '2026-03-01' AS day")


def test_versions_rise_with_every_commit_and_states_are_reset(lake: Lake) -> None:
    lake.land(points_unit("b1", [A]))
    lake.set_states("raw.metric_points", {DAY: ("passed", None)})
    assert lake.usable_days("raw.metric_points") == {DAY}
    lake.land(points_unit("b2", [B]))
    state = lake.states("raw.metric_points")[DAY]
    assert (state.version, state.state, state.row_count) == (2, "unchecked", 2)
    with pytest.raises(LakeError, match="no data"):
        lake.set_states("raw.metric_points", {date(2020, 1, 1): ("passed", None)})


def test_a_derived_day_without_rows_still_has_a_state(lake: Lake) -> None:
    lake.replace_slice(
        "core.log_rollup_1h", day_slice(), "SELECT NULL::VARCHAR AS service, NULL::TIMESTAMP AS time LIMIT 0", inputs={DAY: "f"}
    )
    assert lake.states("core.log_rollup_1h")[DAY].inputs == "f"


def test_labels_with_sql_and_paths_are_data(lake: Lake, tmp_path: Path) -> None:
    hostile = "'; DROP TABLE raw.metric_points; --../../x"
    work = lake.work(batch_id="b", source=hostile, origin=hostile)
    from tests.lakes import POINT

    work.append_once("raw.metric_points", reader(POINT, [A]))
    work.commit()
    assert stored(lake) == [(hostile, *A)]
    assert all(tmp_path in f.resolve().parents for f in files_on_disk(lake))


def test_reopening_finds_everything_and_changes_nothing(tmp_path: Path) -> None:
    with open_lake(tmp_path) as first:
        first.land(points_unit("b1", [A]))
        snapshots = first.connection.execute("SELECT count(*) FROM ducklake_snapshots('lake')").fetchone()
    with open_lake(tmp_path) as second:
        assert [r[1:] for r in stored(second)] == [A]
        assert second.connection.execute("SELECT count(*) FROM ducklake_snapshots('lake')").fetchone() == snapshots
        assert second.known("s").has("b1")


def test_windows_give_a_watermark_and_files_their_former_content(lake: Lake) -> None:
    origin = "window:2026-03-01T00:00:00/2026-03-01T10:15:00"
    lake.land(points_unit("b1", [A], origin=origin))
    lake.land(points_unit("b2", [B], origin="a.csv", offset=100, digest="d"))
    known = lake.known("s")
    assert known.watermark("raw.metric_points") == at("2026-03-01 10:15")
    former = known.former("a.csv")
    assert former is not None
    assert (former.batch_ids, former.offset, former.digest) == (("b2",), 100, "d")
    assert known.former("nothing") is None
    assert set(known.former_origins()) == {origin, "a.csv"}


def test_a_batch_belongs_to_the_origin_that_brought_it_last(lake: Lake) -> None:
    lake.land(points_unit("b1", [A], origin="a.csv"))
    lake.land(points_unit("b2", [B], origin="a.csv", supersedes=("b1",)))
    lake.land(points_unit("b1", [A], origin="moved.csv"))
    lake.land(points_unit("b3", [C], origin="a.csv"))
    known = lake.known("s")
    former, moved = known.former("a.csv"), known.former("moved.csv")
    assert former is not None
    assert moved is not None
    assert (former.batch_ids, moved.batch_ids) == (("b2", "b3"), ("b1",))


def test_both_zeros_land_as_they_came(lake: Lake) -> None:
    values = [-0.0 if second % 3 else 0.0 for second in range(1000)]
    lake.land(points_unit("b1", [(1, at("2026-03-01") + timedelta(seconds=i), v) for i, v in enumerate(values)]))
    rows = lake.connection.execute("SELECT value FROM raw.metric_points ORDER BY time").fetchall()  # sorting by the value loses the sign
    assert [math.copysign(1, v) for (v,) in rows] == [math.copysign(1, v) for v in values]


def test_a_slice_is_half_open() -> None:
    assert str(Slice(date(2026, 1, 1), date(2026, 1, 2))) == "2026-01-01/2026-01-02"


def test_a_view_of_another_version_is_made_anew(tmp_path: Path) -> None:
    with open_lake(tmp_path) as lake:
        lake.land(points_unit("b1", [A]))
        lake.connection.execute("CREATE OR REPLACE VIEW raw.metric_points AS SELECT *, -1.0 AS other FROM store.raw_metric_points")
    with open_lake(tmp_path) as lake:
        assert [r[1:] for r in stored(lake)] == [A]
        assert "other" not in lake.query("FROM raw.metric_points").column_names
        snapshot = lake.query("SELECT max(snapshot_id) AS n FROM lake.snapshots()")
    with open_lake(tmp_path) as lake:
        assert lake.query("SELECT max(snapshot_id) AS n FROM lake.snapshots()") == snapshot, "and once only"


def test_rows_in_forms_of_another_version_are_not_read_as_nothing(tmp_path: Path) -> None:
    with open_lake(tmp_path) as lake:
        lake.connection.execute("ALTER TABLE store.raw_logs ADD COLUMN body_of_another_version VARCHAR")
    with pytest.raises(LakeError, match="body_of_another_version"):
        open_lake(tmp_path)
