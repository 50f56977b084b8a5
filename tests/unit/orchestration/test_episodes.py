"""Hours that are odd together become one episode, with the incident and the change that lie by it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from orchestration.episodes import explained, find_episodes

START = datetime(2026, 9, 1)
CALLS = pl.DataFrame({"parent_service": ["web"], "child_service": ["api"]})


def at(hour: float) -> datetime:
    return START + timedelta(hours=hour)


def scored(*odd: tuple[str, int, float], alarmed: int = 4, series: int = 4) -> pl.DataFrame:
    """1000 hours of so many series in each of three services; all of a service have the score in the hours given, and so many of them an
    alarm in hour 500."""
    rng = np.random.default_rng(0)
    given = {(service, hour): score for service, hour, score in odd}
    return pl.DataFrame(
        {
            "series_id": f"{service}/{n}",
            "service": service,
            "time": at(hour),
            "score": given.get((service, hour), rng.uniform(0, 0.97)),
            "is_anomaly": (service, hour) in given and hour == 500 and n < alarmed,
        }
        for service in ("api", "search", "web")
        for n in range(series)
        for hour in range(1000)
    )


def test_one_episode_named_by_its_likely_origin() -> None:
    episodes, alarms = find_episodes(scored(("api", 500, 0.9999), ("api", 502, 0.9999), ("web", 501, 0.995)), CALLS)
    assert episodes.select("episode_id", "start_time", "end_time", "rank", "service", "anomaly_count").rows() == [
        ("2026-09-21T20/api", at(500), at(503), 1, "api", 8),
        ("2026-09-21T20/api", at(500), at(503), 2, "web", 4),
    ]
    assert alarms.rows() == [(f"api/{n}", at(500), "2026-09-21T20/api") for n in range(4)]


@pytest.mark.parametrize(("alarmed", "series", "found"), [(0, 4, 0), (1, 4, 0), (2, 4, 2), (0, 1, 0), (1, 1, 1)])
def test_an_episode_needs_alarms_of_two_series_or_of_the_only_one(alarmed: int, series: int, found: int) -> None:
    episodes, alarms = find_episodes(scored(("api", 500, 0.9999), alarmed=alarmed, series=series), CALLS)
    assert (episodes.height, alarms.height) == (found > 0, found)


def told(incidents: list[tuple[str, str, float, float]], changes: list[tuple[str, str, float]]) -> dict[str, Any]:
    """What is said of an episode of api and web from hour 500 to 503."""
    episodes, _ = find_episodes(scored(("api", 500, 0.9999), ("api", 502, 0.9999), ("web", 501, 0.995)), CALLS)
    felt = pl.DataFrame(
        [(i, i.lower(), service, at(start), at(end)) for i, service, start, end in incidents],
        {
            name: pl.Datetime("us") if "time" in name else pl.String
            for name in ("incident_id", "title", "service", "start_time", "end_time")
        },
        orient="row",
    )
    made = pl.DataFrame(
        [(c, "deploy", service, at(time), c.lower()) for c, service, time in changes],
        {"change_id": pl.String, "kind": pl.String, "service": pl.String, "time": pl.Datetime("us"), "title": pl.String},
        orient="row",
    )
    found = explained(episodes, felt, made, CALLS)
    assert found.height == 2
    (row,) = found.select(pl.col(r"^(incident|change)_.*$")).unique().rows(named=True)
    return row


def test_the_incident_is_that_of_the_likeliest_origin_then_the_nearest() -> None:
    web, early, api = ("W", "web", 500.0, 501.0), ("E", "api", 490.0, 501.0), ("A", "api", 500.5, 501.0)
    assert told([web, early, api], [])["incident_id"] == "A"
    assert told([web, early], [])["incident_id"] == "E"
    assert told([early, ("N", "api", 499.0, 501.0)], [])["incident_id"] == "N"
    assert (told([web], [])["incident_id"], told([web], [])["incident_title"]) == ("W", "w")


def test_an_incident_of_another_service_or_time_is_not_it() -> None:
    others = [("S", "search", 500.0, 503.0), ("B", "api", 498.0, 500.0), ("L", "api", 503.0, 504.0)]
    assert told(others, [])["incident_id"] is None


def test_the_change_came_before_within_a_day() -> None:
    later, earlier = ("L", "api", 502.0), ("E", "api", 495.0)
    assert told([], [later, earlier])["change_id"] == "E"
    assert told([], [later, ("O", "api", 475.0), ("W", "web", 499.0)])["change_id"] is None
    inside = told([], [("I", "api", 500.4), earlier])
    assert (inside["change_id"], inside["change_title"], round(inside["change_distance_h"], 1)) == ("I", "i", -0.4)
