"""From rules to an empty day: plans say why, apply does exactly one plan, archives before it drops, and stops at the first doubt."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from tests.lakes import DAY, POINT, at, open_lake, points_unit, reader, stored
from warehouse.archive.records import recorded_bundles
from warehouse.archive.restoring import restore, restore_into_lake
from warehouse.archive.verifying import verify
from warehouse.errors import ArchiveError, RetentionError
from warehouse.lake import Part, Unit
from warehouse.lake.lake import Lake
from warehouse.lake.pending import pending_days
from warehouse.lake.removal import drop
from warehouse.retention.applying import apply_plan
from warehouse.retention.holds import add_hold, incident_holds, placed_holds, remove_hold
from warehouse.retention.planning import plan_retention

TODAY = date(2026, 4, 1)
TABLE = "raw.metric_points"
NEXT = date(2026, 3, 2)
LATE = date(2026, 3, 31)
POINTS = [(n, at(f"2026-03-{d} 10:0{n}"), n / 7) for d in ("01", "02", "31") for n in range(4)]


@pytest.fixture
def full(lake: Lake) -> Lake:
    """Two old days and a young one, all passed, with a quarantined row."""
    lake.land(points_unit("b1", [*POINTS, (1, at("2026-03-31 11:00"), None)]))
    for table in (TABLE, "raw.metric_series"):
        lake.set_states(table, dict.fromkeys(lake.states(table), ("passed", None)))
    return lake


def actions(lake: Lake, today: date = TODAY) -> dict[tuple[str, date], tuple[str, str]]:
    """What the plan of a day says."""
    return {(d.table, d.day): (d.action, d.rule) for d in plan_retention(lake, today=today, store=False).decisions}


def test_every_partition_has_an_action_and_the_rule_that_decided(full: Lake) -> None:
    found = actions(full)
    assert found[TABLE, DAY] == ("archive", "raw.metric_points: 30 days, then archive")
    assert found[TABLE, LATE] == ("keep", "raw.metric_points: 30 days")
    assert found["raw.metric_series", date(1970, 1, 1)] == ("keep", "raw.*: for ever")
    quarantine = [(day, rule) for (table, day), (_, rule) in found.items() if table == "quarantine.metric_points"]
    assert [rule for _, rule in quarantine] == ["quarantine.*: 90 days"]


def test_apply_archives_then_drops_and_leaves_the_rest(full: Lake, tmp_path: Path) -> None:
    before = stored(full)
    plan = plan_retention(full, today=TODAY)
    result = apply_plan(full, plan.plan_id, today=TODAY)
    assert (result.archived, result.dropped, result.rows) == (2, 2, 8)
    assert stored(full) == [r for r in before if r[2].date() == LATE]
    assert {d: (s.state, s.version, s.row_count) for d, s in full.states(TABLE).items()} == {
        DAY: ("dropped", 1, 0),
        NEXT: ("dropped", 1, 0),
        LATE: ("passed", 1, 4),
    }
    assert verify(full).problems == []
    assert restore(full, TABLE, DAY, NEXT, tmp_path / "out").rows == 8
    assert plan_retention(full, today=TODAY).of("archive") == []


def test_a_plan_is_applied_once_and_equal_plans_are_one(full: Lake) -> None:
    plan = plan_retention(full, today=TODAY)
    assert plan_retention(full, today=TODAY).plan_id == plan.plan_id
    apply_plan(full, plan.plan_id, today=TODAY)
    again = apply_plan(full, plan.plan_id, today=TODAY)
    assert (again.dropped, again.done_before) == (0, 2)
    row = full.connection.execute(
        "SELECT count(*), count(applied_at) FROM meta.retention_plans WHERE plan_id = ?", [plan.plan_id]
    ).fetchone()
    assert row == (len(plan.decisions) + 2, 2)


def test_rows_can_be_queried_when_the_process_dies_after_they_left_the_lake(full: Lake) -> None:
    before = stored(full)

    def die(step: str) -> None:
        if step == "replaced":
            raise KeyboardInterrupt

    full.step = die
    with pytest.raises(KeyboardInterrupt):
        apply_plan(full, plan_retention(full, today=TODAY).plan_id, today=TODAY)
    gone = len(before) - len(stored(full))
    assert gone > 0
    assert full.query("SELECT count(*) AS n FROM archive.metric_points")["n"].to_pylist() == [gone]


def test_a_day_that_changed_since_the_plan_stops_everything(full: Lake) -> None:
    plan = plan_retention(full, today=TODAY)
    full.land(points_unit("late", [(9, at("2026-03-02 11:00"), 9.0)]))
    before = stored(full)
    with pytest.raises(RetentionError, match="version 2 and plan"):
        apply_plan(full, plan.plan_id, today=TODAY)
    assert stored(full) == before
    assert recorded_bundles(full) == []


def test_rows_that_land_while_a_day_is_sealed_are_never_dropped(full: Lake) -> None:
    plan = plan_retention(full, today=TODAY)

    def land(name: str) -> None:
        if name == "sealed":
            full.step = lambda _name: None
            with open_lake(full.settings.root) as other:
                other.land(points_unit("late", [(9, at("2026-03-01 11:00"), 9.0)]))

    full.step = land
    with pytest.raises(RetentionError, match="Make a new plan"):
        apply_plan(full, plan.plan_id, today=TODAY)
    assert len(stored(full)) == 13


def test_a_bundle_that_cannot_be_read_back_stops_the_drop(full: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from warehouse.archive import sealing
    from warehouse.archive.parquet import read_back

    def spoilt(path: Path, connection: object, key: None) -> object:
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 1
        path.write_bytes(content)
        return read_back(path, connection, key)  # type: ignore[arg-type]

    monkeypatch.setattr(sealing, "read_back", spoilt)
    plan = plan_retention(full, today=TODAY)
    with pytest.raises(ArchiveError):
        apply_plan(full, plan.plan_id, today=TODAY)
    assert len(stored(full)) == 12
    assert recorded_bundles(full) == []


def test_a_table_without_a_rule_makes_apply_refuse(lake: Lake, tmp_path: Path) -> None:
    lake.land(points_unit("b1", POINTS))
    lake.set_states(TABLE, dict.fromkeys(lake.states(TABLE), ("passed", None)))
    lake.close()
    rules = [{"tables": "raw.metric_points", "keep_days": 1}]
    with open_lake(tmp_path, retention={"rules": rules}) as other:
        plan = plan_retention(other, today=TODAY)
        assert "raw.metric_series" in plan.uncovered
        with pytest.raises(RetentionError, match=r"no rule for .*raw\.metric_series"):
            apply_plan(other, plan.plan_id, today=TODAY)
        assert len(stored(other)) == 12


def test_holds_beat_rules_until_they_expire_or_are_lifted(full: Lake) -> None:
    placed = add_hold(full, reason="audit", tables=["raw.*"], from_day=DAY, to_day=DAY, expires=date(2026, 4, 10))
    assert actions(full)[TABLE, DAY] == ("keep", f"manual hold {placed.hold_id}: audit")
    assert actions(full)[TABLE, NEXT][0] == "archive"
    assert actions(full, date(2026, 4, 10))[TABLE, DAY][0] == "archive"
    remove_hold(full, placed.hold_id)
    assert placed_holds(full) == []
    assert actions(full)[TABLE, DAY][0] == "archive"


def test_a_hold_placed_after_the_plan_stops_it(full: Lake) -> None:
    plan = plan_retention(full, today=TODAY)
    add_hold(full, reason="audit", tables=["raw.*"], from_day=NEXT, to_day=NEXT)
    with pytest.raises(RetentionError, match="placed after plan"):
        apply_plan(full, plan.plan_id, today=TODAY)
    assert len(stored(full)) == 12


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"reason": " "}, "say why"),
        ({"from_day": NEXT, "to_day": DAY}, "after its end"),
        ({"tables": ["raw.nothing"]}, "matches no table"),
    ],
)
def test_impossible_holds_are_refused(lake: Lake, fields: dict[str, object], message: str) -> None:
    usual = {"reason": "audit", "tables": ["raw.*"], "from_day": DAY, "to_day": DAY}
    with pytest.raises(RetentionError, match=message):
        add_hold(lake, **{**usual, **fields})  # type: ignore[arg-type]


def incident_unit(resolved: str | None) -> Unit:
    """One incident that opened on 2 March."""
    import pyarrow as pa

    schema = pa.schema(
        [
            ("incident_id", pa.string()),
            ("title", pa.string()),
            ("status", pa.string()),
            ("opened_time", POINT.field("time").type),
            ("resolved_time", POINT.field("time").type),
        ]
    )
    row = ("P1", "disk full", "resolved" if resolved else "triggered", at("2026-03-02 23:00"), at(resolved) if resolved else None)

    def parts(_connection: object) -> Iterator[Part]:
        yield Part("raw.incidents", reader(schema, [row]))

    return Unit("pd", f"i{resolved}", "incidents.json", parts)


def test_an_incident_holds_its_window_with_a_margin(full: Lake) -> None:
    full.land(incident_unit("2026-03-03 04:00"))
    (held,) = incident_holds(full, TODAY)
    assert (held.from_day, held.to_day) == (DAY, date(2026, 3, 4))
    assert actions(full)[TABLE, DAY] == ("keep", "incident hold pd/P1: disk full")


def test_an_open_incident_holds_until_today(full: Lake) -> None:
    full.land(incident_unit(None))
    assert incident_holds(full, TODAY)[0].to_day == date(2026, 4, 2)


def test_days_that_are_blocked_or_not_checked_stay(full: Lake) -> None:
    full.set_states(TABLE, {DAY: ("blocked", "checks")})
    full.land(points_unit("late", [(9, at("2026-03-02 11:00"), 9.0)]))
    found = actions(full)
    assert found[TABLE, DAY][0] == "keep"
    assert "blocked" in found[TABLE, DAY][1]
    assert "unchecked" in found[TABLE, NEXT][1]


def test_drop_needs_a_plan_that_says_so(full: Lake) -> None:
    plan = plan_retention(full, today=TODAY)
    for table, day, plan_id, message in (
        (TABLE, DAY, "nonsense", "does not drop"),
        (TABLE, LATE, plan.plan_id, "does not drop"),
        (TABLE, date(2026, 5, 1), plan.plan_id, "no day"),
        ("raw.metric_series", date(1970, 1, 1), plan.plan_id, "no day"),
    ):
        with pytest.raises(RetentionError, match=message):
            drop(full, table, day, plan_id)
    assert len(stored(full)) == 12


def test_late_rows_of_a_dropped_day_become_a_supplementary_bundle(full: Lake, tmp_path: Path) -> None:
    apply_plan(full, plan_retention(full, today=TODAY).plan_id, today=TODAY)
    full.land(points_unit("late", [(9, at("2026-03-01 11:00"), 9.0), (1, at("2026-03-01 10:01"), 5.0)]))
    assert full.states(TABLE)[DAY].state == "dropped"
    assert pending_days(full, "core.metric_rollup_1h", {TABLE: 0}, [DAY]).build == {}
    apply_plan(full, plan_retention(full, today=TODAY).plan_id, today=TODAY)
    assert [b.row_count for b in recorded_bundles(full) if b.day == DAY] == [4, 2]
    assert verify(full).problems == []
    assert restore(full, TABLE, DAY, DAY, tmp_path / "out").rows == 5
    assert restore_into_lake(full, TABLE, DAY, DAY).rows == 5
    assert [r[3] for r in stored(full) if r[1] == 1 and r[2] == at("2026-03-01 10:01")] == [5.0]


def test_a_day_restored_into_the_lake_is_as_it_was_and_needs_no_new_bundle(full: Lake) -> None:
    before = stored(full)
    apply_plan(full, plan_retention(full, today=TODAY).plan_id, today=TODAY)
    result = restore_into_lake(full, TABLE, DAY, NEXT)
    assert (result.rows, result.days) == (8, [DAY, NEXT])
    assert stored(full) == before
    assert full.states(TABLE)[DAY].state == "unchecked"
    assert full.states(TABLE)[DAY].version == 2
    full.set_states(TABLE, dict.fromkeys((DAY, NEXT), ("passed", None)))
    apply_plan(full, plan_retention(full, today=TODAY).plan_id, today=TODAY)
    assert len(recorded_bundles(full)) == 2
    assert len(stored(full)) == 4


def test_quarantine_goes_by_the_day_it_was_set_aside(full: Lake) -> None:
    late = date(2030, 1, 1)
    plan = plan_retention(full, today=late)
    (decision,) = [d for d in plan.decisions if d.table == "quarantine.metric_points"]
    assert (decision.action, decision.row_count) == ("drop", 1)
    apply_plan(full, plan.plan_id, today=late)
    assert full.connection.execute("SELECT count(*) FROM quarantine.metric_points").fetchone() == (0,)


def test_an_interrupted_apply_goes_on(full: Lake) -> None:
    plan = plan_retention(full, today=TODAY)
    seen: list[str] = []

    def die(name: str) -> None:
        seen.append(name)
        if name == "replacing" and seen.count("replacing") == 2:
            raise KeyboardInterrupt

    full.step = die
    with pytest.raises(KeyboardInterrupt):
        apply_plan(full, plan.plan_id, today=TODAY)
    full.step = lambda _name: None
    assert len(stored(full)) == 8
    result = apply_plan(full, plan.plan_id, today=TODAY)
    assert (result.dropped, result.done_before) == (1, 1)
    assert len(stored(full)) == 4
    assert verify(full).problems == []
