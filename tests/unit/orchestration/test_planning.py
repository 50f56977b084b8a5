"""What is planned: every day that has work is in exactly one run for each of its steps, and no step is there without a day for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.planning import GAP_DAYS, LONG_RANGE_ROWS, RANGE_DAYS, Needs, Work, days_of, needs_of, plan, ranges_of
from tests.lakes import DAY
from transforms.model import load_models
from warehouse.contracts import CONTRACTS
from warehouse.lake import Slice
from warehouse.lake.pending import pending_days
from warehouse.lake.state import NO_DAY, DayState

MODELS = load_models()
RAW = tuple(name for name, c in CONTRACTS.items() if c.schema == "raw")
TABLES = (*RAW, *MODELS)
UNTIL = DAY + timedelta(days=400)
NEW = DayState(1, "unchecked", 5, None, 1)
PASSED = DayState(1, "passed", 5, None, 1)

states_of_days = st.dictionaries(
    st.integers(0, 420).map(lambda n: DAY + timedelta(days=n)),
    st.builds(
        DayState,
        st.integers(1, 3),
        st.sampled_from(["unchecked", "passed", "blocked", "waved", "dropped"]),
        st.just(5),
        st.none(),
        st.just(1),
    ),
    max_size=6,
)
lakes = st.dictionaries(st.sampled_from([t for t in TABLES if CONTRACTS[t].has_day]), states_of_days, max_size=6)


def needs(known: Mapping[str, Mapping[date, DayState]], force_within: Slice | None = None) -> Needs:
    return needs_of(known, TABLES, MODELS.values(), until=UNTIL, force_within=force_within)


def steps(works: tuple[Work, ...], wanted: Needs) -> list[tuple[str, str, date]]:
    """(step, table, day) of every day that the runs work on."""
    found = []
    for work in works:
        within = set(days_of(work.days)) if work.days else None
        for kind, tables, by_table in (("check", work.checks, wanted.checks), ("build", work.builds, wanted.builds)):
            for table in tables:
                own = [(kind, table, d) for d in by_table[table] if within is None or d in within]
                assert own, f"{work} {kind}s {table} without a day for it"
                found += own
    return found


@given(lakes)
def test_everything_that_has_work_is_planned_once_and_nothing_else(known: Mapping[str, Mapping[date, DayState]]) -> None:
    wanted = needs(known)
    works = plan(wanted)
    expected = [
        (k, t, d) for k, by_table in (("check", wanted.checks), ("build", wanted.builds)) for t, days in by_table.items() for d in days
    ]
    found = steps(works, wanted)
    apart = works[0].checks if works and works[0].days is None else frozenset()
    built_again = {step for step in found if step[0] == "check" and step[1] in apart and found.count(step) == 2}
    assert set(found) == set(expected)
    assert len(found) - len(built_again) == len(expected)
    assert all(t in MODELS for _, t, _ in built_again)


@given(lakes)
def test_every_dirty_day_is_seen(known: Mapping[str, Mapping[date, DayState]]) -> None:
    """What is written but not checked, and what the rule for one model alone calls pending."""

    class Lake:
        def states(self, table: str) -> Mapping[date, DayState]:
            return known.get(table, {})

    wanted = needs(known)
    for table, days in known.items():
        assert {d for d, s in days.items() if s.state == "unchecked" and d <= UNTIL} <= wanted.checks.get(table, frozenset())
    for name, model in MODELS.items():
        built_below = any(wanted.builds.get(i) for i in model.inputs)
        pending = {d for d in pending_days(Lake(), name, model.lookback, usable=("passed", "waved", "unchecked")).build if d <= UNTIL}
        found = wanted.builds.get(name, frozenset())
        assert pending <= found if built_below else pending == found
        assert found <= wanted.checks.get(name, frozenset())


def test_a_lake_without_work_has_no_plan() -> None:
    assert plan(needs({})) == ()
    assert plan(needs({"raw.changes": {DAY: PASSED}, "raw.metric_series": {NO_DAY: PASSED}})) == ()


def test_what_no_model_reads_is_checked_in_one_run_however_far_apart_its_days_lie() -> None:
    days = [DAY + timedelta(days=40 * i) for i in range(11)]
    (work,) = plan(needs({"raw.changes": dict.fromkeys(days, NEW), "raw.metric_series": {NO_DAY: NEW}}))
    assert work == Work(None, frozenset({"raw.changes", "raw.metric_series"}), frozenset())
    assert str(work) == "check raw.changes, raw.metric_series"


def test_a_day_runs_what_reads_it_and_what_reads_that() -> None:
    (work,) = plan(needs({"raw.incidents": {DAY: NEW}, "raw.changes": {DAY: NEW}, "raw.costs": {DAY: PASSED}}, None))
    assert work.builds >= {"core.incidents", "mart.incident_metrics_monthly", "mart.service_health_daily"}
    assert work.checks == {"raw.incidents", "raw.changes", *work.builds}
    assert str(work) == f"days {DAY} to {DAY}"
    (work,) = plan(needs({"raw.logs": {DAY: NEW}}))
    assert work.days == Slice(DAY, DAY + timedelta(days=1))
    assert work.builds == {"core.log_rollup_1h", "mart.service_health_daily"}
    assert work.checks == {"raw.logs", *work.builds}


def test_what_is_built_from_days_before_is_built_in_the_same_run() -> None:
    """An incident of a day counts in the months after it: all of them are planned, not left for the next run to find."""
    later = DAY + timedelta(days=300)
    wanted = needs({"raw.incidents": {DAY: NEW, later: PASSED}, "core.incidents": {later: DayState(1, "passed", 1, "built", 1)}})
    assert wanted.builds["mart.incident_metrics_monthly"] == {DAY, later}


def test_a_table_with_days_apart_is_checked_first_and_whole_and_again_only_where_it_is_built() -> None:
    apart = DAY + timedelta(days=40)
    mart = "mart.service_health_daily"
    first, second = plan(needs({"raw.logs": {DAY: NEW}, "raw.changes": {DAY: NEW, apart: NEW}, mart: {apart: NEW}}))
    assert first == Work(None, frozenset({"raw.changes", mart}), frozenset())
    assert second.days == Slice(DAY, DAY + timedelta(days=1))
    assert second.checks == {"raw.logs", "core.log_rollup_1h", mart}


@pytest.mark.parametrize("state", ["blocked", "dropped"])
def test_what_cannot_be_read_again_builds_nothing(state: str) -> None:
    known = {"raw.logs": {DAY: DayState(2, state, 5, None, 1)}}
    assert plan(needs(known)) == ()


def test_days_to_come_wait() -> None:
    assert plan(needs({"raw.logs": {UNTIL + timedelta(days=1): NEW}})) == ()


def settled(raw: Mapping[str, Mapping[date, DayState]]) -> dict[str, Mapping[date, DayState]]:
    """Day states after everything was built and passed."""
    known = dict(raw)

    class Lake:
        def states(self, table: str) -> Mapping[date, DayState]:
            return known.get(table, {})

    for name, model in MODELS.items():
        known[name] = {d: DayState(1, "passed", 1, mark, 1) for d, mark in pending_days(Lake(), name, model.lookback).build.items()}
    return known


def test_force_builds_and_checks_the_window_again_and_no_other_day() -> None:
    known = settled({"raw.logs": dict.fromkeys((DAY, DAY + timedelta(days=1)), PASSED), "raw.changes": {DAY - timedelta(days=1): PASSED}})
    assert plan(needs(known)) == ()
    wanted = needs(known, Slice(DAY - timedelta(days=1), DAY + timedelta(days=1)))
    assert wanted.builds == {"core.log_rollup_1h": {DAY}, "mart.service_health_daily": {DAY}}
    assert wanted.checks == {"raw.logs": {DAY}, **wanted.builds}


@given(st.frozensets(st.integers(0, 900), max_size=60))
def test_ranges_hold_every_day_and_are_short_and_dense(offsets: frozenset[int]) -> None:
    days = sorted(DAY + timedelta(days=n) for n in offsets)
    ranges = ranges_of(days)
    covered = [d for r in ranges for d in days_of(r)]
    assert set(days) <= set(covered)
    assert len(covered) == len(set(covered))
    for one in ranges:
        held = [d for d in days if one.start <= d < one.end]
        assert (held[0], held[-1]) == (one.start, one.end - timedelta(days=1))
        assert (one.end - one.start).days <= RANGE_DAYS
        assert all((b - a).days <= GAP_DAYS for a, b in pairwise(held))


@pytest.mark.parametrize(("rows", "lengths"), [(1_000, [92, 92, 16]), (LONG_RANGE_ROWS // 60, [60, 60, 60, 20]), (10**6, [30] * 6 + [20])])
def test_ranges_of_days_with_few_rows_are_longer(rows: int, lengths: list[int]) -> None:
    days = [DAY + timedelta(days=n) for n in range(200)]
    assert [(one.end - one.start).days for one in ranges_of(days, rows=dict.fromkeys(days, rows))] == lengths


def test_what_the_lake_holds_says_how_long_a_range_is() -> None:
    days = {DAY - timedelta(days=n): PASSED for n in range(80)}
    few, many = (needs({"raw.logs": {day: replace(state, row_count=n) for day, state in days.items()}}) for n in (10, 10**6))
    assert [sum(1 for work in plan(wanted) if work.days) for wanted in (few, many)] == [1, 3]
