"""Bytes per sample of settled metrics beside VictoriaMetrics and Prometheus, and what reading them costs beside plain doubles.

Each set goes into a lake (landed, checked off, settled; `by day` is what its files then take) and, as the peers keep months in one place,
through the same encoder as a whole. Series tables and indexes count on every side."""

from __future__ import annotations

import json
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx
import numpy as np
import pyarrow as pa

from benchmarks.sample_sets import Series, sample_sets
from tests.integration import backfill, servers
from warehouse.contracts import contract
from warehouse.contracts.ddl import decoded
from warehouse.contracts.series import series_id
from warehouse.lake import Part, Unit
from warehouse.lake.lake import Lake
from warehouse.lake.partitions import partitions
from warehouse.settings import parse
from warehouse.tiers.encoding import metrics
from warehouse.tiers.settle import settle

POINTS = contract("raw.metric_points")
ROUNDS, MERGES = 5, 4
SCANNED_SAMPLES = 4_000_000
"""Reading is timed on sets of at least so many samples: in a smaller one the opening of files is all there is."""
HEADS = {"Lakebed": 9, "by day": 9, "Victoria": 10, "Prom.": 8, "/VM": 7, "by day/VM": 10, "/Prom.": 8, "M/s": 6}
SCANS = {
    "sum": "SELECT sum(value) FROM {}",
    "filter": "SELECT count(*) FROM {} WHERE value > 100",
    "hourly": "SELECT series_id, date_trunc('hour', time) AS hour, avg(value), max(value) FROM {} GROUP BY ALL",
}


def measure(only: Sequence[str] = ()) -> dict[str, float | None]:
    """Print the table; the ratios as geometric means, and the worst one beside VictoriaMetrics."""
    print("# bytes per sample, series table and index counted")
    print(f"{'set':28}{'samples':>11}{''.join(f'{head:>{width}}' for head, width in HEADS.items())}")
    against_victoria, by_day, against_prometheus, scans = [], [], [], []
    for name, series in sample_sets():
        if only and name not in only:
            continue
        with tempfile.TemporaryDirectory(prefix="lakebed-storage-") as folder:
            row = _measured(series, Path(folder))
        scans += [row["scan"]] if row["samples"] >= SCANNED_SAMPLES else []
        against_victoria.append(row["whole"] / row["victoria"])
        by_day.append(row["by_day"] / row["victoria"])
        against_prometheus.append(row["whole"] / row["prometheus"])
        shown = (row["whole"], row["by_day"], row["victoria"], row["prometheus"], against_victoria[-1], by_day[-1], against_prometheus[-1])
        cells = "".join(f"{x:>{w}.3f}" for x, w in zip((*shown, row["rate"] / 1e6), HEADS.values(), strict=True))
        print(f"{name:28}{int(row['samples']):>11,}{cells}   VictoriaMetrics altered {row['altered']:.1%} of the values", flush=True)
    return {
        "metrics_vs_victoriametrics": _geometric_mean(against_victoria),
        "metrics_vs_victoriametrics_worst": max(against_victoria),
        "metrics_vs_victoriametrics_by_day": _geometric_mean(by_day),
        "metrics_vs_prometheus": _geometric_mean(against_prometheus),
        "scan_vs_plain_doubles": _geometric_mean(scans) if scans else None,
    }


def _measured(series: Sequence[Series], folder: Path) -> dict[str, float]:
    points, described = _tables(series)
    samples = points.num_rows
    with Lake.open(parse({"lake": {"memory_limit": "4GiB"}}, folder / "lake" / "lakebed.toml")) as lake:
        sizes = _in_a_lake(lake, points, described)
    paths: list[Path] = []

    def new_path() -> Path:
        paths.append(folder / f"whole-{len(paths)}.parquet")
        return paths[-1]

    started = time.process_time()
    metrics.encode(points.to_reader(65_536), new_path)
    seconds = time.process_time() - started
    with duckdb.connect() as connection:
        whole = _stored(paths)
        _refuse_other_rows(connection, whole, points)
        scan = _scan_ratio(connection, whole, points, folder)
    victoria, altered = _victoria(series, folder)
    return {
        "samples": samples,
        "whole": (sum(p.stat().st_size for p in paths) + sizes["series"]) / samples,
        "by_day": (sizes["points"] + sizes["series"]) / samples,
        "victoria": victoria / samples,
        "altered": altered,
        "prometheus": _prometheus(series, folder) / samples,
        "rate": samples / seconds,
        "scan": scan,
    }


def _tables(series: Sequence[Series]) -> tuple[pa.Table, pa.Table]:
    """Points in the order in which days are settled, and the series."""
    ids = [series_id("bench", dict(s.labels)["__name__"], _labels(s)) for s in series]
    order = sorted(range(len(series)), key=ids.__getitem__)
    counts = [len(series[i].values) for i in order]
    points = pa.table(
        {
            "source": pa.array(["bench"]).take(pa.array(np.zeros(sum(counts), np.int32))),
            "series_id": np.repeat(np.array([ids[i] for i in order], np.uint64), counts),
            "time": pa.array(np.concatenate([series[i].times_ms for i in order]) * 1000).cast(pa.timestamp("us")),
            "value": np.concatenate([series[i].values for i in order]),
            "batch_id": pa.array(["b" * 64]).take(pa.array(np.zeros(sum(counts), np.int32))),
        }
    )
    described = pa.table(
        {
            "series_id": pa.array(ids, pa.uint64()),
            "metric_name": [dict(s.labels)["__name__"] for s in series],
            "labels": pa.array([list(_labels(s).items()) for s in series], pa.map_(pa.string(), pa.string())),
            "kind": ["gauge"] * len(series),
            "unit_scale": [1.0] * len(series),
            "first_seen": [_utc(int(s.times_ms[0])) for s in series],
            "last_seen": [_utc(int(s.times_ms[-1])) for s in series],
        }
    )
    return points, described


def _labels(series: Series) -> dict[str, str]:
    return {k: v for k, v in series.labels if k != "__name__"}


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC).replace(tzinfo=None)


def _in_a_lake(lake: Lake, points: pa.Table, described: pa.Table) -> dict[str, int]:
    """Bytes of the settled lake's samples and of its series."""

    def parts(_connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        yield Part("raw.metric_series", described.to_reader())
        yield Part("raw.metric_points", points.drop_columns(["source", "batch_id"]).to_reader())

    lake.land(Unit("bench", "b" * 64, "bench", parts))
    for table in ("raw.metric_series", "raw.metric_points"):
        lake.set_states(table, dict.fromkeys(lake.states(table), ("passed", None)))
    settle(lake, tables=["raw.metric_points"])
    _refuse_other_rows(lake.connection, "raw.metric_points", points)
    sizes = {p.storage_name: 0 for p in partitions(lake.connection)}
    for part in partitions(lake.connection):
        sizes[part.storage_name] += part.bytes
    return {"points": sizes["store.raw_metric_points"], "series": sizes["store.raw_metric_series"]}


def _stored(paths: Sequence[Path]) -> str:
    columns = ", ".join(f"NULL::{c.type} AS {c.name}" for c in POINTS.stored_columns)
    files = ", ".join(f"'{p}'" for p in paths)
    stored = f"(SELECT {columns} WHERE FALSE UNION ALL BY NAME FROM read_parquet([{files}], union_by_name = true))"
    return f"({decoded(POINTS, stored)})"


def _refuse_other_rows(connection: duckdb.DuckDBPyConnection, relation: str, points: pa.Table) -> None:
    """Raise unless series, times and the values' bits are those that went in."""
    kept = connection.execute(f"SELECT series_id, time, value FROM {relation} ORDER BY series_id, time").to_arrow_table()
    same = kept["series_id"].equals(points["series_id"]) and kept["time"].equals(points["time"])
    if not same or not np.array_equal(kept["value"].to_numpy().view(np.int64), points["value"].to_numpy().view(np.int64)):
        raise RuntimeError(f"{relation} does not hold the rows that went in")


def _scan_ratio(connection: duckdb.DuckDBPyConnection, whole: str, points: pa.Table, folder: Path) -> float:
    """Processor time of three scans beside the same rows as plain doubles (DuckDB's own Parquet, zstd), one thread, medians."""
    connection.execute("SET threads = 1")
    connection.register("given_points", points)
    plain = folder / "plain.parquet"
    connection.execute(f"COPY given_points TO '{plain}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 9, ROW_GROUP_SIZE 524288)")
    ratios = []
    for scan in SCANS.values():
        taken: dict[str, list[float]] = {whole: [], f"'{plain}'": []}
        for _ in range(ROUNDS):
            for relation, seconds in taken.items():
                started = time.process_time()
                connection.execute(scan.format(relation)).fetchall()
                seconds.append(time.process_time() - started)
        ratios.append(statistics.median(taken[whole]) / statistics.median(taken[f"'{plain}'"]))
    return _geometric_mean(ratios)


def _victoria(series: Sequence[Series], folder: Path) -> tuple[int, float]:
    """Bytes of data and index after a forced merge, and the share of values that come back changed. Raises when one is missing."""
    program = shutil.which("victoria-metrics")
    if program is None:
        raise SystemExit("this needs the Debian packages victoria-metrics and prometheus")
    given: backfill.Series = {(dict(s.labels)["__name__"], tuple(_labels(s).items())): (s.times_ms, s.values) for s in series}
    with servers.victoria_metrics(program, folder) as server, httpx.Client(base_url=server.url, timeout=300) as client:
        for line in backfill.import_lines(given):
            client.post("/api/v1/import", content=line).raise_for_status()
        for action in ("force_flush", "force_merge", "force_flush"):
            client.get(f"/internal/{action}").raise_for_status()
        altered = _altered(client, series)
        sizes = [_disk_bytes(folder / "victoria")]
        while len(sizes) < MERGES or len(set(sizes[-3:])) > 1:
            client.get("/internal/force_merge").raise_for_status()
            time.sleep(2)
            sizes.append(_disk_bytes(folder / "victoria"))
    return min(*sizes[-3:], _disk_bytes(folder / "victoria")), altered


def _disk_bytes(folder: Path) -> int:
    return sum(f.stat().st_size for part in ("data", "indexdb") for f in (folder / part).rglob("*") if f.is_file())


def _altered(client: httpx.Client, series: Sequence[Series]) -> float:
    expected = {tuple(sorted(s.labels)): s for s in series}
    changed = found = 0
    with client.stream("GET", "/api/v1/export", params={"match[]": '{__name__!=""}', "start": "0"}) as answer:
        for line in answer.iter_lines():
            document: dict[str, Any] = json.loads(line)
            wanted = expected[tuple(sorted(document["metric"].items()))]
            at = np.searchsorted(wanted.times_ms, np.array(document["timestamps"], np.int64))
            changed += int((np.array(document["values"], np.float64) != wanted.values[at]).sum())
            found += len(at)
    if found != sum(len(s.values) for s in series):
        raise RuntimeError(f"VictoriaMetrics gave {found} samples")
    return changed / found


def _prometheus(series: Sequence[Series], folder: Path) -> int:
    """Bytes of the blocks that promtool makes, with their index."""
    promtool = shutil.which("promtool")
    if promtool is None:
        raise SystemExit("this needs the Debian packages victoria-metrics and prometheus")
    given: backfill.Series = {(dict(s.labels)["__name__"], tuple(_labels(s).items())): (s.times_ms, s.values) for s in series}
    tsdb = backfill.create_blocks(promtool, given, folder)
    held = sum(json.loads(meta.read_text())["stats"]["numSamples"] for meta in tsdb.glob("*/meta.json"))
    if held != sum(len(s.values) for s in series):
        raise RuntimeError(f"Prometheus holds {held} samples")
    return sum(f.stat().st_size for f in tsdb.rglob("*") if f.is_file() and f.parent.name != "wal")


def _geometric_mean(ratios: Sequence[float]) -> float:
    return math.exp(statistics.fmean(math.log(r) for r in ratios))


def versions() -> str:
    """Peers and their versions."""
    names = ("victoria-metrics", "prometheus")
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}; ", *names], capture_output=True, text=True, check=False)
    return f"{done.stdout}DuckDB {duckdb.__version__}; PyArrow {pa.__version__}"


if __name__ == "__main__":
    print(f"# {versions()}")
    print(json.dumps(measure(sys.argv[1:])))
