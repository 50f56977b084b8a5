"""What single series find odd is noise until a service's series agree."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.anomaly import corroborated

START = datetime(2026, 9, 1)
HOURS, SERIES = 1000, 6
CALLS = pl.DataFrame({"caller": ["web", "web"], "callee": ["api", "auth"]})


def noise(seed: int, *services: str) -> pl.DataFrame:
    """Calibrated scores of six series a service, that have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(size=(len(services), SERIES, HOURS))
    return pl.DataFrame(
        {"series_id": f"{service}/{n}", "service": service, "time": START + timedelta(hours=hour), "score": scores[i, n, hour]}
        for i, service in enumerate(services)
        for n in range(SERIES)
        for hour in range(HOURS)
    )


def raised(frame: pl.DataFrame, service: str, hour: int, series: int, score: float = 0.9995) -> pl.DataFrame:
    here = (pl.col("service") == service) & (pl.col("time") == START + timedelta(hours=hour))
    odd = here & pl.col("series_id").is_in([f"{service}/{n}" for n in range(series)])
    return frame.with_columns(score=pl.when(odd).then(score).otherwise("score"))


def hours(frame: pl.DataFrame, service: str) -> set[int]:
    times = frame.filter(pl.col("service") == service)["time"]
    return {int((t - START).total_seconds()) // 3600 for t in times}


def test_an_hour_counts_when_series_agree_and_not_for_one_alone() -> None:
    scored = raised(raised(noise(0, "api"), "api", 500, 4), "api", 700, 1, 0.9999)
    found = hours(corroborated(scored, CALLS), "api")
    assert 500 in found
    assert 700 not in found


def test_of_noise_little_is_left() -> None:
    scored = noise(1, "api", "auth", "web")
    left = corroborated(scored, CALLS.clear())
    assert len(hours(left, "api") | hours(left, "auth") | hours(left, "web")) <= 3 * HOURS / 400 * 2
    assert scored.filter(pl.col("score") >= 0.98).height > 300


def test_callers_and_callees_bear_witness_and_others_do_not() -> None:
    scored = raised(noise(2, "api", "auth", "web"), "api", 500, 5)
    for service in ("auth", "web"):
        scored = raised(scored, service, 500, 1, 0.985)
    assert 500 in hours(corroborated(scored, CALLS), "web")
    assert 500 not in hours(corroborated(scored, CALLS), "auth")


def test_evidence_within_the_gap_belongs_to_it() -> None:
    scored = raised(raised(noise(3, "api"), "api", 500, 5), "api", 502, 1, 0.985)
    assert 502 not in hours(corroborated(scored, CALLS, gap=timedelta(hours=1)), "api")
    assert 502 in hours(corroborated(scored, CALLS, gap=timedelta(hours=2)), "api")


def test_rows_come_back_as_they_were_in_their_order() -> None:
    scored = raised(noise(4, "api"), "api", 500, 5).with_columns(note=pl.col("series_id")).sample(fraction=1.0, shuffle=True, seed=1)
    found = corroborated(scored, CALLS)
    assert found.height > 0
    assert found.equals(scored.join(found, on=["series_id", "time"], how="semi", maintain_order="left"))


def test_without_rows_scores_or_services_nothing_is_found() -> None:
    scored = noise(5, "api").head(10)
    assert corroborated(scored.clear(), CALLS).height == 0
    assert corroborated(scored.with_columns(service=pl.lit(None, pl.String)), CALLS).height == 0
    assert corroborated(scored.with_columns(score=pl.lit(None, pl.Float64)), CALLS).height == 0
    with pytest.raises(ValueError, match="score"):
        corroborated(scored.drop("score"), CALLS)
