"""The second line of defence: every expectation of every suite fails on rows written past the row rules, and passes on good ones.

Rows go straight into the storage tables (their NOT NULL dropped). The days: GOOD holds valid rows; LACKING one row per missing column,
one that repeats a grain, one of another day, and a row count that is wrong; BREAKING one row per rule; EMPTY was written without rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from orchestration.checks import engine
from orchestration.checks.engine import Outcome, Validator
from orchestration.checks.suite import suite_of
from orchestration.checks.validation import validate_days
from tests.contract_rows import BREAKS, OUTSIDE, TABLES, Row, row, write
from tests.lakes import DAY, open_lake
from warehouse.contracts import CONTRACTS, Contract, Expectation
from warehouse.lake.lake import Lake
from warehouse.lake.state import NO_DAY

pytestmark = pytest.mark.filterwarnings(
    "ignore:module 'sre_(constants|parse)' is deprecated:DeprecationWarning"
)  # great_expectations' import

GOOD, LACKING, BREAKING, EMPTY = (DAY + timedelta(days=i) for i in range(4))
COUNTER = 900
REPEATED = 8
WARNINGS = {
    "unit_known", "volume_like_same_weekday", "fresh", "parent_known", "not_empty", "capacity_positive", "accuracy_holds"
}  # fmt: skip
OWN_TESTS = {"fresh", "not_empty", "accuracy_holds"}

CONTRACT_BREAKS: dict[str, dict[str, list[Row]]] = {
    "raw.metric_series": {"unit_known": [{"unit": "furlong"}]},
    "raw.metric_points": {
        "series_known": [{"series_id": 4711}],
        "counters_finite": [{"series_id": COUNTER, "value": v} for v in (-1.0, float("nan"), float("inf"))],
        "volume_like_same_weekday": [{}],
    },
    "raw.metric_histograms": {"series_known": [{"series_id": 4711}], "volume_like_same_weekday": [{}]},
    "raw.spans": {"parent_known": [{"parent_span_id": "nobody"}], "volume_like_same_weekday": [{}]},
    "raw.logs": {"volume_like_same_weekday": [{}]},
    "raw.costs": {"volume_like_same_weekday": [{}]},
    "core.metric_rollup_5m": {"min_not_above_max": [{"min": 2.0}], "increase_not_negative": [{"increase": -1.0}]},
    "core.rollup_error": {
        **{f"{name}_within_sketch_error": [{f"{name}_error": 0.021}] for name in ("p50", "p95", "p99")},
        **{f"{name}_exact": [{f"{name}_error": 1e-3}] for name in ("avg", "increase")},
    },
    "core.metric_rollup_1h": {"min_not_above_max": [{"min": 2.0}], "increase_not_negative": [{"increase": -1.0}]},
    "core.span_rollup_5m": {"errors_within_count": [{"error_count": 2}], "sketch_complete": [{"duration_sketch": [(1, [2])]}]},
    "core.resource_usage_1h": {"capacity_positive": [{"capacity": 0.0}], "mean_not_above_max": [{"used_mean": 1.1}]},
    "core.costs_daily": {"reconciles_with_raw": [{"billed_cost": 100}]},
    "mart.service_health_daily": {
        "error_ratio_valid": [{"error_ratio": 1.5}, {"error_ratio": -0.5}],
        "percentiles_ordered": [{"latency_p95_ms": 0.5}, {"latency_p99_ms": 1.5}],
    },
    "mart.capacity_forecasts": {
        "interval_ordered": [{"lo_95": 2.5}, {"lo_80": 3.5}, {"hi_95": 2.5}],
        "shares_valid": [{"p_exceed": 1.1}, {"p_exceeded_by": -0.1}],
    },
    "mart.capacity_plan": {
        "shares_valid": [{"p_exceed_by_lead_time": 1.1}, {"warned_in_time": -0.5}, {"false_warnings": float("nan")}],
    },
    "mart.anomaly_episodes": {"probability_whole": [{"episode_id": "one", "probability": 0.4}, {"episode_id": "one", "probability": 0.5}]},
    "mart.forecast_accuracy": {"shares_valid": [{"coverage_80": 1.1}, {"coverage_95": -0.1}]},
    "mart.capacity_decisions": {"shares_valid": [{"p_exceed_by_lead_time": 1.1}]},
    "mart.capacity_scenarios": {"shares_valid": [{"p_exceed_by_lead_time": -0.1}]},
    "mart.capacity_totals": {"interval_ordered": [{"lo_95": 2.5}, {"lo_80": 3.5}, {"hi_95": 2.5}]},
}
"""Rows that break a contract's own expectations. What the suite adds itself is broken in `lacking_rows` and `breaking_rows`."""

ODD_BUT_GOOD: dict[str, list[Row]] = {
    "raw.metric_points": [{"series_id": 1, "value": float("nan")}, {"series_id": COUNTER, "value": 0.0}],
    "raw.metric_series": [{"series_id": COUNTER, "kind": "counter", "is_monotonic": True}, {"unit": None}],
    "raw.spans": [{"trace_id": "trace_id 1", "parent_span_id": "span_id 1"}],
}
"""Good rows that a sloppy check would complain about."""


def good_rows(table: Contract, day: date = GOOD) -> list[Row]:
    plain = [row(table, n, day) for n in (1, 2)]
    return plain + [row(table, n, day) | odd for n, odd in enumerate(ODD_BUT_GOOD.get(table.full_name, []), 3)]


def lacking_rows(table: Contract) -> dict[str, Row]:
    """Expectation -> the row on LACKING that breaks it."""
    names = [e.name for e in suite_of(table).expectations if e.name.startswith("required_")]
    rows = {name: row(table, n, LACKING) | {name.removeprefix("required_"): None} for n, name in enumerate(names, 10)}
    rows["grain_unique"] = row(table, REPEATED, LACKING) | {"batch_id": "another"}
    if table.has_day and table.time_column != "day":
        rows["time_in_day"] = row(table, 9, LACKING) | {str(table.time_column): OUTSIDE}
    return rows


def breaking_rows(table: Contract) -> dict[str, list[Row]]:
    """Expectation -> the rows on BREAKING that break it."""
    rules = {name: [change] for name, change in BREAKS.get(table.full_name, {}).items()}
    wanted = rules | CONTRACT_BREAKS.get(table.full_name, {})
    if table.has_source and table.shape == "event":
        wanted["quarantined_share"] = [{"batch_id": f"lossy {table.full_name}"}]
    numbers = iter(range(100, 1000))
    return {name: [row(table, next(numbers), BREAKING) | change for change in changes] for name, changes in wanted.items()}


def insert(lake: Lake, table: Contract, day: date, rows: list[Row]) -> None:
    """Write rows of a partition past every rule."""
    schema = lake.query(f"SELECT * FROM {table.full_name} LIMIT 0").schema
    fixed = {"source": "s", "batch_id": "batch"} if table.has_source else {}
    texts = [{**fixed, **({"day": day} if table.has_day else {}), **one} for one in rows]
    uuids = {c.name for c in table.columns if c.type == "UUID"}
    arrays = [
        pa.array(
            [str(v) if f.name in uuids and (v := t.get(f.name)) else t.get(f.name) for t in texts],
            pa.string() if f.name in uuids else f.type,
        )
        for f in schema
    ]
    lake.connection.register("past_the_rules", pa.table(arrays, names=schema.names))
    lake.connection.execute(f"INSERT INTO {table.storage_name} BY NAME SELECT * FROM past_the_rules")
    lake.connection.unregister("past_the_rules")


def state(lake: Lake, table: Contract, day: date, rows: int, said: str = "unchecked", version: int = 1) -> None:
    lake.record_states(table.full_name, {day: (version, said, rows, None, None)}, None)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake with good and broken days of every table."""
    with open_lake(tmp_path_factory.mktemp("checks")) as opened:
        opened.connection.execute("BEGIN")
        for table in TABLES:
            for column in table.stored_columns:
                if column.required:
                    opened.connection.execute(f'ALTER TABLE {table.storage_name} ALTER COLUMN "{column.name}" DROP NOT NULL')
        opened.connection.execute("COMMIT")
        opened.connection.execute("BEGIN")
        for table in TABLES:
            fill(opened, table)
        log_loss(opened)
        opened.connection.execute("COMMIT")
        yield opened


def fill(lake: Lake, table: Contract) -> None:
    insert(lake, table, GOOD, good_rows(table))
    if not table.has_day:
        state(lake, table, NO_DAY, len(good_rows(table)))
        return
    broken = [one for rows in breaking_rows(table).values() for one in rows]
    lacking = [row(table, REPEATED, LACKING), *lacking_rows(table).values()]
    insert(lake, table, LACKING, lacking)
    insert(lake, table, BREAKING, broken)
    readable = "passed" if table.full_name == "raw.costs" else "unchecked"
    for day, count in ((GOOD, len(good_rows(table))), (LACKING, len(lacking) + 1), (BREAKING, len(broken)), (EMPTY, 0)):
        state(lake, table, day, count, readable)
    for weeks in (1, 2):
        state(lake, table, BREAKING - timedelta(weeks=weeks), 1000, "passed")


def log_loss(lake: Lake) -> None:
    """Batches of which exactly 5% (good) and a little more went to quarantine."""
    now = datetime(2026, 3, 9)
    for batch, lost in (("batch", 5), ("lossy", 6)):
        for table in TABLES:
            name = batch if batch == "batch" else f"{batch} {table.full_name}"
            values = [name, "s", table.full_name, None, "f", None, None, 100, 100 - lost, 0, lost, 0, None, now, now, None]
            lake.connection.execute(f"INSERT INTO store.meta_ingest_log VALUES ({', '.join('?' * len(values))})", values)


@pytest.fixture(scope="module")
def validator(lake: Lake) -> Validator:
    """Great Expectations over it: one for all tests, since its import takes seconds."""
    return Validator(lake.connection)


def failing(outcomes: list[Outcome]) -> dict[str, Outcome]:
    return {o.name: o for o in outcomes if not o.success}


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.full_name)
def test_good_rows_pass_and_every_expectation_fails_on_what_breaks_it(lake: Lake, validator: Validator, table: Contract) -> None:
    suite = suite_of(table).expectations
    lacking, breaking = lacking_rows(table), breaking_rows(table)
    assert {e.name for e in suite} - OWN_TESTS == {"row_count_as_committed", *lacking, *breaking}
    assert {e.name for e in suite if e.severity == "warn"} == {e.name for e in suite} & WARNINGS
    assert {o.name: o.result for o in validator.validate(table, suite, days_of(table, GOOD)) if not o.success} == {}

    first = chosen(suite, {"row_count_as_committed", *lacking})
    second = chosen(suite, set(breaking))
    found = failing(on_day(lake, validator, table, LACKING, first, [row(table, REPEATED), *lacking.values()]))
    assert set(found) == {e.name for e in first}
    assert {n: found[n].unexpected_count for n in found if n.startswith("required_")} == {n: 1 for n in found if n.startswith("required_")}
    found |= failing(on_day(lake, validator, table, BREAKING, second, [one for rows in breaking.values() for one in rows]))
    assert set(found) == {e.name for e in (*first, *second)}
    assert not any("exception" in o.result for o in found.values())


def days_of(table: Contract, day: date) -> list[date]:
    return [day if table.has_day else NO_DAY]


def chosen(suite: tuple[Expectation, ...], names: set[str]) -> list[Expectation]:
    return [e for e in suite if e.name in names]


def on_day(lake: Lake, validator: Validator, table: Contract, day: date, wanted: list[Expectation], rows: list[Row]) -> list[Outcome]:
    """Outcomes of a day; a table without days is given its rows for as long as this takes."""
    if not wanted:
        return []
    if table.has_day:
        return validator.validate(table, wanted, days_of(table, day))
    insert(lake, table, day, [{"batch_id": "broken"} | one for one in rows])
    try:
        return validator.validate(table, wanted, days_of(table, day))
    finally:
        lake.connection.execute(f"DELETE FROM {table.storage_name} WHERE batch_id IS DISTINCT FROM 'batch'")


def test_a_day_that_was_written_without_rows_is_told(lake: Lake, validator: Validator) -> None:
    for table in TABLES:
        wanted = chosen(suite_of(table).expectations, {"not_empty"})
        if wanted:
            assert set(failing(validator.validate(table, wanted, [EMPTY]))) == {"not_empty"}
    asked = {t.full_name for t in TABLES if "not_empty" in {e.name for e in suite_of(t).expectations}}
    assert asked == {"raw.metric_points", "raw.spans", "raw.logs"}


@pytest.mark.parametrize("name", ["raw.metric_points", "raw.spans", "raw.logs"])
def test_only_the_open_day_must_be_fresh(lake: Lake, validator: Validator, name: str) -> None:
    table, now = CONTRACTS[name], datetime.now(UTC).replace(tzinfo=None)
    wanted = chosen(suite_of(table).expectations, {"fresh"})
    stale = row(table, 1) | {"time": now - timedelta(hours=2, minutes=1)}
    insert(lake, table, now.date(), [stale])
    assert not validator.validate(table, wanted, [GOOD, now.date()])[0].success
    insert(lake, table, now.date(), [row(table, 2) | {"time": now - timedelta(hours=1, minutes=59)}])
    assert validator.validate(table, wanted, [GOOD, now.date()])[0].success
    lake.connection.execute(f"DELETE FROM {table.storage_name} WHERE day = ?", [now.date()])


@pytest.mark.parametrize(("recent", "naive", "said"), [(1.0, 0.9, True), (2.1, 2.2, True), (2.1, 0.9, False)])
def test_forecasts_whose_errors_have_doubled_are_a_warning(
    lake: Lake, validator: Validator, recent: float, naive: float, said: bool
) -> None:
    """Unless the seasonal naive ones err as much: then it is the series that have changed."""
    table, today = CONTRACTS["mart.forecast_accuracy"], date(2026, 8, 30)
    wanted = chosen(suite_of(table).expectations, {"accuracy_holds"})
    for ago in range(14):
        day = today - timedelta(days=ago)
        errors = {"mase": recent if ago < 7 else 1.0, "mase_seasonal_naive": naive if ago < 7 else 1.1}
        insert(lake, table, day, [row(table, 1, day) | errors])
    try:
        assert validator.validate(table, wanted, [today])[0].success is said
    finally:
        lake.connection.execute(f"DELETE FROM {table.storage_name} WHERE day > ?", [today - timedelta(days=14)])


def test_the_open_day_may_hold_little_but_not_too_much(lake: Lake, validator: Validator) -> None:
    table, today = CONTRACTS["raw.logs"], datetime.now(UTC).date()
    wanted = chosen(suite_of(table).expectations, {"volume_like_same_weekday"})
    for weeks in (1, 2):
        state(lake, table, today - timedelta(weeks=weeks), 3, "passed")
    state(lake, table, today, 1)
    insert(lake, table, today, [row(table, n, today) for n in range(9)])
    assert validator.validate(table, wanted, [today])[0].success
    insert(lake, table, today, [row(table, 9, today)])
    assert not validator.validate(table, wanted, [today])[0].success
    for weeks in (1, 2):
        state(lake, table, today - timedelta(weeks=weeks), 1000, "passed", version=2)
    assert validator.validate(table, wanted, [today])[0].success
    lake.connection.execute(f"DELETE FROM {table.storage_name} WHERE day = ?", [today])


@pytest.mark.parametrize(
    ("said", "core", "agrees"),
    [("passed", 1, True), ("passed", 0, False), ("waved", 0, False), ("blocked", 0, True), ("unchecked", 2, True)],
)
def test_costs_agree_with_the_bill_where_it_may_be_read(lake: Lake, validator: Validator, said: str, core: int, agrees: bool) -> None:
    raw, daily, day = CONTRACTS["raw.costs"], CONTRACTS["core.costs_daily"], date(2026, 4, 1)
    insert(lake, raw, day, [row(raw, 1, day)])
    insert(lake, daily, day, [row(daily, n, day) for n in range(core)])
    state(lake, raw, day, 1, said)
    outcome = validator.validate(daily, chosen(suite_of(daily).expectations, {"reconciles_with_raw"}), [day])[0]
    for table in (raw, daily):
        lake.connection.execute(f"DELETE FROM {table.storage_name} WHERE day = ?", [day])
    lake.connection.execute("DELETE FROM store.meta_day_state WHERE table_name = 'raw.costs' AND day = ?", [day])
    assert outcome.success is agrees


def test_a_verdict_names_the_day_and_only_that_day(lake: Lake, validator: Validator) -> None:
    table = CONTRACTS["raw.changes"]
    days = [date(2026, 5, 1) + timedelta(days=i) for i in range(6)]
    bad = {days[1]: {"kind": "?"}, days[3]: {"kind": "?"}, days[4]: {"kind": ""}}
    for number, day in enumerate(days):
        insert(lake, table, day, [row(table, 50 + number, day) | bad.get(day, {})])
        state(lake, table, day, 1, {days[3]: "blocked", days[4]: "waved"}.get(day, "unchecked"))
    asked = [d for d in days if d != days[3]]
    verdict = validate_days(lake, validator, table, asked)
    assert verdict.blocked == {days[1]: "kind_known", days[4]: "kind_known"}
    states = {d: s.state for d, s in lake.states(table.full_name).items() if d in days}
    assert [states[d] for d in days] == ["passed", "blocked", "passed", "blocked", "waved", "passed"]
    recorded = lake.connection.execute(
        "SELECT day, check_name, severity, unexpected_count FROM meta.check_results WHERE table_name = ? AND NOT success ORDER BY day",
        [table.full_name],
    ).fetchall()
    assert recorded == [(days[1], "kind_known", "error", 1), (days[4], "kind_known", "error", 1)]
    counted = "SELECT count(*), count(DISTINCT day) FROM meta.check_results WHERE table_name = ? AND success"
    suite = len(suite_of(table).expectations)
    assert lake.connection.execute(counted, [table.full_name]).fetchone() == (suite * len(asked) - 2, len(asked))


def test_days_between_those_that_are_asked_for_are_not_read(lake: Lake, validator: Validator) -> None:
    """Neither judged nor opened: years between two days cost nothing."""
    table = CONTRACTS["raw.logs"]
    days = [date(2026, 6, 1), date(2026, 6, 20), date(2026, 7, 20)]
    for number, day in enumerate(days):
        insert(lake, table, day, [row(table, 60 + number, day) | ({"severity": "?"} if number == 1 else {})])
        state(lake, table, day, 1, "blocked" if number == 1 else "unchecked")
    between = lake.connection.execute(f"SELECT DISTINCT filename FROM {table.storage_name} WHERE day = ?", [days[1]]).fetchall()
    for (file,) in between:
        Path(file).rename(f"{file}.away")
    verdict = validate_days(lake, validator, table, [days[0], days[2]])
    for (file,) in between:
        Path(f"{file}.away").rename(file)
    assert between
    assert verdict.blocked == {}
    assert {o.name: o.result for o in verdict.outcomes if not o.success} == {}
    assert [lake.states(table.full_name)[d].state for d in days] == ["passed", "blocked", "passed"]


class Untold:
    """A validator whose rows do not say their day."""

    def blame(self, _contract: Contract, _expectation: Expectation, _days: Sequence[date]) -> dict[date, int]:
        return {}


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.full_name)
def test_rows_at_fault_name_their_day_as_asking_day_by_day_does(lake: Lake, validator: Validator, table: Contract) -> None:
    if not table.has_day:
        return
    days = [GOOD, LACKING, BREAKING, EMPTY]
    for expectation in suite_of(table).expectations:
        told = validator.blame(table, expectation, days)
        if told:
            alone = {day: validator.validate(table, [expectation], [day])[0] for day in days}
            assert told == {day: o.unexpected_count for day, o in alone.items() if not o.success}, expectation.name


def test_many_rows_are_checked_in_parts_and_every_part_keeps_its_verdict(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    table = CONTRACTS["raw.changes"]
    days = [date(2026, 9, 1) + timedelta(days=3 * i) for i in range(5)]
    for day, rows in zip(days, (2, 1, 9, 1, 2), strict=True):
        state(lake, table, day, rows)
    monkeypatch.setattr("orchestration.checks.validation.ROWS_AT_ONCE", 3)
    asked: list[list[date]] = []

    class Scripted(Untold):
        def validate(self, contract: Contract, expectations: Any, asked_for: Sequence[date]) -> list[Outcome]:
            asked.append(list(asked_for))
            return [Outcome(e.name, e.severity, e.name != "kind_known" or days[3] not in asked_for, 1, {}) for e in expectations]

    verdict = validate_days(lake, Scripted(), table, days)
    assert asked == [days[:2], days[2:3], days[3:], days[3:4], days[4:]]
    assert (verdict.days, verdict.blocked) == (tuple(days), {days[3]: "kind_known"})
    assert [lake.states(table.full_name)[d].state for d in days] == ["passed", "passed", "passed", "blocked", "passed"]


def test_an_expectation_that_cannot_be_run_fails_alone_and_says_why(lake: Lake, validator: Validator) -> None:
    table = CONTRACTS["raw.logs"]
    broken = Expectation("broken", "no_rows", "error", "d", sql="SELECT CAST(b.body || 'x' AS INTEGER) FROM {batch} AS b WHERE error('no')")
    missing = Expectation("missing", "no_rows", "error", "d", sql="SELECT b.nonsense FROM {batch} AS b")
    good = chosen(suite_of(table).expectations, {"severity_known", "grain_unique"})
    outcomes = {o.name: o for o in validator.validate(table, [broken, missing, *good], [GOOD])}
    assert {n: o.success for n, o in outcomes.items()} == {"broken": False, "missing": False, "severity_known": True, "grain_unique": True}
    assert "nonsense" in str(outcomes["missing"].result["exception"])


def test_a_day_that_is_written_while_it_is_checked_stays_unchecked(lake: Lake) -> None:
    table, days = CONTRACTS["raw.changes"], [date(2026, 7, 1), date(2026, 7, 2)]
    for day in days:
        insert(lake, table, day, [row(table, day.day, day)])
        state(lake, table, day, 1)

    class Slow(Untold):
        def validate(self, contract: Contract, expectations: Any, _days: Sequence[date]) -> list[Outcome]:
            state(lake, contract, days[0], 2, version=2)
            return [Outcome(e.name, e.severity, True, None, {}) for e in expectations]

    validate_days(lake, Slow(), table, days)
    states = lake.states(table.full_name)
    assert [(states[d].version, states[d].state) for d in days] == [(2, "unchecked"), (1, "passed")]


def test_a_batch_that_was_lost_whole_blocks_its_day_until_it_is_replaced(lake: Lake, validator: Validator) -> None:
    table, day = CONTRACTS["raw.logs"], date(2026, 8, 1)

    def verdict() -> dict[date, str]:
        assert lake.states(table.full_name)[day].state == "unchecked"
        return validate_days(lake, validator, table, [day]).blocked

    write(lake, table, [row(table, n, day) for n in range(3)], batch="good")
    assert verdict() == {}
    bad = [row(table, 5, day) | {"severity": "?"}, row(table, 6, date(2026, 8, 2)) | {"severity": "?"}]
    write(lake, table, bad, batch="bad")
    assert verdict() == {day: "quarantined_share"}
    assert date(2026, 8, 2) not in lake.states(table.full_name)
    write(lake, table, [row(table, 5, day)], batch="mended", supersedes=("bad",))
    assert verdict() == {}


@pytest.mark.parametrize("day", [GOOD, BREAKING])
def test_rows_that_are_held_and_rows_that_are_read_in_the_lake_get_one_verdict(
    lake: Lake, validator: Validator, day: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day of few rows is read once and then checked beside the lake; one of many is asked for by every expectation."""
    table = CONTRACTS["raw.spans"]
    held = validator.validate(table, suite_of(table).expectations, [day])
    monkeypatch.setattr(engine, "HELD_ROWS", 0)
    assert validator.validate(table, suite_of(table).expectations, [day]) == held
    assert not any("exception" in o.result for o in held)
