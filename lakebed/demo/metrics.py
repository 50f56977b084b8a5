"""Metrics as the company's exporter archives them: long Parquet files, one per week, one column per label.

The part that comes over OpenTelemetry is in `otlp_metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lakebed.demo.behaviour import Behaviour
from lakebed.demo.company import REGION, Machine
from lakebed.demo.timeline import DAY_S, Floats, Seconds, sampling_step, stream, wander

LABELS = (
    "cloud.resource_id",
    "host.name",
    "service.name",
    "team",
    "cloud.region",
    "quantile",
    "device",
    "pool",
    "limit",
)
GAP_SHARE = 0.0006
P95_OVER_P50 = 1.9


@dataclass(frozen=True)
class Family:
    """Series of one metric on one grid: `labels` per row, `values` as rows x times."""

    metric: str
    unit: str
    kind: str
    labels: list[dict[str, str]]
    times: Seconds
    values: Floats


def _machine_labels(machine: Machine) -> dict[str, str]:
    return {
        "cloud.resource_id": machine.resource_id,
        "host.name": machine.name,
        "service.name": machine.service,
        "team": machine.team,
        "cloud.region": REGION,
    }


def _cpu(world: Behaviour, times: Seconds, rng: np.random.Generator) -> Family:
    """Cores in use. Machines of a service share part of their noise, because they share its traffic."""
    machines = world.company.machines
    quiet = np.stack([world.cores_used(m, times) for m in machines])
    services = sorted({m.service for m in machines})
    common = wander(rng, len(services), len(times), memory=0.85, sd=0.020)[[services.index(m.service) for m in machines]]
    own = rng.standard_normal(quiet.shape) * 0.025
    cores = np.array([[m.cores] for m in machines])
    values = np.clip(quiet * (1.0 + common + own), 0.002, 0.998 * cores)
    labels = [{**_machine_labels(m), "limit": str(m.cores)} for m in machines]
    return Family("system.cpu.cores_used", "{cpu}", "gauge", labels, times, values.round(4))


def _memory(world: Behaviour, times: Seconds, rng: np.random.Generator) -> Family:
    """Bytes in use: steady, a little with the load, and growing slowly from one restart to the next."""
    rows = []
    noise = wander(rng, len(world.company.machines), len(times), memory=0.97, sd=0.006)
    for i, machine in enumerate(world.company.machines):
        load = 0.0 if machine.role == "idle" else 0.02 * (world.load(machine.service, times) - 1.0)
        restarts = [times[0], *(r.timestamp() for r in _restarts(world, machine))]
        age_days = (times - np.array(restarts)[np.searchsorted(restarts, times, side="right") - 1]) / DAY_S
        share = machine.memory_share * (1.0 + load + noise[i]) + 0.0003 * np.minimum(age_days, 30.0)
        rows.append(np.minimum(share, 0.97) * machine.memory_bytes)
    labels = [{**_machine_labels(m), "limit": str(m.memory_bytes)} for m in world.company.machines]
    return Family("system.memory.usage", "By", "gauge", labels, times, np.round(np.stack(rows) / 4096) * 4096)


def _restarts(world: Behaviour, machine: Machine) -> list[Any]:
    """Times at which the machine restarted: those of its service's processes; idle ones and databases stay up."""
    if machine.kind == "db" or machine.role == "idle":
        return []
    return list(world.events.restarts[machine.service])


def _network(world: Behaviour, times: Seconds, rng: np.random.Generator) -> Family:
    """Bytes sent since the machine came up: a counter that begins at zero again after each restart."""
    step = float(times[1] - times[0])
    rows = []
    for machine in world.company.machines:
        per_s = 600.0 if machine.role == "idle" else 9_000.0 * world.load(machine.service, times) * machine.cores
        sent = np.floor(per_s * step * np.exp(0.12 * rng.standard_normal(len(times))))
        total = np.cumsum(sent) + float(rng.integers(10**9, 10**11))
        for restart in _restarts(world, machine):
            at = int(np.searchsorted(times, restart.timestamp()))
            if 0 < at < len(times):
                total[at:] -= total[at] - np.floor(sent[at] * rng.uniform(0.05, 0.95))
        rows.append(total)
    labels = [_machine_labels(m) for m in world.company.machines]
    return Family("system.network.transmit", "By", "counter", labels, times, np.stack(rows))


def _latency(world: Behaviour, times: Seconds, rng: np.random.Generator) -> Family:
    """Quantiles of request latency per service, as a summary exports them."""
    quiet = world.latency_s(times)
    names = list(quiet)
    shared = wander(rng, len(names), len(times), memory=0.7, sd=0.03)
    labels, rows = [], []
    for i, name in enumerate(names):
        for quantile, ratio, sd in (("0.5", 1.0, 0.03), ("0.95", P95_OVER_P50, 0.06)):
            labels.append({"service.name": name, "team": world.company.service(name).team, "quantile": quantile})
            rows.append(quiet[name] * ratio * np.exp(shared[i] + sd * rng.standard_normal(len(times))))
    return Family("http.server.request.latency", "s", "gauge", labels, times, np.stack(rows).round(6))


def _volumes(world: Behaviour, times: Seconds, rng: np.random.Generator) -> Family:
    """Bytes used per volume: temporary files come and go, and some days write more than others."""
    count = len(world.company.volumes)
    noise = wander(rng, count, len(times), memory=0.9, sd=0.0012) + wander(rng, count, len(times), memory=0.998, sd=0.004)
    rows, labels = [], []
    for i, volume in enumerate(world.company.volumes):
        rows.append(np.minimum(world.volume_bytes(volume, times) * (1.0 + noise[i]), volume.limit_bytes))
        labels.append(_owned(volume.resource_id, volume.service, volume.team, {"device": volume.name, "host.name": volume.machine}))
    return Family("system.filesystem.usage", "By", "gauge", labels, times, np.round(np.stack(rows) / 4096) * 4096)


def _pools(world: Behaviour, times: Seconds, rng: np.random.Generator) -> Family:
    """Connections in use per pool: whole numbers."""
    rows, labels = [], []
    noise = wander(rng, len(world.company.pools), len(times), memory=0.8, sd=0.008)
    for i, pool in enumerate(world.company.pools):
        used = world.pool_connections(pool, times) * (1.0 + noise[i] + 0.008 * rng.standard_normal(len(times)))
        rows.append(np.clip(np.rint(used), 0, pool.limit))
        labels.append(_owned(pool.resource_id, pool.service, pool.team, {"pool": pool.name}))
    return Family("db.client.connection.count", "{connection}", "gauge", labels, times, np.stack(rows))


def _volume_limits(world: Behaviour, times: Seconds) -> Family:
    """Size of each volume, exported beside its use, once an hour."""
    sizes = [np.full(len(times), float(v.limit_bytes)) for v in world.company.volumes]
    labels = [_owned(v.resource_id, v.service, v.team, {"device": v.name, "host.name": v.machine}) for v in world.company.volumes]
    return Family("system.filesystem.limit", "By", "gauge", labels, times, np.stack(sizes))


def _pool_limits(world: Behaviour, times: Seconds) -> Family:
    """Connections that each pool may open, once an hour."""
    sizes = [np.full(len(times), float(p.limit)) for p in world.company.pools]
    labels = [_owned(p.resource_id, p.service, p.team, {"pool": p.name}) for p in world.company.pools]
    return Family("db.client.connection.max", "{connection}", "gauge", labels, times, np.stack(sizes))


def _owned(resource: str, service: str, team: str, more: dict[str, str]) -> dict[str, str]:
    return {"cloud.resource_id": resource, "service.name": service, "team": team, "cloud.region": REGION, **more}


def families(world: Behaviour, seed: int, scale: float) -> Iterator[Family]:
    """All metrics of the archive, one family after another."""
    times = world.window.grid(sampling_step(10, scale))
    hourly = world.window.grid(3600)
    makers: tuple[Callable[[Behaviour, Seconds, np.random.Generator], Family], ...]
    makers = (_cpu, _memory, _network, _latency, _volumes, _pools)
    for make in makers:
        yield make(world, times, stream(seed, make.__name__))
    yield _volume_limits(world, hourly)
    yield _pool_limits(world, hourly)


def _week_table(family: Family, offsets_us: Seconds, begin: int, finish: int, rng: np.random.Generator) -> pa.Table:
    """A family's rows of a week by time and series. Each series has its own scrape moment; a few scrapes are lost."""
    first, last = np.searchsorted(family.times, [begin, finish])
    series, steps = len(family.labels), int(last - first)
    kept = rng.random(steps * series) >= GAP_SHARE
    row = np.tile(np.arange(series, dtype=np.int16), steps)[kept]
    jitter = rng.integers(0, 4_000, steps * series)
    time_us = (np.repeat(family.times[first:last] * 1_000_000, series) + np.tile(offsets_us, steps) + jitter)[kept]
    columns: dict[str, Any] = {
        "time": pa.array(time_us, pa.timestamp("us", tz="UTC")),
        "metric": pa.array([family.metric]).dictionary_encode().take(pa.array(np.zeros(len(row), dtype=np.int8))),
        "unit": pa.array([family.unit]).dictionary_encode().take(pa.array(np.zeros(len(row), dtype=np.int8))),
        "kind": pa.array([family.kind]).dictionary_encode().take(pa.array(np.zeros(len(row), dtype=np.int8))),
    }
    for label in LABELS:
        values = pa.array([labels.get(label) for labels in family.labels], pa.string())
        columns[label] = values.take(pa.array(row))
    columns["value"] = pa.array(np.ascontiguousarray(family.values[:, first:last].T).ravel()[kept], pa.float64())
    table = pa.table(columns)
    return table.cast(pa.schema([(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in table.schema]))


def write_metrics(world: Behaviour, folder: Path, seed: int, scale: float) -> int:
    """Write `metrics-<first day>.parquet` per week into `folder`; returns the number of samples."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = stream(seed, "scrapes")
    everything = [(family, rng.integers(0, 15_000_000, len(family.labels))) for family in families(world, seed, scale)]
    samples = 0
    for day, begin, finish in world.window.weeks():
        table = pa.concat_tables([_week_table(family, offsets, begin, finish, rng) for family, offsets in everything])
        pq.write_table(table, folder / f"metrics-{day}.parquet", compression="zstd", row_group_size=131_072)
        samples += table.num_rows
    return samples
