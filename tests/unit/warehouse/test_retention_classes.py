"""Rules over services, severities and labels, end to end: only their rows leave, what is archived comes back, and holds spare theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest

from tests.contract_rows import reader, row
from tests.lakes import change_unread_byte, open_lake
from warehouse.archive.file_hashes import record_new
from warehouse.archive.records import recorded_bundles
from warehouse.archive.restoring import restore, restore_into_lake
from warehouse.archive.verifying import verify
from warehouse.contracts import CONTRACTS
from warehouse.errors import ArchiveError, RetentionError
from warehouse.lake import Part, Unit
from warehouse.lake.lake import Lake
from warehouse.lake.pending import pending_days
from warehouse.retention.applying import apply_plan
from warehouse.retention.holds import add_hold, incident_holds
from warehouse.retention.planning import plan_retention

TODAY = date(2026, 4, 1)
OLD, YOUNG = date(2026, 3, 2), date(2026, 3, 29)
TABLE = "raw.logs"
RULES = [
    {"signal": "logs", "severities": ["DEBUG"], "keep_days": 7, "archive": False},
    {"tables": "raw.*", "services": ["cart"], "labels": {"tenant": "acme"}, "keep_days": 14},
    {"tables": "raw.*", "keep_days": 60},
    {"tables": "*"},
]
LINES = [
    ("shop", "DEBUG", ""),
    ("cart", "DEBUG", "acme"),
    ("cart", "INFO", "acme"),
    ("cart", "ERROR", "acme"),
    ("cart", "INFO", "b"),
    ("shop", "INFO", ""),
]


@pytest.fixture
def ruled(tmp_path: Path, empty_lake: Path) -> Iterator[Lake]:
    """The same six lines of logs on an old and on a young day, under rules that divide days."""
    import shutil

    shutil.copytree(empty_lake, tmp_path, dirs_exist_ok=True)
    with open_lake(tmp_path, retention={"rules": RULES}, service_map=[{"pattern": "^shop", "service": "storefront"}]) as lake:
        land_logs(lake, "b1", [(OLD, *line) for line in LINES] + [(YOUNG, *line) for line in LINES])
        lake.set_states(TABLE, dict.fromkeys((OLD, YOUNG), ("passed", None)))
        yield lake


def land_logs(lake: Lake, batch: str, lines: Sequence[tuple[date, str, str, str]], *, first: int = 1) -> None:
    """Land lines of (day, service, severity, tenant)."""
    definition = CONTRACTS[TABLE]
    rows = []
    for number, (day, service, severity, tenant) in enumerate(lines, first):
        tenants = [("tenant", tenant)] if tenant else []
        given: dict[str, Any] = {"log_id": UUID(int=number), "service": service, "severity": severity, "resource_attributes": tenants}
        rows.append(row(definition, number % 60, day) | given)

    def parts(_connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        yield Part(TABLE, reader(lake, definition, rows))

    lake.land(Unit("s", batch, f"file {batch}", parts))


def land_incident(lake: Lake, service: str | None) -> None:
    """One incident on the old day."""
    definition = CONTRACTS["raw.incidents"]
    times = {
        "opened_time": datetime.combine(OLD, datetime.min.time()),
        "resolved_time": datetime.combine(OLD, datetime.min.time()) + timedelta(hours=1),
    }
    one = row(definition, 1, OLD) | times | {"service": service, "status": "resolved"}

    def parts(_connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        yield Part("raw.incidents", reader(lake, definition, [one]))

    lake.land(Unit("s", "incident", "incidents", parts))


def lines(lake: Lake, day: date = OLD) -> list[tuple[str, str, str]]:
    """The lines of a day in the lake."""
    query = "SELECT service, severity, coalesce(resource_attributes['tenant'], '') FROM raw.logs WHERE day = ? ORDER BY ALL"
    return lake.connection.execute(query, [day]).fetchall()


def decided(lake: Lake, table: str = TABLE, day: date = OLD) -> list[tuple[str, str, int]]:
    """Action, rule and rows of each class of a day."""
    plan = plan_retention(lake, today=TODAY, store=False)
    return sorted((d.action, d.rule, d.row_count) for d in plan.decisions if (d.table, d.day) == (table, day))


def test_a_day_is_divided_where_its_rows_part_ways(ruled: Lake) -> None:
    assert decided(ruled) == [
        ("archive", "raw.* of cart tenant = acme: 14 days, then archive", 2),
        ("drop", "logs severity DEBUG: 7 days, then drop", 2),
        ("keep", "raw.*: 60 days", 2),
    ]
    assert [(action, rows) for action, _, rows in decided(ruled, day=YOUNG)] == [("keep", 6)]
    plan = plan_retention(ruled, today=TODAY, store=False)
    whole = plan_retention(ruled, today=date(2026, 6, 1), store=False)
    size = sum(d.bytes for d in plan.decisions if d.day == OLD)
    assert size == sum(d.bytes for d in whole.decisions if d.day == OLD) > 0


def test_only_the_rows_of_the_rules_leave_and_the_archived_ones_come_back(ruled: Lake, tmp_path: Path) -> None:
    plan = plan_retention(ruled, today=TODAY)
    result = apply_plan(ruled, plan.plan_id, today=TODAY)
    assert (result.archived, result.dropped, result.rows) == (1, 1, 4)
    assert lines(ruled) == [("cart", "INFO", "b"), ("shop", "INFO", "")]
    assert len(lines(ruled, YOUNG)) == 6
    state = ruled.states(TABLE)[OLD]
    assert (state.state, state.version, state.row_count) == ("dropped", 1, 2)
    assert pending_days(ruled, "core.log_rollup_1h", {TABLE: 0}, [OLD]).build == {}
    assert verify(ruled).problems == []
    assert restore(ruled, TABLE, OLD, OLD, tmp_path / "out").rows == 2
    assert apply_plan(ruled, plan.plan_id, today=TODAY).done_before == 1
    assert [d.action for d in plan_retention(ruled, today=TODAY).decisions if d.day == OLD] == ["keep"]


def test_what_stays_of_a_damaged_day_is_not_written_anew(ruled: Lake) -> None:
    record_new(ruled)
    change_unread_byte(ruled, TABLE, OLD)
    plan = plan_retention(ruled, today=OLD + timedelta(days=10))
    assert [(d.action, d.row_count) for d in plan.decisions if d.day == OLD and d.action != "keep"] == [("drop", 2)]
    with pytest.raises(ArchiveError, match="2026-03-02: changed file"):
        apply_plan(ruled, plan.plan_id, today=OLD + timedelta(days=10))
    assert len(lines(ruled)) == 6


def test_what_is_left_of_a_day_is_archived_beside_what_left_before(ruled: Lake) -> None:
    apply_plan(ruled, plan_retention(ruled, today=TODAY).plan_id, today=TODAY)
    late = date(2026, 6, 1)
    apply_plan(ruled, plan_retention(ruled, today=late).plan_id, today=late)
    assert lines(ruled) == []
    assert [b.row_count for b in recorded_bundles(ruled) if b.day == OLD] == [2, 2]
    assert restore_into_lake(ruled, TABLE, OLD, OLD).rows == 4
    assert lines(ruled) == sorted(line for line in LINES if line[1] != "DEBUG")


def test_a_hold_on_services_spares_their_rows_where_rules_divide(ruled: Lake) -> None:
    held = add_hold(ruled, reason="case", tables=["raw.*"], from_day=OLD, to_day=OLD, services=["storefront"])
    assert (("keep", held.label, 2)) in decided(ruled)
    apply_plan(ruled, plan_retention(ruled, today=TODAY).plan_id, today=TODAY)
    assert lines(ruled) == [("cart", "INFO", "b"), ("shop", "DEBUG", ""), ("shop", "INFO", "")]


def test_a_hold_on_services_keeps_the_whole_day_where_nothing_divides_it(lake: Lake) -> None:
    land_logs(lake, "b1", [(OLD, *line) for line in LINES])
    lake.set_states(TABLE, {OLD: ("passed", None)})
    held = add_hold(lake, reason="case", tables=["raw.*"], from_day=OLD, to_day=OLD, services=["nobody"])
    assert decided(lake) == [("keep", held.label, 6)]


def test_an_incident_holds_its_own_service(ruled: Lake) -> None:
    land_incident(ruled, "shop-eu")
    assert incident_holds(ruled, TODAY)[0].services == ("shop-eu", "storefront")
    assert [(a, r) for a, r, n in decided(ruled) if n == 2 and r.startswith("incident")] == [
        ("keep", "incident hold s/incident_id 1: incident_id 1")
    ]


def test_an_incident_of_an_unknown_service_holds_all(ruled: Lake) -> None:
    land_incident(ruled, None)
    assert incident_holds(ruled, TODAY)[0].services == ()
    assert [(action, rows) for action, _, rows in decided(ruled)] == [("keep", 6)]


def test_a_hold_on_services_placed_after_the_plan_stops_it(ruled: Lake) -> None:
    plan = plan_retention(ruled, today=TODAY)
    add_hold(ruled, reason="case", tables=["raw.*"], from_day=OLD, to_day=OLD, services=["cart"])
    with pytest.raises(RetentionError, match="placed after plan"):
        apply_plan(ruled, plan.plan_id, today=TODAY)
    assert len(lines(ruled)) == 6


def test_late_rows_of_a_class_that_left_are_archived_on_their_own(ruled: Lake) -> None:
    apply_plan(ruled, plan_retention(ruled, today=TODAY).plan_id, today=TODAY)
    land_logs(ruled, "late", [(OLD, "cart", "INFO", "acme"), (OLD, "shop", "WARN", "")], first=100)
    apply_plan(ruled, plan_retention(ruled, today=TODAY).plan_id, today=TODAY)
    assert lines(ruled) == [("cart", "INFO", "b"), ("shop", "INFO", ""), ("shop", "WARN", "")]
    assert [b.row_count for b in recorded_bundles(ruled)] == [2, 1]
    assert verify(ruled).problems == []


def test_a_changed_service_map_stops_a_plan_over_services(ruled: Lake) -> None:
    plan = plan_retention(ruled, today=TODAY)
    ruled.settings = ruled.settings.model_copy(update={"service_map": ()})
    with pytest.raises(RetentionError, match="service_map"):
        apply_plan(ruled, plan.plan_id, today=TODAY)
    assert len(lines(ruled)) == 6


def test_a_day_that_lost_rows_is_restored_whole(ruled: Lake) -> None:
    apply_plan(ruled, plan_retention(ruled, today=TODAY).plan_id, today=TODAY)
    assert restore_into_lake(ruled, TABLE, OLD, OLD).rows == 4
    assert lines(ruled) == sorted(line for line in LINES if line[1] != "DEBUG")
    ruled.set_states(TABLE, {OLD: ("passed", None)})
    apply_plan(ruled, plan_retention(ruled, today=TODAY).plan_id, today=TODAY)
    assert len(lines(ruled)) == 2
    assert restore_into_lake(ruled, TABLE, OLD, OLD).rows == 4
    assert verify(ruled).problems == []


def test_wherever_it_is_stopped_every_row_to_be_archived_is_in_the_lake_or_in_a_bundle(ruled: Lake, tmp_path: Path) -> None:
    plan = plan_retention(ruled, today=TODAY)
    wanted = [line for line in LINES if line[1] != "DEBUG"]
    for step in ("pending", "recorded", "settled", "replacing", "replaced"):

        def die(name: str, at: str = step) -> None:
            if name == at:
                raise KeyboardInterrupt

        ruled.step = die
        with pytest.raises(KeyboardInterrupt):
            apply_plan(ruled, plan.plan_id, today=TODAY)
        ruled.step = lambda _name: None
        assert len(recorded_bundles(ruled)) == (step != "pending")
        assert len(lines(ruled)) == (2 if step == "replaced" else len(LINES))
    assert restore(ruled, TABLE, OLD, OLD, tmp_path / "out").rows + len(lines(ruled)) == len(wanted)
    assert apply_plan(ruled, plan.plan_id, today=TODAY).done_before == 1
    assert verify(ruled).problems == []


def test_rules_without_rows_ask_the_catalog_alone(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    land_logs(lake, "b1", [(OLD, *line) for line in LINES])
    lake.set_states(TABLE, {OLD: ("passed", None)})
    monkeypatch.setattr("warehouse.retention.planning.count_rows", lambda *_: pytest.fail("rows were read"))
    assert [(action, rows) for action, _, rows in decided(lake)] == [("archive", 6)]
