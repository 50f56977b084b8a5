"""What the capacity plan is made from: limits over time, breaks in use where a limit changed, holidays, and the tree of totals."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from orchestration.calendars import country_of, holidays_of
from orchestration.capacity import breaks_at_limits, limits_over_time
from orchestration.capacity_totals import _complete, _parts, _sums, _tree
from warehouse.settings import Settings, parse

START = datetime(2026, 1, 1)
CHANGE = START + timedelta(days=28, hours=10)
MAP = [
    {"pattern": "^shop", "service": "shop", "team": "web", "holidays": "DE-BY"},
    {"pattern": "-jp$", "holidays": "JP"},
    {"pattern": "crm"},
]


def settings(**models: Any) -> Settings:
    return parse({"models": models, "service_map": MAP}, Path("lakebed.toml"))


def peaks(*values: float) -> pl.DataFrame:
    times = [START + timedelta(days=i) for i in range(len(values))]
    return pl.DataFrame({"series_id": "r", "time": times, "value": [float(v) for v in values]})


def usage(*capacities: float | None) -> pl.DataFrame:
    times = [START + timedelta(hours=i) for i in range(len(capacities))]
    return pl.DataFrame({"resource_id": "r", "time": times, "capacity": capacities}, schema_overrides={"capacity": pl.Float64})


def test_a_limit_holds_until_another_one_does() -> None:
    limits = pl.DataFrame({"resource_id": ["r"], "lead_time_days": [7.0]})
    found = limits_over_time(usage(None, 10, 10.05, None, 10, 20, 20, 5), limits)
    seven = timedelta(days=7)
    assert found.rows() == [
        ("r", 10.0, None, seven),
        ("r", 20.0, START + timedelta(hours=5), seven),
        ("r", 5.0, START + timedelta(hours=7), seven),
    ]
    assert limits_over_time(usage(10.0), limits.clear()).is_empty()


def test_a_limit_that_drifts_is_another_one_once_it_is_far_enough() -> None:
    limits = pl.DataFrame({"resource_id": ["r"], "lead_time_days": [7.0]})
    found = limits_over_time(usage(*[100 + 0.4 * hour for hour in range(7)]), limits)
    later = [START + timedelta(hours=hour) for hour in (3, 6)]
    assert found.select("limit", "since").rows() == [(100.0, None), (101.2, later[0]), (102.4, later[1])]


def held(since: datetime = CHANGE) -> pl.DataFrame:
    return pl.DataFrame({"resource_id": ["r", "r"], "limit": [1.0, 2.0], "since": [None, since]})


@pytest.mark.parametrize(
    ("values", "days"),
    [
        ([10 + i % 3 for i in range(28)] + [15] + [20 + i % 3 for i in range(14)], [29]),  # use moves with the limit, from the day after
        ([10 + i % 3 for i in range(43)], []),  # a volume that has grown and fills as before
        ([i * 1.0 for i in range(43)], []),  # a trend that goes on, though no two weeks overlap
        ([10] * 28 + [15, 20, 20, 20], []),  # too little is known after it
    ],
)
def test_a_changed_limit_is_a_break_where_use_moved_with_it(values: list[float], days: list[int]) -> None:
    found = breaks_at_limits(peaks(*values), held())
    assert ([] if found is None else found["time"].to_list()) == [START + timedelta(days=day) for day in days]


def test_a_limit_that_changes_at_midnight_begins_with_its_day() -> None:
    found = breaks_at_limits(peaks(*[10 + i % 3 for i in range(28)], *[20 + i % 3 for i in range(14)]), held(START + timedelta(days=28)))
    assert found is not None
    assert found["time"].to_list() == [START + timedelta(days=28)]
    assert found["known_from"].to_list() == [START + timedelta(days=35)]


@pytest.mark.parametrize(
    ("service", "country"), [("shop", "DE-BY"), ("search-jp", "JP"), ("crm", "US"), ("shopping", "US"), (None, "US"), ("other", "US")]
)
def test_holidays_are_those_of_the_service_else_the_general_ones(service: str | None, country: str) -> None:
    assert country_of(service, settings(holidays="US")) == country


def test_holidays_reach_to_the_end_of_the_forecast() -> None:
    series = pl.DataFrame({"series_id": ["a", "b", "b"], "service": ["shop", "other", "other"]})
    found = holidays_of(series, settings(holidays="US"), date(2025, 10, 1), 120)
    assert found is not None
    dates = {key: set(part["date"]) for (key,), part in found.group_by("series_id")}
    assert {date(2025, 10, 3), date(2026, 1, 6)} <= dates["a"]  # Epiphany, in Bavaria
    assert {date(2025, 11, 27), date(2026, 1, 1)} <= dates["b"]
    assert date(2025, 11, 27) not in dates["a"]
    only = holidays_of(series, settings(), date(2025, 10, 1), 120)
    assert only is not None
    assert set(only["series_id"]) == {"a"}
    assert holidays_of(series.filter(pl.col("service") == "other"), settings(), date(2025, 10, 1), 120) is None


def test_totals_count_what_is_gone_what_is_new_and_what_has_gaps() -> None:
    def hours(resource: str, service: str, team: str | None, first: int, *values: float | None) -> pl.DataFrame:
        times = [START + timedelta(days=first + i) for i, value in enumerate(values) if value is not None]
        kept = [value for value in values if value is not None]
        columns = {"resource_id": resource, "service": service, "team": team, "resource_kind": "cpu", "unit": None, "time": times}
        return pl.DataFrame({**columns, "value": kept}, schema_overrides={"team": pl.String, "unit": pl.String, "value": pl.Float64})

    used = pl.concat(
        [
            hours("old", "a", "t", 0, *[1.0] * 10, None, *[3.0] * 29),
            hours("gone", "a", "t", 0, *[5.0] * 30),
            hours("new", "a", "t", 38, 7.0, 7.0),
            hours("other", "b", None, 0, *[2.0] * 39),
        ]
    )
    limits = pl.DataFrame({"resource_id": ["old", "new", "other"]})
    parts = _parts(used, limits)
    nodes, hierarchy = _tree(parts)
    means = used.select(pl.col("resource_id").alias("series_id"), "time", "value").sort("series_id", "time")
    sums = _sums(means, parts, hierarchy)
    again = pl.Series(range(means.height)).shuffle(1)
    assert _sums(means[again].sort("series_id", "time"), parts[::-1], hierarchy[::-1]).equals(sums)
    assert sums.group_by("series_id").len().filter(pl.col("len") != 40).is_empty()
    value = {(key.split("\x1f")[0], key.split("\x1f")[1], (time - START).days): v for key, time, v in sums.rows()}
    assert [value["rest", "a", day] for day in (0, 29, 30, 37, 38)] == [5, 5, 0, 0, 7]
    assert [value["resource", "old", day] for day in (9, 10, 11)] == [1, 2, 3]
    assert value["resource", "other", 39] == 2
    assert [value["service", "a", day] for day in (0, 10, 30, 39)] == [6, 7, 3, 10]
    assert value["team", "unknown", 39] == 2
    assert [value["all", "all", day] for day in (0, 39)] == [8, 12]
    assert set(nodes["level"]) == {"service", "team", "all"}
    known = pl.DataFrame({"series_id": [key for key in sums["series_id"].unique() if not key.startswith("rest")]})
    left = _complete(hierarchy, known)["parent_id"].str.split("\x1f").list.get(1)
    assert set(left) == {"b", "t", "unknown", "all"}
