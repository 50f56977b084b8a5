"""`models.capacity.seasonal_peaks`: hidden peaks are found with their lift and next date, and noise has none."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.capacity import seasonal_peaks
from models.capacity.occasions import occasions
from models.capacity.peaks import usual

START = date.fromisoformat("2024-01-01")
COLUMNS = ["resource_id", "occasion", "last_time", "value", "lift", "next_time", "expected", "status"]


def days(count: int, seed: int = 0, lifts: dict[date, float] | None = None, key: str = "web", hours: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        day = START + timedelta(days=i)
        base = (100 + 0.1 * i) * (0.7 if day.weekday() >= 5 else 1.0) * float(np.exp(rng.normal(0, 0.03)))
        value = base * (lifts or {}).get(day, 1.0)
        found += [(key, datetime(day.year, day.month, day.day, 12 - h), value if h == 0 else value / 2) for h in range(hours)]
    return pl.DataFrame(found, schema={"series_id": pl.String, "time": pl.Datetime("us"), "value": pl.Float64}, orient="row")


def test_black_friday_a_holiday_and_a_date_of_ones_own() -> None:
    lifts = {date(2024, 11, 29): 1.8, date(2024, 12, 25): 1.5, date(2024, 9, 14): 1.4, date(2025, 9, 14): 1.5}
    found = seasonal_peaks(days(690, lifts=lifts, hours=2), country="us")
    assert found.columns == COLUMNS
    rows = {row["occasion"]: row for row in found.iter_rows(named=True)}
    assert sorted(rows) == ["14 September", "Black Friday", "Christmas Day"]
    friday = rows["Black Friday"]
    assert friday["last_time"] == datetime(2024, 11, 29)
    assert friday["next_time"] == datetime(2025, 11, 28)
    assert friday["lift"] == pytest.approx(1.8, rel=0.08)
    assert friday["value"] == pytest.approx(100 * 1.333 * 1.8, rel=0.1)
    assert rows["14 September"]["next_time"] == datetime(2026, 9, 14)
    assert rows["14 September"]["last_time"] == datetime(2025, 9, 14)
    assert rows["Christmas Day"]["next_time"] == datetime(2025, 12, 25)
    assert rows["Christmas Day"]["expected"] == pytest.approx(170 * 1.5, rel=0.1)
    assert "Christmas Day" not in set(seasonal_peaks(days(690, lifts=lifts))["occasion"])


def test_month_ends_and_given_dates() -> None:
    ends = {START + timedelta(days=i): 1.3 for i in range(200) if (START + timedelta(days=i + 1)).day == 1}
    sale = [date(2024, 4, 10), date(2024, 6, 12), date(2024, 9, 11)]
    history = days(190, lifts=ends | dict.fromkeys(sale[:2], 1.4))
    named = pl.DataFrame({"date": sale, "occasion": ["Sale"] * 3})
    found = seasonal_peaks(history, holidays=named).sort("occasion")
    assert found["occasion"].to_list() == ["Month end", "Sale"]
    assert found["next_time"].to_list() == [datetime(2024, 7, 31), datetime(2024, 9, 11)]
    assert found["expected"].to_list() == pytest.approx([119 * 1.3, 119 * 1.4], rel=0.08)
    assert seasonal_peaks(history, holidays=sale[:2]).sort("occasion")["occasion"].to_list() == ["Holiday", "Month end"]
    assert seasonal_peaks(history, holidays=sale[:2]).filter(pl.col("occasion") == "Holiday")["next_time"].to_list() == [None]
    other = named.with_columns(series_id=pl.lit("another"))
    assert seasonal_peaks(history, holidays=other)["occasion"].to_list() == ["Month end"]


def test_one_outlier_on_a_date_is_no_habit_of_it() -> None:
    once = days(760, lifts={date(2024, 9, 14): 4.0})
    assert seasonal_peaks(once).is_empty()


def test_bursts_at_any_time_have_no_dates() -> None:
    rng = np.random.default_rng(3)
    bursts = {START + timedelta(days=int(i)): 1.3 + 2 * rng.random() for i in rng.choice(760, 76, replace=False)}
    history = pl.concat(
        [days(760, seed, lifts={d + timedelta(days=seed): v for d, v in bursts.items()}, key=f"r{seed}") for seed in range(6)]
    )
    assert seasonal_peaks(history).height <= 2


def test_noise_has_no_peaks() -> None:
    history = pl.concat([days(760, seed, key=f"r{seed}") for seed in range(12)])
    found = seasonal_peaks(history, country="US")
    assert found.height <= 2
    dips = days(400, lifts={date(2024, 12, 25): 0.4})
    assert seasonal_peaks(dips, country="US").is_empty()


def test_usual_days_equal_a_plain_loop() -> None:
    rng = np.random.default_rng(3)
    values, special = rng.normal(2, 2, 120), rng.random(120) < 0.1
    values[rng.random(120) < 0.1] = np.nan
    found = usual(values, special)
    for i in range(120):
        around = [values[j] for w in (-4, -3, -2, -1, 1, 2, 3, 4) if 0 <= (j := i + 7 * w) < 120 and values[j] > 0 and not special[j]]
        if len(around) < 3 or not values[i] > 0:
            assert np.isnan(found[i])
        else:
            assert found[i] == pytest.approx(float(np.median(around)))


def test_dates_by_country_and_too_little_history() -> None:
    found = occasions(date(2025, 1, 1), date(2025, 6, 1), "DE")
    assert found["Black Friday"] == [date(2025, 11, 28), date(2026, 11, 27)]
    assert found["Cyber Monday"] == [date(2025, 12, 1), date(2026, 11, 30)]
    assert date(2025, 10, 3) in found["German Unity Day"]
    assert len(found["Month end"]) == 24
    assert "Diwali" in occasions(date(2025, 1, 1), date(2025, 6, 1), "US-CA")
    with pytest.raises(ValueError, match="ISO 3166"):
        occasions(date(2025, 1, 1), date(2025, 6, 1), "XX")
    short = seasonal_peaks(days(30))
    assert short.rows() == [("web", *[None] * 6, "not_enough_data")]
    assert seasonal_peaks(days(0)).is_empty()
    zeros = days(100).with_columns(value=pl.lit(0.0))
    assert seasonal_peaks(zeros).is_empty()
