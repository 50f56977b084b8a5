"""Injected faults with a known origin: does the service where it lies stand first among the anomalies that it causes?

PetShop: 20 issues of 25 minutes each, in 287 series of 41 services; before each goes the set's one normal run (two days of low traffic,
recorded four months later). Nezha: faults in pods of TrainTicket and OnlineBoutique, 16 metrics of each pod by the minute; calls from the
spans."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from models.anomaly import episodes, score
from models.anomaly.scoring import THRESHOLD

NEZHA = {"trainticket": "2023-01-29", "onlineboutique": "2022-08-22"}
FAULT = timedelta(minutes=4)
"""After the injection of a fault of Nezha, where its anomalies are looked for."""
INCIDENT = timedelta(hours=1)
"""Anomalies of connected services in the looked-at minutes are one episode."""


def places(folder: Path) -> Iterator[tuple[str, list[int | None]]]:
    """For each set its name, and for each fault at which place the true service stands; None where it has no anomaly."""
    yield "petshop", [petshop(file) for file in sorted((folder / "petshop").glob("*/train/*/metrics.csv"))]
    for name, day in NEZHA.items():
        yield name, list(nezha(folder / "nezha" / name / day))


def place(scored: pl.DataFrame, graph: pl.DataFrame, origin: str) -> int | None:
    """The place of the origin among the services of all episodes, by the evidence that ends at them.

    scored: what `score` returns, with a column service; graph: caller, callee."""
    found = episodes(scored.filter(pl.col("score") >= THRESHOLD), graph, gap=INCIDENT)
    blamed = found.with_columns(blame=pl.col("probability") * pl.col("evidence").sum().over("episode"))
    order = blamed.sort(["blame", "service"], descending=[True, False])["service"].to_list()
    return order.index(origin) + 1 if origin in order else None


def petshop(file: Path) -> int | None:
    """The place of the true service of one issue, given the file of its metrics."""
    regime = file.parents[2]
    issue, normal = _petshop_metrics(file), _petshop_metrics(regime.parent / "low_traffic" / "noissue" / "metrics.csv")
    start: datetime = issue["time"].min()  # type: ignore[assignment]
    before: datetime = normal["time"].max()  # type: ignore[assignment]
    history = pl.concat([normal.with_columns(pl.col("time") + (start - timedelta(minutes=5) - before)), issue])
    scored = score(history.select("series_id", "time", "value"), freq="5m").filter(pl.col("time") >= start)
    with (regime / "graph.csv").open() as lines:
        head, *rows = csv.reader(lines)
    calls = [(row[0], callee) for row in rows for callee, is_call in zip(head[1:], row[1:], strict=True) if float(is_call)]
    origin = json.loads((file.parent / "target.json").read_text())["root_cause"]["node"]
    services = history.select("series_id", "service").unique()
    return place(scored.join(services, on="series_id"), pl.DataFrame(calls, ["caller", "callee"], orient="row"), origin)


def _petshop_metrics(file: Path) -> pl.DataFrame:
    """series_id, service, time, value of a file with three rows of names: service, metric, statistic."""
    with file.open() as lines:
        services, metrics, statistics, *rows = csv.reader(lines)
    names = list(zip(services, metrics, statistics, strict=True))[1:]
    found = [
        (f"{service}/{metric}/{statistic}", service, datetime.fromtimestamp(float(row[0]), UTC).replace(tzinfo=None), float(value))
        for row in rows
        if row[0].replace(".", "").isdigit()
        for (service, metric, statistic), value in zip(names, row[1:], strict=True)
        if value
    ]
    return pl.DataFrame(found, {"series_id": pl.String, "service": pl.String, "time": pl.Datetime("us"), "value": pl.Float64}, orient="row")


def nezha(day: Path) -> Iterator[int | None]:
    """The place of the true pod of each fault of a day, but for those among the first values, which are not scored."""
    history = pl.concat([_pod_metrics(file) for file in sorted((day / "metric").glob("*-*_metric.csv"))])
    scored = score(history.select("series_id", "time", "value")).join(history.select("series_id", "service").unique(), on="series_id")
    graph = _pod_calls(day / "trace")
    for fault in [fault for hour in json.loads((day / "fault_list.json").read_text()).values() for fault in hour]:
        injected = datetime.fromisoformat(fault["inject_time"])
        during = scored.filter(pl.col("time").is_between(injected, injected + FAULT))
        if during["score"].null_count() < during.height:
            yield place(during, graph, fault["inject_pod"])


def _pod_metrics(file: Path) -> pl.DataFrame:
    rows = pl.read_csv(file, infer_schema_length=None)
    metrics = [name for name in rows.columns if name not in ("Time", "TimeStamp", "PodName") and not name.startswith("Node")]
    time = pl.col("Time").str.slice(0, 19).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
    pod = file.name.removesuffix("_metric.csv")
    wide = rows.select(time.alias("time"), pl.lit(pod).alias("service"), pl.col(metrics).cast(pl.Float64))
    long = wide.unpivot(index=["time", "service"], variable_name="metric")
    return long.select(pl.format("{}/{}", "service", "metric").alias("series_id"), "service", "time", "value")


def _pod_calls(folder: Path) -> pl.DataFrame:
    """caller, callee: pods whose spans are parent and child."""
    found = []
    for file in sorted(folder.glob("*.csv.gz")):
        spans = pl.read_csv(file, columns=["TraceID", "SpanID", "ParentID", "PodName"], infer_schema=False)
        parents = spans.select("TraceID", caller="PodName", ParentID="SpanID").unique(["TraceID", "ParentID"])
        found.append(spans.join(parents, on=["TraceID", "ParentID"]).select("caller", callee="PodName").unique())
    return pl.concat(found).unique().filter(pl.col("caller") != pl.col("callee")).sort("caller", "callee")
