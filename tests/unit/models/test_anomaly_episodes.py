"""Episodes: what belongs together in time and in the service graph, and where blame ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import origins
from models.anomaly import episodes
from models.anomaly.episodes import GAP, _blame

T0 = datetime(2026, 1, 1)
GRAPH = pl.DataFrame({"caller": ["web", "cart", "cart", "batch"], "callee": ["cart", "db", "mail", "store"]})


def anomalies(*rows: tuple[str, int, float]) -> pl.DataFrame:
    """Service, minute, score; one series per service."""
    return pl.DataFrame(
        [(f"{service}/latency", service, T0 + timedelta(minutes=minute), score) for service, minute, score in rows],
        ["series_id", "service", "time", "score"],
        orient="row",
    )


def members(found: pl.DataFrame) -> list[set[str]]:
    return [set(part["service"]) for part in found.partition_by("episode", maintain_order=True)]


def test_blame_ends_where_the_calls_end() -> None:
    found = episodes(anomalies(("web", 0, 0.999), ("cart", 1, 0.999), ("db", 2, 0.999)), GRAPH)
    assert found["episode"].to_list() == [1, 1, 1]
    assert found["service"].to_list() == ["db", "cart", "web"]
    assert found["rank"].to_list() == [1, 2, 3]
    assert found["probability"].to_list() == pytest.approx([1 / 3 + 1 / 6 + 1 / 12, 1 / 6 + 1 / 12, 1 / 6])
    assert found["evidence"].to_list() == pytest.approx([3, 3, 3])
    assert (found["start_time"][0], found["end_time"][0]) == (T0, T0 + timedelta(minutes=2))


def test_strong_evidence_of_a_caller_outweighs_a_whisper_of_its_callee() -> None:
    found = episodes(anomalies(("web", 0, 0.99999), ("cart", 1, 0.5)), GRAPH)
    assert found["service"].to_list() == ["web", "cart"]


def test_time_and_calls_part_episodes() -> None:
    late = int(GAP / timedelta(minutes=1)) + 2
    found = episodes(anomalies(("web", 0, 0.99), ("store", 1, 0.99), ("cart", late, 0.99), ("db", late + 20, 0.99)), GRAPH)
    assert members(found) == [{"web"}, {"store"}, {"cart", "db"}]
    assert found["start_time"].is_sorted()


def test_a_service_between_joins_two_episodes() -> None:
    assert members(episodes(anomalies(("web", 0, 0.99), ("db", 1, 0.99)), GRAPH)) == [{"web"}, {"db"}]
    assert members(episodes(anomalies(("web", 0, 0.99), ("db", 1, 0.99), ("cart", 5, 0.99)), GRAPH)) == [{"web", "db", "cart"}]


def test_a_series_counts_once_in_evidence_and_each_time_in_number() -> None:
    twice = anomalies(("web", 0, 0.99), ("web", 5, 0.999), ("web", 9, 0.9))
    other = anomalies(("web", 3, 0.99)).with_columns(series_id=pl.lit("web/errors"))
    found = episodes(pl.concat([twice, other]), GRAPH)
    assert found["evidence"].to_list() == pytest.approx([3 + 2])
    assert found["anomaly_count"].to_list() == [4]


def test_blame_equals_a_walk_step_by_step() -> None:
    random = np.random.default_rng(3)
    services = list("abcdefg")
    calls = {(a, b) for a in services for b in services if a != b and random.random() < 0.3}  # cycles and all
    evidence = random.exponential(size=7)
    walkers, ended = evidence / evidence.sum(), np.zeros(7)
    for _ in range(2000):
        onward = np.zeros(7)
        for i, a in enumerate(services):
            callees = [j for j, b in enumerate(services) if (a, b) in calls]
            total = evidence[i] + sum(evidence[j] for j in callees)
            ended[i] += walkers[i] * evidence[i] / total
            for j in callees:
                onward[j] += walkers[i] * evidence[j] / total
        walkers = onward
    assert _blame(services, evidence, calls) == pytest.approx(ended)
    assert ended.sum() == pytest.approx(1)


def test_order_of_rows_does_not_matter_and_nulls_are_left_out() -> None:
    rows = anomalies(("web", 0, 0.99), ("cart", 1, 0.999), ("db", 2, 0.9999), ("store", 40, 0.99), ("mail", 90, 1.0))
    expected = episodes(rows, GRAPH)
    unknown = rows.head(1).with_columns(score=pl.lit(None, pl.Float64))
    assert episodes(pl.concat([rows, unknown]).sample(fraction=1, shuffle=True, seed=1), GRAPH).equals(expected)
    assert expected["probability"].is_not_nan().all()
    assert episodes(rows.clear(), GRAPH).schema == expected.schema
    with pytest.raises(ValueError, match="service"):
        episodes(rows.drop("service"), GRAPH)


@pytest.mark.realdata
def test_injected_faults_are_traced_to_their_service(realdata: Path) -> None:
    pods = list(origins.nezha(realdata / "nezha" / "onlineboutique" / "2022-08-22"))
    assert len(pods) == 12
    assert pods.count(1) >= 8  # of network delays most leave no trace in the pod's own metrics
    issue = origins.petshop(realdata / "petshop" / "low_traffic" / "train" / "issue_7" / "metrics.csv")
    assert issue is not None
    assert issue <= 3  # of 41 services
