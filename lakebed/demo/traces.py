"""Traces: sampled requests walk the call trees of `behaviour`; each request served, call made and query is a span.

Here they are arrays; `traces_otlp` writes them as the Collector does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lakebed.demo.behaviour import NETWORK_S, PROPAGATION, QUERY_S, QUERY_SIGMA, TREES, Behaviour, Call, visits
from lakebed.demo.timeline import Floats, Seconds, stream

SPANS_AT_SCALE_1 = 199_000
EXTRA_PER_HOUR = 60
SERVER, CLIENT, CONSUMER = 2, 3, 5
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Visit:
    """A span of a tree: `parent` is the index of the visit above it, -1 for the root; queries name their database."""

    parent: int
    service: str
    operation: str
    kind: int
    database: str | None = None


@dataclass(frozen=True)
class Traces:
    """Traces of one tree: arrays of visits x traces. `start_ns` and `duration_ns` are integers, `failed` the status."""

    visits: list[Visit]
    start_ns: Seconds
    duration_ns: Seconds
    failed: Flags
    ids: list[str]
    span_ids: list[list[str]]


@dataclass
class _Walk:
    """A walk down one tree: what was found for each visit so far."""

    visits: list[Visit]
    begin: list[Floats]
    lasted: list[Floats]
    failed: list[Flags]


def spans_of(call: Call) -> int:
    """Spans of a tree: one per request served, one per call made, one per query."""
    return 1 + (1 if call.database else 0) + sum(1 + spans_of(child) for child in call.calls)


class Walker:
    """Draws durations and failures for the traces of a tree that begin at `times`."""

    def __init__(self, world: Behaviour, rng: np.random.Generator, times: Floats) -> None:
        self.world, self.rng, self.times = world, rng, times
        whole = times.astype(np.int64)
        names = [s.name for s in world.company.services]
        self.factor = {name: world.own_factor(name, whole) for name in names}
        self.errors = {name: world.own_error_share(name, whole) for name in names}

    def _lognormal(self, median: Floats | float, sigma: float) -> Floats:
        return np.asarray(median * np.exp(sigma * self.rng.standard_normal(len(self.times))), dtype=np.float64)

    def serve(self, walk: _Walk, call: Call, parent: int, begin: Floats, kind: int) -> tuple[Floats, Flags]:
        """Walk a request served: its query first, then its calls one after another, then the rest of its own code."""
        me = self._open(walk, Visit(parent, call.service, call.operation, kind), begin)
        service = self.world.company.service(call.service)
        own = self._lognormal(service.own_s * self.factor[call.service], service.sigma)
        failed = self.rng.random(len(begin)) < self.errors[call.service]
        clock = begin + 0.35 * own
        if call.database:
            query = self._open(walk, Visit(me, call.service, f"SELECT {call.database}", CLIENT, call.database), clock)
            lasted = self._lognormal(QUERY_S, QUERY_SIGMA)
            walk.lasted[query] = lasted
            clock = clock + lasted
        for child in call.calls:
            client = self._open(walk, Visit(me, call.service, child.operation, CLIENT), clock)
            network = self._lognormal(NETWORK_S / 2, 0.2)
            lasted, below = self.serve(walk, child, client, clock + network, SERVER)
            walk.lasted[client] = lasted + 2 * network
            walk.failed[client] = below
            failed = failed | (below & (self.rng.random(len(begin)) < PROPAGATION))
            clock = clock + walk.lasted[client]
        walk.lasted[me] = clock - begin + 0.65 * own
        walk.failed[me] = failed
        return walk.lasted[me], failed

    @staticmethod
    def _open(walk: _Walk, visit: Visit, begin: Floats) -> int:
        walk.visits.append(visit)
        walk.begin.append(begin)
        walk.lasted.append(np.zeros(len(begin)))
        walk.failed.append(np.zeros(len(begin), dtype=np.bool_))
        return len(walk.visits) - 1


def _hex_ids(rng: np.random.Generator, count: int, size: int) -> list[str]:
    digits = rng.bytes(count * size).hex()
    return [digits[i : i + 2 * size] for i in range(0, len(digits), 2 * size)]


def _extra_times(world: Behaviour, rng: np.random.Generator, tree: Call, scale: float) -> list[Floats]:
    """Traces that the tail sampler keeps on top during an incident: about 60 an hour that pass through its service."""
    services = {call.service for call in visits(tree)}
    kept = []
    for incident in world.events.incidents:
        if incident.service in services:
            through = sum(w for w, t in TREES if incident.service in {call.service for call in visits(t)})
            weight = next(w for w, t in TREES if t is tree)
            hours = (incident.resolved - incident.started).total_seconds() / 3600
            count = max(round(EXTRA_PER_HOUR * hours * scale * weight / through), 1)
            kept.append(rng.uniform(incident.started.timestamp(), incident.resolved.timestamp() - 1, count))
    return kept


def _sampled_times(world: Behaviour, rng: np.random.Generator, tree: Call, count: int, scale: float) -> Floats:
    """When the sampled traces of a tree begin: `count` with the traffic, and more during incidents."""
    step = 600
    grid = world.window.grid(step)
    share = np.cumsum(world.load("web-frontend", grid))
    slots = np.minimum(np.searchsorted(share / share[-1], rng.random(count)), len(grid) - 1)
    times = np.concatenate([grid[slots] + rng.random(count) * step, *_extra_times(world, rng, tree, scale)])
    return np.asarray(np.minimum(np.sort(times), world.window.end_s - 60.0), dtype=np.float64)


def sample_traces(world: Behaviour, seed: int, scale: float) -> list[Traces]:
    """Sampled traces of every tree, the share of each tree as in the traffic."""
    wanted = SPANS_AT_SCALE_1 * scale / sum(weight * spans_of(tree) for weight, tree in TREES)
    found = []
    for i, (weight, tree) in enumerate(TREES):
        rng = stream(seed, f"traces {i}")
        times = _sampled_times(world, rng, tree, max(round(wanted * weight), 4), scale)
        walk = _Walk([], [], [], [])
        kind = CONSUMER if tree.service == "notification" else SERVER
        Walker(world, rng, times).serve(walk, tree, -1, np.zeros(len(times)), kind)
        base_ns = (times * 1_000_000).astype(np.int64) * 1000 + rng.integers(0, 1000, len(times))
        start = base_ns + (np.stack(walk.begin) * 1e9).astype(np.int64)
        lasted = np.maximum((np.stack(walk.lasted) * 1e9).astype(np.int64), 1000)
        ids = _hex_ids(rng, len(times), 16)
        spans = [_hex_ids(rng, len(times), 8) for _ in walk.visits]
        found.append(Traces(walk.visits, start, lasted, np.stack(walk.failed), ids, spans))
    return found
