"""The platform's own logs: what nothing needs any more goes when it is old, what is asked for stays however old it is."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest

from tests.lakes import at, day_slice, open_lake, points_unit, stored
from warehouse.lake import Unit
from warehouse.lake.lake import Lake
from warehouse.lake.logs import prune_logs

TABLE = "raw.metric_points"
DAY = date(2026, 3, 1)
MORNING = (1, at("2026-03-01 10:00"), 1.0)
OLD, NEW = timedelta(days=401), timedelta(days=179)


def back(lake: Lake, table: str, column: str, by: timedelta) -> None:
    """Move the times of a log's records back."""
    lake.connection.execute(f"UPDATE store.meta_{table} SET {column} = {column} - ?::INTERVAL", [f"{by.days} days"])


def count(lake: Lake, table: str, condition: str = "TRUE") -> int:
    row = lake.connection.execute(f"SELECT count(*) FROM store.meta_{table} WHERE {condition}").fetchone()
    assert row is not None
    return int(row[0])


def now() -> datetime:
    return datetime.now().replace(microsecond=0)  # noqa: DTZ005 - a day or two do not matter


RECORDS = {
    "runs": lambda t: ("r", "job", "success", None, None, 1.0, t),
    "query_log": lambda t: ("q", t, 1.0, "me", "SELECT 1", None, 1, None),
    "check_results": lambda t: ("source:s", t.date(), 0, "readable", "error", True, 0, None, t, "r"),
}


@pytest.mark.parametrize("table", RECORDS)
def test_old_records_go_and_young_ones_stay(lake: Lake, table: str) -> None:
    for age in (OLD, NEW):
        lake.append_log(f"meta.{table}", [RECORDS[table](now() - age)])
    assert prune_logs(lake) == 1
    assert count(lake, table) == 1
    assert prune_logs(lake) == 0


def test_what_was_said_of_the_present_version_of_a_day_stays(lake: Lake) -> None:
    """Two versions of a day, each checked, all of it old: the first is forgotten, the second is known as before."""
    for version, value in ((1, 1.0), (2, 2.0)):
        lake.replace_slice("core.resources", None, "SELECT * FROM core.resources")
        lake.land(points_unit(f"b{version}", [(*MORNING[:2], value)], supersedes=("b1",) if version == 2 else ()))
        lake.append_log("meta.check_results", [(TABLE, DAY, version, "c", "error", True, 0, None, now(), "r")])
        lake.set_states(TABLE, {DAY: ("passed", None)})
    states = lake.states(TABLE)
    for table, column in (("day_state", "changed_at"), ("check_results", "checked_at")):
        back(lake, table, column, OLD)
    gone = f"table_name = '{TABLE}' AND version = 1"
    assert (count(lake, "day_state", gone), count(lake, "check_results", gone)) == (2, 1)
    assert prune_logs(lake) > 0
    assert (count(lake, "day_state", gone), count(lake, "check_results", gone)) == (0, 0)
    assert (count(lake, "day_state", f"table_name = '{TABLE}'"), count(lake, "check_results")) == (2, 1)
    with open_lake(lake.settings.root) as other:
        assert other.states(TABLE) == states


def contents(*values: float) -> list[Unit]:
    """A day's window as it was delivered, one content after the other; equal contents are one batch."""
    window = f"window:{DAY}T00:00:00/{day_slice().end}T00:00:00"
    return [points_unit(f"content{v}", [(*MORNING[:2], v)], slice=day_slice(), origin=window) for v in values]


def test_only_the_batches_of_derived_tables_are_forgotten(lake: Lake) -> None:
    lake.land(points_unit("b1", [MORNING], origin="file a"))
    lake.land(points_unit("b2", [(*MORNING[:2], 2.0)], origin="file a", supersedes=("b1",)))
    lake.land(points_unit("b3", [(1, at("2026-03-02 10:00"), 3.0)], origin="file b", offset=7))
    lake.land(points_unit("b4", [(1, at("2026-03-02 10:00"), 4.0)], origin="file b", offset=9, supersedes=("b3",)))
    delivered = count(lake, "ingest_log")
    lake.replace_slice("core.resources", None, "SELECT * FROM core.resources")
    rows, former = stored(lake), [lake.known("s").former(f"file {f}") for f in "ab"]
    back(lake, "ingest_log", "committed_at", OLD)
    assert prune_logs(lake) == 1
    assert (count(lake, "ingest_log"), count(lake, "ingest_log", "source = table_name")) == (delivered, 0)
    with open_lake(lake.settings.root) as other:
        assert [other.known("s").former(f"file {f}") for f in "ab"] == former
        assert [other.known("s").has_size(n) for n in (7, 9, 8)] == [True, True, False]
        assert other.land(points_unit("b2", [MORNING])).already
        assert stored(other) == rows


def test_a_content_that_was_replaced_long_ago_lands_again(lake: Lake) -> None:
    for unit in contents(1.0, 2.0, 3.0):
        lake.land(unit)
    back(lake, "ingest_log", "committed_at", OLD)
    prune_logs(lake)
    with open_lake(lake.settings.root) as other:
        assert [other.known("s").has(u.batch_id) for u in contents(1.0, 2.0, 3.0)] == [False, False, True]
        assert not other.land(contents(1.0)[0]).already
        assert [v for *_, v in stored(other)] == [1.0]


def test_the_content_that_came_back_long_ago_is_the_one_that_is_known(lake: Lake) -> None:
    for unit in contents(1.0, 2.0, 1.0):
        assert not lake.land(unit).already
    before = lake.known("s")
    back(lake, "ingest_log", "committed_at", OLD)
    prune_logs(lake)
    with open_lake(lake.settings.root) as other:
        after = other.known("s")
        assert after.watermark(TABLE) == before.watermark(TABLE) == datetime.combine(day_slice().end, time())
        assert [after.has(u.batch_id) for u in contents(1.0, 2.0)] == [True, False]
        assert other.land(contents(1.0)[0]).already


def test_plans_go_after_a_month_and_what_was_done_by_them_stays(lake: Lake) -> None:
    month, applied = now() - timedelta(days=31), now() - timedelta(days=31)
    plan = ("p", TABLE, DAY, 1, "drop", "rule", 1, 1, month)
    rest = (None, 0.0, 0.0, "USD")
    lake.append_log("meta.retention_plans", [(*plan, None, *rest), (*plan, applied, *rest), ("q", *plan[1:8], now(), None, *rest)])
    assert prune_logs(lake) == 1
    assert lake.connection.execute("SELECT plan_id, applied_at FROM meta.retention_plans ORDER BY 1").fetchall() == [
        ("p", applied),
        ("q", None),
    ]
