"""Which days a logged query read, and whom a plan would hurt."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.lake.lake import Lake
from warehouse.retention.impact import impacts, rollups_of
from warehouse.retention.past_queries import PastQuery, Window, past_queries, windows_of
from warehouse.retention.policy import Action, Decision
from warehouse.retention.worth import Uses, worths

RAN = datetime(2026, 5, 20, 13, 30)
TODAY = date(2026, 6, 1)
DAY = date(2026, 5, 20)


def days(text: str) -> list[tuple[str, str | None, str | None]]:
    """Windows as text; None where the query sets no end."""
    ends = [(w.table, w.first if w.first != date.min else None, w.last if w.last != date.max else None) for w in windows_of(text, RAN)]
    return [(t, f and f.isoformat(), last and last.isoformat()) for t, f, last in ends]


@pytest.mark.parametrize(
    ("condition", "first", "last"),
    [
        ("day = DATE '2026-05-01'", "2026-05-01", "2026-05-01"),
        ("day >= '2026-05-01' AND day < '2026-05-03'", "2026-05-01", "2026-05-02"),
        ("'2026-05-03' > day AND (day >= '2026-05-01')", "2026-05-01", "2026-05-02"),
        ("time BETWEEN TIMESTAMP '2026-05-01 10:00' AND '2026-05-02 11:00:00'", "2026-05-01", "2026-05-02"),
        ("time >= now() - INTERVAL 36 HOUR", "2026-05-19", None),
        ("day >= current_date - 7 AND day <= today()", "2026-05-13", "2026-05-20"),
        ("day > current_date - INTERVAL '1 month'", "2026-04-20", None),
        ("time >= date_trunc('month', now())", "2026-05-01", None),
        ("time::DATE = '2026-05-04'", "2026-05-04", "2026-05-04"),
        ("CAST(time AS DATE) IN ('2026-05-04', DATE '2026-05-02')", "2026-05-02", "2026-05-04"),
        ("time < TIMESTAMP '2026-05-03 00:00:00'", None, "2026-05-02"),
        ("day = '2026-05-01' OR service = 'shop'", None, None),
        ("NOT day = '2026-05-01'", None, None),
        ("day = (SELECT max(day) FROM core.incidents)", None, None),
        ("observed_time_unix_nano > 7", None, None),
        ("day >= '2026-05-01' AND time >= now() - INTERVAL '1 day 2 hours'", "2026-05-01", None),
        ("day >= '2026-05-01' AND time >= now() - INTERVAL 3000 YEAR", "2026-05-01", None),
        ("day >= '2026-05-01' AND day >= current_date - 900000", "2026-05-01", None),
        ("day >= '2026-05-01' AND day >= strptime('1.6.2026', '%d.%m.%Y')", "2026-05-01", None),
    ],
)
def test_the_days_that_conditions_leave(condition: str, first: str | None, last: str | None) -> None:
    assert days(f"SELECT count(*) FROM raw.logs WHERE {condition}")[0] == ("raw.logs", first, last)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("FROM raw.logs", [("raw.logs", None, None)]),
        ("WITH l AS (SELECT * FROM raw.logs WHERE day = '2026-05-01') SELECT * FROM l", [("raw.logs", "2026-05-01", "2026-05-01")]),
        ("SELECT * FROM (SELECT * FROM raw.logs) AS l WHERE day = '2026-05-01'", [("raw.logs", None, None)]),
        (
            "SELECT 1 FROM raw.logs AS l JOIN raw.spans AS s USING (trace_id) WHERE l.day = '2026-05-01'",
            [("raw.logs", "2026-05-01", "2026-05-01"), ("raw.spans", None, None)],
        ),
        (
            "SELECT 1 FROM (raw.logs LEFT JOIN raw.spans USING (trace_id)) WHERE day = '2026-05-01'",
            [("raw.logs", None, None), ("raw.spans", None, None)],
        ),
        ("SELECT 1 FROM RAW.Logs WHERE day = '2026-05-02' AND day = '2026-05-01'", []),
        ("EXPLAIN SELECT 1 FROM raw.logs", []),
        ("SELECT 1", []),
    ],
)
def test_the_tables_that_a_query_reads(query: str, found: list[tuple[str, str | None, str | None]]) -> None:
    assert sorted(days(query)) == found


def test_what_cannot_be_parsed_reads_all_days_of_the_logged_tables() -> None:
    assert windows_of("SELECT FROM WHERE ((", RAN, ["raw.logs"]) == (Window("raw.logs"),)
    assert windows_of("EXPLAIN ANALYZE SELECT 1 FROM raw.logs WHERE day = '2026-05-01'", RAN, ["raw.logs"]) == (Window("raw.logs"),)
    assert windows_of("EXPLAIN SELECT 'ANALYZE' FROM raw.logs", RAN, ["raw.logs"]) == ()
    assert windows_of("SUMMARIZE raw.logs", RAN, ["raw.logs"]) == (Window("raw.logs"),)


@settings(max_examples=30)
@given(st.dates(date(2020, 1, 1), date(2027, 1, 1)), st.integers(0, 500), st.sampled_from(("day", "time", "CAST(time AS DATE)")))
def test_no_day_that_a_range_reads_is_missed(first: date, length: int, column: str) -> None:
    last = first + timedelta(days=length)
    for upper in (f"< '{last + timedelta(days=1)}'", f"<= '{last}'", f"<= TIMESTAMP '{last} 23:59:59.999999'"):
        (window,) = windows_of(f"SELECT 1 FROM raw.logs WHERE {column} >= '{first}' AND {column} {upper}", RAN)
        assert (window.first, window.last) == (first, last)


def decision(table: str, day: date, action: Action) -> Decision:
    """A decision of which only table, day and action count."""
    return Decision(table, day, 1, action, "rule", 1, 1)


def query(text: str, *, ran: date = DAY, times: int = 1) -> PastQuery:
    """A past query as the log gives it."""
    return PastQuery(text, ran, times, windows_of(text, datetime.combine(ran, datetime.min.time())))


AGE_10 = TODAY - timedelta(days=10)
READS_10 = "SELECT 1 FROM raw.logs WHERE day = current_date - 10"


def test_days_are_compared_by_their_age_when_the_query_ran() -> None:
    leaves = [decision("raw.logs", AGE_10, "archive")]
    found = impacts(leaves, [query(READS_10), query("SELECT 1 FROM raw.logs WHERE day >= current_date - 9")], TODAY)
    assert [(i.query, i.verdict, i.first) for i in found] == [(READS_10, "fails", AGE_10)]
    assert impacts([decision("raw.logs", AGE_10, "keep")], [query(READS_10)], TODAY) == []


@pytest.mark.parametrize(
    ("condition", "hit"),
    [
        ("time < '9999-12-31'", [AGE_10]),
        ("day <= '9999-12-30'", [AGE_10]),
        ("day >= '9999-12-30'", []),
        ("day >= '0001-01-02'", [AGE_10]),
        ("day <= '0001-01-02'", []),
    ],
)
def test_ends_near_those_of_the_calendar_stop_no_plan(condition: str, hit: list[date]) -> None:
    ran = [query(f"SELECT 1 FROM raw.logs WHERE {condition}", ran=day) for day in (DAY, TODAY + timedelta(days=10))]
    leaves = [decision("raw.logs", AGE_10, "drop")]
    assert [i.first for i in impacts(leaves, ran, TODAY)] == hit
    (worth,) = worths(leaves, Uses(ran), TODAY)
    assert ("queried" in worth.why) == bool(hit)


def test_a_rollup_that_stays_makes_it_a_loss_of_resolution() -> None:
    leaves = [decision("raw.logs", AGE_10, "drop"), decision("core.log_rollup_1h", AGE_10, "keep")]
    assert [i.verdict for i in impacts(leaves, [query(READS_10)], TODAY)] == ["loses resolution"]
    both = [decision("raw.logs", AGE_10, "drop"), decision("core.log_rollup_1h", AGE_10, "drop")]
    assert [i.verdict for i in impacts(both, [query(READS_10)], TODAY)] == ["fails"]
    other = [decision("raw.logs", AGE_10, "drop"), decision("core.log_rollup_1h", DAY, "keep")]
    assert [i.verdict for i in impacts(other, [query(READS_10)], TODAY)] == ["fails"]


def test_runs_of_one_query_are_one_impact_and_failing_ones_come_first() -> None:
    often = "SELECT 1 FROM raw.spans"
    leaves = [decision("raw.logs", AGE_10, "drop"), decision("raw.spans", DAY, "drop"), decision("core.span_rollup_5m", DAY, "keep")]
    ran = [query(READS_10, times=2), query(READS_10, ran=date(2026, 5, 21), times=3), query(often, times=9)]
    assert [(i.verdict, i.times, i.last_ran) for i in impacts(leaves, ran, TODAY)] == [
        ("fails", 5, date(2026, 5, 21)),
        ("loses resolution", 9, DAY),
    ]


def test_rollups_are_those_of_the_signal() -> None:
    assert rollups_of("raw.logs") == ["core.log_rollup_1h"]
    assert "core.metric_rollup_1h" in rollups_of("raw.metric_points")
    assert rollups_of("core.metric_rollup_1h") == rollups_of("raw.costs") == rollups_of("quarantine.logs") == []


def test_the_log_is_read_without_failed_queries_and_old_ones(lake: Lake) -> None:
    def entry(number: int, text: str, started: datetime, error: str | None = None) -> tuple[object, ...]:
        return (str(number), started, 0.1, "me", text, "raw.logs", 1, error)

    old = RAN - timedelta(days=400)
    entries = [entry(1, READS_10, RAN), entry(2, READS_10, RAN), entry(3, "FROM raw.logs", RAN, "broken"), entry(4, "FROM raw.logs", old)]
    lake.append_log("meta.query_log", entries)
    found = past_queries(lake, TODAY)
    day = date(2026, 5, 10)
    assert found.queries == (PastQuery(READS_10, DAY, 2, (Window("raw.logs", day, day),)),)
    assert found.queries[0].today(TODAY) == (Window("raw.logs", AGE_10, AGE_10),)


def test_queries_beyond_the_newest_are_counted_not_hidden(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.retention.past_queries.MOST_QUERIES", 1)
    rows = [(str(n), RAN - timedelta(days=n), 0.1, "me", READS_10, "raw.logs", 1, None) for n in range(3)]
    lake.append_log("meta.query_log", rows)
    found = past_queries(lake, TODAY)
    assert ([q.ran for q in found.queries], found.skipped) == ([DAY], 2)
