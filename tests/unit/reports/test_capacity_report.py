"""The capacity report: the fleet, a section for each resource at risk, its track record, and marts that are not there."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from reports import FORMATS, REPORTS, render
from reports.capacity.fans import fan_chart
from reports.charts import Mark, _marked
from reports.page import Report
from reports.theme import svg
from tests.unit.reports.conftest import NOON, TODAY, put

MADE = datetime(2026, 11, 23)


def built(connection: duckdb.DuckDBPyConnection) -> Report:
    """The report's parts."""
    return REPORTS["capacity"].build(connection, made_at=MADE)


def words(connection: duckdb.DuckDBPyConnection, folder: Path) -> str:
    """What the report says."""
    (path,) = render("capacity", connection, folder, ["md"])
    return re.sub(r"\\(.)", r"\1", path.read_text(encoding="utf-8")).replace("\u00a0", " ")


def test_it_says_what_to_order_by_when_and_for_how_much_and_why_to_believe_it(filled, tmp_path):
    text = words(filled, tmp_path)
    for figure in (
        "2 of 3 resources with a limit may reach it; db-orders-0/pool is the most urgent. Staying under them costs USD 100 more a month.",
        "Order 40 connections for db-orders-0/pool by 1 Jan 2027, USD 100 a month.",
        "Pool of payment: 235 connections of 400 connections (59%) in use; the limit is reached around 14 Jan 2027 "
        "(80% between 9 Jan 2027 and 22 Jan 2027).",
        "Order 40 connections more by 1 Jan 2027, USD 100 a month. Adding takes 7 days.",
        "The risk within the lead time is 7.0%; at the highest expected use of its last day 143 connections are left.",
        "The forecast is a weighted median of ets and trend season, the heaviest first, chosen and weighted by how little they erred",
        "The same plan, made again on 3 past days from the data up to then, warned of 1 of the 1 time the limit was reached; "
        "1 warning of 2 in vain.",
        "With 1% more requests, use grows by 0.82% (0.74 to 0.9), which explains 87% of its variation.",
        "Black Friday, 27 Nov 2026: 412 connections expected, 1.6 times the weeks around it: over the limit.",
        "Under growth=+30%: reached around 1 Dec 2026 (as early as 27 Nov 2026), with a risk of 31% within the lead time.",
        "Made again on past days, 3 plans warned of 1 of 1 limit that was reached; 1 of 2 warnings in vain.",
        "Brier score, 0 is perfect) is 0.052, against 0.22",
        "1 resource would be worse off in 1 scenario than in the plan.",
        "pool: mean use goes from 200 connections to 300 connections by 21 Jan 2027 (+50%)",
    ):
        assert figure in text, figure


def test_resources_at_risk_come_by_risk_each_with_its_chart(filled):
    report = built(filled)
    sections = [section for section in report.sections if section.key.startswith("resource-")]
    assert [section.title for section in sections] == ["db-orders-0/pool", "arn:aws:ebs:eu-west-1:4711:volume/vol-0a41be77/disk"]
    assert all(len(section.charts) == 1 for section in sections)
    named = {finding.query for section in report.sections for finding in section.findings}
    assert named <= set(report.queries)


def test_the_fan_marks_the_limit_and_the_days_that_count(filled):
    section = next(section for section in built(filled).sections if section.key == "resource-1")
    drawing = svg(section.charts[0], "wide")
    for mark in ("limit", "order by 1 Jan", "10%: 9 Jan", "50%: 14 Jan"):
        assert f">{mark}<" in drawing, mark
    assert "90%" not in drawing, "beyond the days that are forecast"


def test_names_of_days_stand_together_where_there_is_room_for_them():
    first = datetime(2026, 3, 1)
    days = pl.Series([first + timedelta(days=i) for i in range(60)], dtype=pl.Datetime("us"))
    for ahead, (align, place) in {
        (30, 32, 34): ("right", 30),
        (1, 2, 3): ("left", 3),
        (0, 57, 58): ("right", 57),
        (70, 75, 80): (None, None),
    }.items():
        marks = [Mark(first + timedelta(days=day), f"in {day}") for day in ahead]
        names = [layer.to_dict() for layer in _marked(marks, days)[1::2]]
        places = {next(iter(one["datasets"].values()))[0]["place"][:10] for one in names}
        assert {one["mark"]["align"] for one in names} == {align} - {None}
        assert places == {f"{first + timedelta(days=place):%Y-%m-%d}"} if place is not None else not names


def test_a_resource_without_a_limit_or_a_forecast_has_no_chart():
    row = {"resource_id": "a", "limit": None, "unit": None, "exhaustion_p10": None, "exhaustion_p50": None, "exhaustion_p90": None}
    bands = dict.fromkeys(("mean", "lo_80", "hi_80", "lo_95", "hi_95"), 1.0)
    ahead = pl.DataFrame([{"resource_id": "a", "date": TODAY} | bands])
    assert fan_chart(row, ahead, pl.DataFrame()) is None
    assert fan_chart(row | {"limit": 2.0, "resource_id": "b"}, ahead, pl.DataFrame()) is None
    assert fan_chart(row | {"limit": 2.0}, ahead, pl.DataFrame()) is not None


@pytest.mark.parametrize("missing", ["capacity_decisions", "capacity_scenarios", "demand_drivers", "seasonal_peaks", "capacity_totals"])
def test_a_mart_that_is_not_there_is_a_sentence(filled, tmp_path, missing):
    sentence = {
        "capacity_decisions": "No plan has been compared with what came yet.",
        "capacity_scenarios": "No scenario has been calculated for this day.",
        "demand_drivers": "The next peak that returns is Black Friday, 27 Nov 2026.",
        "seasonal_peaks": "The use of 1 resource answers to demand.",
        "capacity_totals": "Sums over services and teams have not been calculated yet.",
    }[missing]
    assert sentence not in words(filled, tmp_path)
    filled.execute(f"DROP TABLE mart.{missing}")
    text = words(filled, tmp_path)
    assert sentence in text
    if missing == "capacity_decisions":
        assert text.count("The plan has no track record on this resource yet.") == 2


def test_the_error_of_past_forecasts_is_told_beside_that_of_repeating_last_week(filled, tmp_path):
    line = {"resource_id": "db-orders-0/pool", "model": "ets", "observations": 7, "mase_seasonal_naive": 1.0, "status": "ok"}
    first = {"day": TODAY - timedelta(days=7), "made_on": TODAY - timedelta(days=14), "horizon_days": 7, "mase": 0.6, "coverage_95": 1.0}
    second = {"day": TODAY, "made_on": TODAY - timedelta(days=7), "horizon_days": 7, "mase": 0.8, "coverage_95": 0.8}
    other = {"day": TODAY, "made_on": TODAY - timedelta(days=30), "horizon_days": 30, "mase": 1.3, "coverage_95": 0.5}
    put(filled, "mart.forecast_accuracy", [line | first, line | second, line | other])
    text = words(filled, tmp_path)
    told = "Up to 7 days ahead, past forecasts erred 70% as much as repeating last week would; 90% of the days lay within the 95% band."
    assert told in text
    assert "erred 130%" not in text, "the lead time is seven days"
    assert "Up to 7 days ahead, 1 resource: median scaled error 0.7, 1 of repeating last week; 90% within the 95% band." in text
    assert "🟠 Up to 30 days ahead, 1 resource: median scaled error 1.3" in text


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("seasonal_naive", "The forecast repeats last week: no model erred less on the newest days of this resource."),
        ("ets", "The forecast is ets, which erred least on the newest days of this resource."),
        (None, None),
    ],
)
def test_why_this_model(filled, tmp_path, model, told):
    filled.execute("UPDATE mart.capacity_plan SET model = ?", [model])
    text = words(filled, tmp_path)
    assert told in text if told else "The forecast" not in text


def test_decisions_made_when_it_was_already_over_count_for_nothing(filled, tmp_path):
    filled.execute("UPDATE mart.capacity_decisions SET over_already = true")
    text = words(filled, tmp_path)
    assert "No past plan can be judged yet" in text or "No plan has been compared" in text
    assert text.count("The plan has no track record on this resource yet.") == 2


def test_plans_that_gave_no_warning_say_so(filled, tmp_path):
    filled.execute("UPDATE mart.capacity_decisions SET warned = false, reached = false")
    assert "plans were never followed by a limit being reached; they gave no warning." in words(filled, tmp_path)


def test_empty_and_missing_marts_make_a_report_in_every_format(empty, tmp_path):
    paths = render("capacity", empty, tmp_path / "empty", FORMATS)
    assert all(path.stat().st_size > 0 for path in paths)
    assert "No resource has both a limit and a forecast." in words(empty, tmp_path)
    with duckdb.connect() as nothing:
        assert "There is no data yet" in words(nothing, tmp_path)


def test_hostile_text_stays_text(filled, hostile, tmp_path):
    for text in hostile:
        row = {"day": TODAY, "resource_id": text, "unit": text, "status": "ok"}
        put(filled, "mart.seasonal_peaks", [row | {"occasion": text, "next_time": NOON}])
        put(filled, "mart.capacity_scenarios", [row | {"scenario": text}])
    paths = render("capacity", filled, tmp_path, FORMATS)
    source = next(path for path in paths if path.suffix == ".html").read_text(encoding="utf-8")
    assert "<script" not in source
    assert "<img" not in source
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in source
