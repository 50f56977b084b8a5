"""`lakebed tables`, `status` and `day`: what they say agrees with what is in the lake."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from lakebed.cli.data import collect
from lakebed.cli.emptiness import empty_days
from lakebed.cli.sizes import size
from lakebed.cli.status import write_lock
from tests.lakes import POINT, at, files_on_disk, open_lake, reader
from warehouse.errors import ConfigError, ContractError, LakeError
from warehouse.lake import Slice
from warehouse.lake.lake import Lake
from warehouse.sizes import bytes_of

Run = Callable[..., Result]
NOW = datetime(2026, 3, 4, 12)


def reasons(lake: Lake, table: str) -> dict[tuple[str, str], tuple[str, bool]]:
    """(first, last) -> (reason, expected) of a table's days without rows up to 2026-03-04."""
    found = empty_days(lake, date(2026, 3, 1), NOW.date())
    return {(str(e.first)[5:], str(e.last)[5:]): (e.reason, e.expected) for e in found if e.table == table}


def test_tables_counts_rows_bytes_and_days(project: Path, run: Run) -> None:
    rows = {r["table"]: r for r in json.loads(run("tables", "--json").stdout)}
    points = rows["raw.metric_points"]
    assert (points["rows"], points["files"], points["days"], points["oldest"], points["newest"]) == (4, 2, 2, "2026-03-01", "2026-03-02")
    with open_lake(project) as lake:
        assert points["bytes"] == sum(f.stat().st_size for f in files_on_disk(lake, "store/raw_metric_points/**/*.parquet"))
    assert rows["raw.logs"]["rows"] == 0
    assert rows["meta.ingest_log"]["rows"] == 2
    assert {r.partition(".")[0] for r in rows} == {"raw", "core", "mart", "meta"}


def test_tables_counts_deleted_rows_out(project: Path, run: Run) -> None:
    with open_lake(project) as lake:
        lake.connection.execute("DELETE FROM store.raw_metric_points WHERE series_id = 0")
    (points,) = [r for r in json.loads(run("tables", "--json", "--schema", "raw").stdout) if r["table"] == "raw.metric_points"]
    assert points["rows"] == 3


def test_an_unknown_schema_is_bad_usage(project: Path, run: Run) -> None:
    assert isinstance(run("tables", "--schema", "rwa").exception, ConfigError)


def test_people_see_tables_and_status(project: Path, run: Run) -> None:
    assert "raw.metric_points" in run("tables").output
    shown = run("status").output
    assert "3 unchecked" in shown
    assert "Published: not yet" in shown


def test_status_is_one_json_document(project: Path, run: Run) -> None:
    facts = json.loads(run("status", "--json").stdout)
    assert facts["days"]["raw.metric_points"] == {"unchecked": 2}
    assert facts["lock"]["held"] is False
    assert facts["disk"]["free_bytes"] > 0
    (source,) = facts["sources"]
    assert (source["source"], source["rows_landed"], source["rows_quarantined"]) == ("s", 8, 0)


def test_status_tells_sources_failed_checks_blocked_days_and_runs(project: Path) -> None:
    config = {"sources": {"otel": {"kind": "otlp", "inbox": "in"}, "s": {"kind": "otlp", "path": "x"}}}
    moment = at("2026-03-03 01:00")
    with open_lake(project, **config) as lake:
        lake.set_states("raw.metric_points", {date(2026, 3, 1): ("blocked", "grain_unique"), date(2026, 3, 2): ("passed", None)})
        checks = [
            ("raw.metric_points", date(2026, 3, 1), 1, "grain_unique", "error", False, 7, None, moment, "r1"),
            ("raw.metric_points", date(2026, 3, 1), 0, "of_old_rows", "error", False, 7, None, moment, "r1"),
            ("raw.metric_points", date(2026, 3, 2), 1, "fresh", "warn", False, 1, None, moment, "r1"),
            ("raw.metric_points", date(2026, 3, 2), 1, "fresh", "warn", True, 0, None, at("2026-03-03 02:00"), "r2"),
            ("source:otel", date(2026, 3, 3), 0, "readable", "error", False, 1, "the inbox in does not exist", moment, "r1"),
        ]
        lake.append_log("meta.check_results", checks)
        lake.append_log("meta.runs", [("r1", "derive", "started", "2026-03-01", None, None, moment)])
        lake.append_log("meta.runs", [("r1", "derive", "success", "2026-03-01", None, 2.5, at("2026-03-03 01:01"))])
        facts = collect(lake, NOW)
    assert [(b["table"], str(b["day"]), b["reason"]) for b in facts["blocked"]] == [("raw.metric_points", "2026-03-01", "grain_unique")]
    assert [(c["check"], c["unexpected"]) for c in facts["failed_checks"]] == [("grain_unique", 7)]
    sources = {s["source"]: s for s in facts["sources"]}
    assert (sources["otel"]["readable"], sources["otel"]["problem"], sources["otel"]["last_commit"]) == (
        False,
        "the inbox in does not exist",
        None,
    )
    assert sources["s"]["kind"] == "otlp"
    assert [(r["run_id"], r["status"], r["duration_s"]) for r in facts["runs"]] == [("r1", "success", 2.5)]


def test_a_lock_that_is_held_is_seen(project: Path) -> None:
    with open_lake(project) as lake:
        assert write_lock(lake)["held"] is False
        with lake.catalog.lock(("x",)):
            assert write_lock(lake)["held"] is True


def test_days_without_rows_say_why(project: Path) -> None:
    with open_lake(project) as lake:
        lake.set_states("raw.metric_points", {date(2026, 3, 1): ("blocked", "x"), date(2026, 3, 2): ("passed", None)})
        assert reasons(lake, "raw.metric_points") == {
            ("03-03", "03-03"): ("no source brought rows for the day", True),
            ("03-04", "03-04"): ("the day is open and nothing has come yet", True),
        }
        found = reasons(lake, "core.metric_rollup_5m")
        assert found["03-01", "03-01"] == ("waits: raw.metric_points is blocked", False)
        assert found["03-02", "03-02"] == ("its inputs have rows, but it has not been built: `lakebed run` does it", False)
        assert found["03-03", "03-04"] == ("no input: raw.metric_points has no rows on the day", True)
        assert [r for r, _ in reasons(lake, "mart.trends").values()] == [
            "an analysis looks back from the last closed day of the data, and this day is not it"
        ]


def test_built_analysed_dropped_and_quarantined_days_say_so(project: Path) -> None:
    days = {date(2026, 3, 2): "v1"}
    with open_lake(project) as lake:
        lake.set_states("raw.metric_points", {date(2026, 3, 1): ("passed", None), date(2026, 3, 2): ("passed", None)})
        for table in ("core.metric_rollup_5m", "mart.trends"):
            lake.replace_slice(table, Slice(date(2026, 3, 2), date(2026, 3, 3)), f"SELECT * FROM {table}", inputs=days)
        assert reasons(lake, "core.metric_rollup_5m")["03-02", "03-02"][0] == "built; none of its inputs' rows belong in it"
        assert reasons(lake, "mart.trends")["03-02", "03-02"] == ("analysed, and nothing was found", True)
        lake.connection.execute(
            "INSERT INTO quarantine.metric_points VALUES ('s', 'b', 'finite', 'f', 1, '{}', DATE '2026-03-03', TIMESTAMP '2026-03-03')"
        )
        assert reasons(lake, "raw.metric_points")["03-03", "03-03"] == ("every row of the day is in quarantine (1 rows)", False)
        lake.replace_slice(
            "core.metric_rollup_5m",
            Slice(date(2026, 3, 3), date(2026, 3, 4)),
            "SELECT * FROM core.metric_rollup_5m",
            inputs={date(2026, 3, 3): "v1"},
        )
        lake.set_states("core.metric_rollup_5m", {date(2026, 3, 3): ("dropped", "rule 1")})
        assert reasons(lake, "core.metric_rollup_5m")["03-03", "03-03"] == ("dropped by retention", True)


def test_an_empty_lake_has_no_empty_days(tmp_path: Path) -> None:
    with open_lake(tmp_path) as lake:
        assert collect(lake, NOW)["empty_days"] == []


def test_day_list_shows_what_needs_attention(project: Path, run: Run) -> None:
    with open_lake(project) as lake:
        lake.set_states("raw.metric_points", {date(2026, 3, 1): ("blocked", "grain_unique"), date(2026, 3, 2): ("passed", None)})
    listed: list[dict[str, Any]] = json.loads(run("day", "list", "--json", "--table", "raw.metric_points").stdout)
    assert [(d["day"], d["state"], d["reason"], d["rows"]) for d in listed] == [("2026-03-01", "blocked", "grain_unique", 2)]
    passed = json.loads(run("day", "list", "--json", "--state", "passed", "--state", "waved").stdout)
    assert [d["day"] for d in passed] == ["2026-03-02"]
    assert "grain_unique" in run("day", "list").output
    assert "no day is dropped" in run("day", "list", "--state", "dropped").output
    assert isinstance(run("day", "list", "--table", "raw.metric_point").exception, ContractError)


def test_day_allow_waves_through_with_who_and_why(project: Path, run: Run) -> None:
    with open_lake(project) as lake:
        lake.set_states("raw.metric_points", {date(2026, 3, 1): ("blocked", "grain_unique"), date(2026, 3, 2): ("passed", None)})
    assert run("day", "allow", "raw.metric_points", "2026-03-01", "--reason", "known ' gap").exit_code == 0
    (waved,) = json.loads(run("day", "list", "--json", "--state", "waved").stdout)
    assert waved["reason"].startswith("known ' gap (")
    with open_lake(project) as lake:
        assert lake.usable_days("raw.metric_points") == {date(2026, 3, 1), date(2026, 3, 2)}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("raw.metric_point", "2026-03-01"), ContractError),
        (("raw.metric_points", "1.3.2026"), ConfigError),
        (("raw.metric_points", "2026-03-09"), LakeError),
    ],
)
def test_day_allow_refuses_what_is_not_there(project: Path, run: Run, arguments: tuple[str, str], error: type[Exception]) -> None:
    assert isinstance(run("day", "allow", *arguments, "--reason", "x").exception, error)


def test_day_allow_needs_a_reason_and_a_day_that_is_held_back(project: Path, run: Run) -> None:
    assert run("day", "allow", "raw.metric_points", "2026-03-01").exit_code == 2
    assert isinstance(run("day", "allow", "raw.metric_points", "2026-03-01", "--reason", " ").exception, ConfigError)
    with open_lake(project) as lake:
        lake.set_states("raw.metric_points", {date(2026, 3, 1): ("passed", None)})
    assert "is passed" in str(run("day", "allow", "raw.metric_points", "2026-03-01", "--reason", "x").exception)


def test_new_data_for_a_waved_day_is_checked_again(project: Path, run: Run) -> None:
    run("day", "allow", "raw.metric_points", "2026-03-01", "--reason", "x")
    with open_lake(project) as lake:
        work = lake.work(batch_id="b2", source="s", origin="late")
        work.append_once("raw.metric_points", reader(POINT, [(9, at("2026-03-01 05:00"), 1.0)]))
        work.commit()
        assert lake.states("raw.metric_points")[date(2026, 3, 1)].state == "unchecked"


def test_sizes_are_read_and_written() -> None:
    assert (bytes_of("4GiB"), bytes_of("1.5MB")) == (4 * 2**30, 1_500_000)
    assert [size(n) for n in (0, 999, 1536, 5 * 2**20, 300 * 2**30)] == ["0 B", "999 B", "1.5 KiB", "5.0 MiB", "300 GiB"]
    for text in ("", "4", "GiB", "4 GiB", "-1GiB", "1TiB"):
        with pytest.raises(ValueError, match="no size"):
            bytes_of(text)


def test_the_clock_of_status_is_utc(project: Path, run: Run) -> None:
    now = datetime.fromisoformat(json.loads(run("status", "--json").stdout)["now"]).replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - now).total_seconds()) < 60
