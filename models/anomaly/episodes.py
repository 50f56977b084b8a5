"""`episodes`: the anomalies of one incident across services, and which of them is the likely origin."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
from polars._typing import PolarsDataType

from models.series import ANY_TYPE, TIME, ensure_columns

GAP = timedelta(minutes=30)
"""Anomalies of one service, or of a caller and its callee, belong together when no more than this lies between them."""
SUREST = 1e-6
"""Tail probabilities count down to this."""
_ANOMALIES: dict[str, PolarsDataType] = {"series_id": ANY_TYPE, "service": pl.String, "time": TIME, "score": pl.Float64}
CALLS: Mapping[str, PolarsDataType] = {"caller": pl.String, "callee": pl.String}
_RESULT: dict[str, PolarsDataType] = {
    "episode": pl.Int64,
    "start_time": TIME,
    "end_time": TIME,
    "rank": pl.Int64,
    "service": pl.String,
    "first_time": TIME,
    "probability": pl.Float64,
    "evidence": pl.Float64,
    "anomaly_count": pl.Int64,
}


def episodes(anomalies: pl.DataFrame, graph: pl.DataFrame, *, gap: timedelta = GAP) -> pl.DataFrame:
    """Anomalies that belong together in time and in the service graph, and the services in the order in which they may be the origin.

    anomalies: series_id, service, time (UTC), score (1 - tail probability, as `score` gives it); rows with a null are left
    out. graph: caller, callee. Returns a row per episode and service: episode (from 1, by start), start_time, end_time of the
    episode, rank (1 is the likeliest origin), service, first_time at which it is odd, probability that it is the origin (1 over the
    episode), evidence and anomaly_count of the service. Evidence is the sum over its series of the largest -log10 tail probability. Blame
    walks from where it is seen down the calls: it stays with a service, or goes on to one of its anomalous callees, by their evidence (the
    walk of Kim et al., "Root cause detection in a service-oriented architecture", SIGMETRICS 2013, with services that absorb it).
    Raises ValueError for missing columns or unusable types.
    """
    calls = _edges(graph)
    grouped = together(anomalies, graph, gap=gap)
    parts = [_ranked(part, calls) for part in grouped.partition_by("episode", maintain_order=True)]
    return pl.concat(parts).select(list(_RESULT)) if parts else pl.DataFrame(schema=_RESULT)


def together(anomalies: pl.DataFrame, graph: pl.DataFrame, *, gap: timedelta = GAP) -> pl.DataFrame:
    """The anomalies, in order of time, with the number of the episode that each is part of; all as for `episodes`.

    Returns series_id, service, time, score, episode."""
    rows = ensure_columns(anomalies, _ANOMALIES).select(list(_ANOMALIES)).drop_nulls().sort("time", "service", maintain_order=True)
    return rows.with_columns(episode=pl.Series(_together(rows, _edges(graph), gap), dtype=pl.Int64))


def surprise() -> pl.Expr:
    """-log10 of the tail probability that a score stands for, at most that of `SUREST`."""
    return -(1.0 - pl.col("score")).clip(SUREST, 1.0).log10()


def _edges(graph: pl.DataFrame) -> set[tuple[str, str]]:
    return {(a, b) for a, b in ensure_columns(graph, CALLS).select("caller", "callee").drop_nulls().iter_rows() if a != b}


def _together(rows: pl.DataFrame, calls: set[tuple[str, str]], gap: timedelta) -> list[int]:
    """The episode of each row, numbered by their first rows; rows are in order of time."""
    neighbours: dict[str, set[str]] = {}
    for a, b in calls:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    parent: list[int] = []

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    newest: dict[str, int] = {}
    times = rows["time"].to_list()
    for row, service in enumerate(rows["service"]):
        parent.append(row)
        for near in (service, *neighbours.get(service, ())):
            before = newest.get(near)
            if before is not None and times[row] - times[before] <= gap:
                first, second = sorted((root(before), root(row)))
                parent[second] = first
        newest[service] = row
    number: dict[int, int] = {}
    return [number.setdefault(root(row), len(number) + 1) for row in range(len(parent))]


def _ranked(part: pl.DataFrame, calls: set[tuple[str, str]]) -> pl.DataFrame:
    """The services of one episode, the likeliest origin first."""
    by_series = part.group_by("service", "series_id").agg(pl.col("time").min(), surprise().max().alias("surprise"), count=pl.len())
    seen = (
        by_series.group_by("service")
        .agg(first_time=pl.col("time").min(), evidence=pl.col("surprise").sum(), anomaly_count=pl.col("count").sum())
        .sort("service")
    )
    probability = _blame(seen["service"].to_list(), seen["evidence"].to_numpy(), calls)
    ranked = seen.with_columns(probability=pl.Series(probability)).sort(["probability", "service"], descending=[True, False])
    return ranked.with_columns(
        episode=pl.lit(part["episode"][0], dtype=pl.Int64),
        start_time=pl.lit(part["time"].min(), dtype=TIME),
        end_time=pl.lit(part["time"].max(), dtype=TIME),
        rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
        anomaly_count=pl.col("anomaly_count").cast(pl.Int64),
    )


def _blame(services: list[str], evidence: npt.NDArray[np.float64], calls: set[tuple[str, str]]) -> npt.NDArray[np.float64]:
    """Where a walk ends that begins at a service by its evidence and goes down the calls; (s,), 1 in sum."""
    evidence = np.maximum(evidence, 1e-9)
    called = np.array([[(a, b) in calls for b in services] for a in services])
    weight = called * evidence + np.diag(evidence)
    share = weight / weight.sum(axis=1, keepdims=True)
    stays = np.diag(share)
    visits = np.linalg.solve(np.eye(len(services)) - (share - np.diag(stays)).T, evidence / evidence.sum())
    return np.asarray(visits * stays, np.float64)
