"""Sets of samples that storage is measured on: four real ones and two generated in the manner of node_exporter.

The real ones are read as their publishers wrote them, from `../shared/data` or LAKEBED_REALDATA. The generated ones have the families of
node_exporter 1.9 on a machine with eight cores: counters of ticks, sectors and bytes, gauges in pages, flags, and the durations of its
collectors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.floating[Any]]

STEP_MS, SCRAPES, HOSTS = 15_000, 5_760, 3
JITTER_MS = 3


@dataclass(frozen=True, slots=True)
class Series:
    """One series: labels with `__name__`, times in ms since 1970, and values."""

    labels: tuple[tuple[str, str], ...]
    times_ms: Integers
    values: Doubles


def real_data() -> Path | None:
    """The folder of the real sets, where it is."""
    folder = Path(os.environ.get("LAKEBED_REALDATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    return folder if folder.is_dir() else None


def sample_sets() -> Iterator[tuple[str, list[Series]]]:
    """Name and series of each set; only the generated ones where the real ones are not."""
    folder = real_data()
    if folder is not None:
        yield "Bitbrains", _bitbrains(folder)
        yield "NAB", _nab(folder)
        yield "Microsoft", _microsoft(folder)
        yield "nezha pods", _nezha(folder)
    yield "node_exporter-like", node_exporter(jitter=False)
    yield "node_exporter-like, jitter", node_exporter(jitter=True)


def _bitbrains(folder: Path) -> list[Series]:
    return _read(
        f"""SELECT {{'__name__': 'vm_cpu_usage', 'host_id': id}} AS labels, timestamp::TIMESTAMP AS time, cpu_usage AS value
            FROM '{folder}/opendc/bitbrains_small_trace.parquet'"""
    )


def _nab(folder: Path) -> list[Series]:
    return _read(
        f"""SELECT {{'__name__': 'nab', 'file': regexp_extract(filename, '([^/]+)\\.csv$', 1)}} AS labels, time, value
            FROM read_csv('{folder}/nab/data/*/*.csv', filename = true, header = true, auto_detect = false,
                          columns = {{'time': 'TIMESTAMP', 'value': 'DOUBLE'}})"""
    )


def _microsoft(folder: Path) -> list[Series]:
    return _read(
        f"""SELECT {{'__name__': 'microsoft', 'file': regexp_extract(filename, '([^/]+)\\.csv$', 1)}} AS labels,
                   TimeStamp::TIMESTAMP AS time, Value::DOUBLE AS value
            FROM read_csv('{folder}/ms_cloud_monitoring/*/*.csv', filename = true, union_by_name = true)"""
    )


def _nezha(folder: Path) -> list[Series]:
    return _read(
        f"""WITH wide AS (
                SELECT * EXCLUDE (Time, TimeStamp, filename), left(Time, 19)::TIMESTAMP AS time,
                       regexp_extract(filename, 'nezha/([^/]+)/', 1) AS shop
                FROM read_csv('{folder}/nezha/*/*/metric/*-*_metric.csv', filename = true, union_by_name = true))
            SELECT {{'__name__': regexp_replace(name, '[^A-Za-z0-9_]', '_', 'g'), 'pod': PodName, 'shop': shop}} AS labels,
                   time, value::DOUBLE AS value
            FROM (UNPIVOT wide ON COLUMNS(* EXCLUDE (time, shop, PodName)) INTO NAME name VALUE value) WHERE PodName IS NOT NULL"""
    )


def _read(query: str) -> list[Series]:
    """Series of a SELECT with labels, time and value; the last of repeated times counts. What is no number, not every peer takes."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"""WITH points AS (SELECT labels, epoch_ms(time) AS ms, last(value) AS value FROM ({query})
                                WHERE isfinite(value) AND time IS NOT NULL GROUP BY ALL)
                SELECT labels, list(ms ORDER BY ms), list(value ORDER BY ms) FROM points GROUP BY labels ORDER BY labels::VARCHAR"""
        ).fetchall()
    return [Series(tuple(sorted(r[0].items())), np.array(r[1], np.int64), np.array(r[2], np.float64)) for r in rows]


def node_exporter(*, jitter: bool, hosts: int = HOSTS, scrapes: int = SCRAPES) -> list[Series]:
    """A day of a few hosts scraped every 15 s; with jitter each scrape is up to 3 ms early or late, for all series of the host."""
    found = []
    for host in range(hosts):
        dice = np.random.default_rng([7, host])
        times = 1_772_323_200_000 + int(dice.integers(STEP_MS)) + np.arange(scrapes, dtype=np.int64) * STEP_MS
        if jitter:
            times = times + np.random.default_rng([8, host]).integers(-JITTER_MS, JITTER_MS + 1, scrapes)
        for name, labels, values in _families(dice, scrapes):
            everything = {"__name__": name, "instance": f"host-{host:02d}.example:9100", "job": "node", **labels}
            found.append(Series(tuple(sorted(everything.items())), times, values.astype(np.float64)))
    return found


def _families(dice: np.random.Generator, n: int) -> Iterator[tuple[str, dict[str, str], Doubles]]:
    load = 0.35 + 0.25 * np.sin(np.arange(n) / n * 2 * np.pi) + np.abs(np.cumsum(dice.normal(0, 0.004, n)))
    yield from _processors(dice, load)
    yield from _memory(dice, n)
    yield from _devices(dice, load)
    yield from _kernel(dice, load)
    for name, span in (("node_load1", 1), ("node_load5", 20), ("node_load15", 60)):
        yield name, {}, np.round(np.convolve(load * 8, np.ones(span) / span, "same"), 2)
    for i in range(40):
        labels = {"collector": f"collector{i:02d}"}
        yield "node_scrape_collector_duration_seconds", labels, np.round(dice.lognormal(-8 + i % 5, 0.3, n), 9)
        yield "node_scrape_collector_success", labels, np.ones(n)
    yield "node_time_seconds", {}, 1772323200 + np.arange(n) * 15 + np.round(dice.random(n), 7)
    for i in range(20):
        yield f"node_constant_{i}", {}, np.full(n, float(dice.integers(1, 10**9)))


def _processors(dice: np.random.Generator, load: Doubles) -> Iterator[tuple[str, dict[str, str], Doubles]]:
    shares = {"user": 0.5, "system": 0.2, "iowait": 0.05, "softirq": 0.03, "irq": 0.0, "nice": 0.0, "steal": 0.0}
    for cpu in range(8):
        used = np.zeros(len(load))
        for mode, share in shares.items():
            step = np.maximum(15 * load * share * dice.normal(1, 0.2, len(load)), 0)
            used += step
            yield "node_cpu_seconds_total", {"cpu": str(cpu), "mode": mode}, np.floor(np.cumsum(step) * 100) / 100
        idle = np.floor(np.cumsum(np.maximum(15 - used, 0)) * 100) / 100
        yield "node_cpu_seconds_total", {"cpu": str(cpu), "mode": "idle"}, idle


def _memory(dice: np.random.Generator, n: int) -> Iterator[tuple[str, dict[str, str], Doubles]]:
    for i in range(45):
        still = i % 3 == 0
        pages = 2_000_000 + (0 if still else np.cumsum(dice.normal(0, 40, n) * (dice.random(n) < 0.7)))
        yield f"node_memory_{i}_bytes", {}, np.full(n, 1.0) * np.floor(pages) * 4096


def _devices(dice: np.random.Generator, load: Doubles) -> Iterator[tuple[str, dict[str, str], Doubles]]:
    n = len(load)
    for disk in ("nvme0n1", "nvme1n1"):
        for direction in ("read", "written"):
            operations = dice.poisson(400 * load)
            yield f"node_disk_{direction}_completed_total", {"device": disk}, np.cumsum(operations) * 1.0
            yield f"node_disk_{direction}_bytes_total", {"device": disk}, np.cumsum(operations * dice.integers(8, 64, n)) * 512.0
            yield f"node_disk_{direction}_time_seconds_total", {"device": disk}, np.round(np.cumsum(operations) * 0.0004, 3)
        yield "node_disk_io_time_seconds_total", {"device": disk}, np.round(np.cumsum(load * 3), 3)
        yield "node_disk_io_now", {"device": disk}, dice.poisson(load * 0.5) * 1.0
    for mount in ("/", "/boot", "/data", "/var"):
        free = 10**7 - np.cumsum(dice.poisson(0.4, n) * dice.integers(0, 40, n))
        for name, values in (("size", np.full(n, 2.5e7)), ("free", free), ("avail", free - 10**5)):
            yield f"node_filesystem_{name}_bytes", {"mountpoint": mount}, values * 4096.0
        yield "node_filesystem_files_free", {"mountpoint": mount}, 6e6 - np.cumsum(dice.poisson(0.1, n))
        yield "node_filesystem_readonly", {"mountpoint": mount}, np.zeros(n)
    for device in ("eth0", "eth1", "lo"):
        for direction in ("receive", "transmit"):
            packets = dice.poisson(2000 * load)
            yield f"node_network_{direction}_packets_total", {"device": device}, np.cumsum(packets) * 1.0
            yield f"node_network_{direction}_bytes_total", {"device": device}, np.cumsum(packets * 700 + dice.integers(0, 5000, n)) * 1.0
            for kind in ("errs", "drop", "fifo", "compressed", "multicast"):
                yield f"node_network_{direction}_{kind}_total", {"device": device}, np.zeros(n)


def _kernel(dice: np.random.Generator, load: Doubles) -> Iterator[tuple[str, dict[str, str], Doubles]]:
    n = len(load)
    for i in range(20):
        yield f"node_netstat_{i}", {}, np.cumsum(dice.poisson(10.0 ** (i % 5 - 1) * load)) * 1.0
    for i in range(10):
        yield f"node_vmstat_{i}", {}, np.cumsum(dice.poisson(500 * load) * dice.integers(0, 3, n)) * 1.0
    for i in range(10):
        yield f"node_sockstat_{i}", {}, np.repeat(dice.integers(5, 400, n // 8 + 1), 8)[:n] * 1.0
