"""The trends report: shifts of the week with their cause, trends and odd episodes, and what is missing."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import duckdb

from reports import FORMATS, REPORTS, render
from tests.unit.reports.conftest import NOON, TODAY, put


def words(connection: duckdb.DuckDBPyConnection, folder: Path) -> str:
    """What the report says."""
    (path,) = render("trends", connection, folder, ["md"])
    return re.sub(r"\\(.)", r"\1", path.read_text(encoding="utf-8")).replace("\u00a0", " ")


def test_only_shifts_of_the_week_are_this_weeks(filled, tmp_path):
    text = words(filled, tmp_path)
    assert "No level shifted for good since 16 Nov 2026." in text
    assert "Shifts before that" in text
    recent = {"day": TODAY, "series_id": "cart/error_ratio", "service": "cart", "measure": "error_ratio", "time": NOON - timedelta(days=2)}
    sizes = {"before": 0.01, "after": 0.02, "relative_change": 1.0, "relative_change_lo": 0.8, "relative_change_hi": 1.2, "q_value": 1e-9}
    why = {"change_id": "d1", "change_kind": "deploy", "change_title": "cart 7", "change_service": "cart", "change_distance_h": 0.5}
    put(filled, "mart.change_points", [recent | sizes | why | {"status": "ok"}])
    text = words(filled, tmp_path)
    assert "1 lasting shift since 16 Nov 2026; next to 1 of them lies a deploy, release or change." in text
    assert "cart: share of failed requests +100% (+80% to +120%) since 20 Nov 2026, 12:00 UTC" in text
    assert "Nearest change: deploy cart 7 (0.5 h before)." in text


def test_trends_are_told_and_drawn(filled, tmp_path):
    text = words(filled, tmp_path)
    assert "3 of 3 series rise or fall steadily" in text
    assert "catalogue: log errors up by 42% in 30 days" in text
    sections = {section.key: section for section in REPORTS["trends"].build(filled, made_at=NOON).sections}
    assert [chart.title for chart in sections["lasting"].charts] == ["catalogue: log errors", "cart: requests"]
    assert [chart.title for chart in sections["changed"].charts] == ["checkout: p95 latency", "search: p95 latency"]


def test_odd_hours_of_the_week_are_told_as_episodes(filled, tmp_path):
    assert "1 episode of odd hours since 16 Nov 2026, 1 in all that is looked at." in words(filled, tmp_path)
    filled.execute("UPDATE mart.anomaly_episodes SET start_time = start_time - INTERVAL 30 DAY, end_time = end_time - INTERVAL 30 DAY")
    assert "0 episodes of odd hours since 16 Nov 2026, 1 in all that is looked at." in words(filled, tmp_path)


def test_every_query_runs_unchanged(filled):
    report = REPORTS["trends"].build(filled, made_at=NOON)
    assert len(report.queries) == 7
    for statement in report.queries.values():
        filled.execute(statement)


def test_empty_and_missing_marts_make_a_report_in_every_format(empty, tmp_path):
    assert all(path.stat().st_size > 0 for path in render("trends", empty, tmp_path / "empty", FORMATS))
    assert "Changes have not been looked for yet." in words(empty, tmp_path)
    with duckdb.connect() as nothing:
        assert "There is no data yet" in words(nothing, tmp_path)
