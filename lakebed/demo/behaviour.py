"""The company in motion, free of noise: load, latency, errors, use of machines, volumes and pools as functions of time.

The call trees are here because latency and errors of a caller follow from what it calls; `traces` walks the same trees.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lakebed.demo.company import Company, Machine, Pool, Volume
from lakebed.demo.events import Deploy, Events
from lakebed.demo.timeline import DAY_S, Floats, Seconds, Window, drift, rhythm

NETWORK_S = 0.0008
QUERY_S = 0.0045
QUERY_SIGMA = 0.5
PROPAGATION = 0.7  # share of a callee's errors that fail the caller too
ENTRY_PER_S = 38.0


@dataclass(frozen=True)
class Call:
    """One request served: the service, its operation, the calls it makes, and the database it queries."""

    service: str
    operation: str
    calls: tuple[Call, ...] = ()
    database: str | None = None


def _catalog(operation: str = "GET /items/{id}") -> Call:
    return Call("catalog", operation, database="catalog-db")


def _inventory(operation: str) -> Call:
    return Call("inventory", operation, database="inventory-db")


def _recommendation() -> Call:
    return Call("recommendation", "GET /recommendations", (_catalog("GET /items"),))


def _entry(operation: str, *calls: Call) -> Call:
    return Call("web-frontend", operation, (Call("api-gateway", operation, calls),))


_CART = Call("cart", "GET /cart")
_CHECKOUT = Call(
    "checkout",
    "POST /orders",
    (
        _CART,
        Call("payment", "POST /charges", database="payments-db"),
        _inventory("POST /reservations"),
        Call("shipping", "POST /quotes"),
    ),
    database="orders-db",
)
TREES: tuple[tuple[float, Call], ...] = (
    (0.24, _entry("GET /", _catalog("GET /items"), _recommendation())),
    (0.28, _entry("GET /product/{id}", Call("auth", "POST /verify"), _catalog(), _recommendation())),
    (0.20, _entry("GET /search", Call("search", "GET /search", (_catalog("GET /items"),)))),
    (
        0.13,
        _entry("POST /cart", Call("auth", "POST /verify"), Call("cart", "POST /cart", (_inventory("GET /stock/{sku}"),))),
    ),
    (0.10, _entry("POST /checkout", Call("auth", "POST /verify"), _CHECKOUT)),
    (0.05, Call("notification", "orders process")),
)


def visits(call: Call) -> list[Call]:
    """Every call of a tree, callers before what they call."""
    return [call, *(below for child in call.calls for below in visits(child))]


@dataclass(frozen=True)
class Behaviour:
    """Noise-free answers for times in epoch seconds."""

    company: Company
    events: Events
    window: Window

    def load(self, service: str, times: Seconds) -> Floats:
        """Requests relative to the service's mean at the end of the window."""
        growth = self.company.service(service).growth_per_day
        return rhythm(times, self.events.holidays) * drift(times, self.window.end_s, growth)

    @cached_property
    def _visit_share(self) -> dict[str, float]:
        shares = {s.name: 0.0 for s in self.company.services}
        for weight, tree in TREES:
            for call in visits(tree):
                shares[call.service] += weight
        return shares

    def request_rate(self, service: str, times: Seconds) -> Floats:
        """Requests per second that the service answers."""
        return ENTRY_PER_S * self._visit_share[service] * self.load(service, times)

    def incident_strength(self, service: str, times: Seconds) -> list[tuple[float, float, float, Floats]]:
        """Per incident of the service: factor of its own time, error share, CPU factor, and the course (0 to 1)."""
        found = []
        for incident in self.events.incidents:
            if incident.service == service:
                begin, finish = incident.started.timestamp(), incident.resolved.timestamp()
                course = np.clip(np.minimum((times - begin) / 180.0 + 0.5, (finish - times) / 300.0), 0.0, 1.0)
                course = np.where(times < begin, 0.0, course)
                own = 1.0 + self._own_share(service, incident.latency_factor - 1.0)
                found.append((own, incident.error_share, incident.cpu_factor, course))
        return found

    def own_factor(self, service: str, times: Seconds, *, without: Deploy | None = None) -> Floats:
        """Time in own code relative to its median: load, deploys and incidents. `without` leaves out one deploy."""
        factor = 0.94 + 0.06 * self.load(service, times)
        for deploy in self.events.effective_deploys:
            if deploy.service == service and deploy is not without:
                slower = 1.0 + self._own_share(service, deploy.relative_latency_change)
                factor = factor * np.where(times >= deploy.time.timestamp(), slower, 1.0)
        for latency, _, _, course in self.incident_strength(service, times):
            factor = factor * (1.0 + (latency - 1.0) * course)
        return np.asarray(factor, dtype=np.float64)

    def _own_share(self, service: str, change: float) -> float:
        """Relative change of a service's own time that changes its whole latency by `change`."""
        own = self.company.service(service).own_s
        below = [self._below_s(call) for _, tree in TREES for call in visits(tree) if call.service == service]
        return change * (own + float(np.mean(below))) / own

    def _below_s(self, call: Call) -> float:
        """Median seconds spent under a call in quiet times, its own code left out."""
        below = sum(self.company.service(c.service).own_s + NETWORK_S + self._below_s(c) for c in call.calls)
        return float(below + (QUERY_S if call.database else 0.0))

    def _latency_of(self, call: Call, times: Seconds, own: dict[str, Floats]) -> Floats:
        below = sum((self._latency_of(c, times, own) + NETWORK_S for c in call.calls), np.zeros(len(times)))
        return np.asarray(own[call.service] + below + (QUERY_S if call.database else 0.0), dtype=np.float64)

    def latency_s(self, times: Seconds, *, without: Deploy | None = None) -> dict[str, Floats]:
        """Median seconds to answer a request, per service: own code, network, queries and everything called."""
        own = {s.name: s.own_s * self.own_factor(s.name, times, without=without) for s in self.company.services}
        total = {s.name: np.zeros(len(times)) for s in self.company.services}
        for weight, tree in TREES:
            for call in visits(tree):
                total[call.service] += weight * self._latency_of(call, times, own)
        return {name: value / self._visit_share[name] for name, value in total.items()}

    def own_error_share(self, service: str, times: Seconds) -> Floats:
        """Share of requests that fail in the service's own code."""
        share = np.full(len(times), self.company.service(service).error_share)
        for _, errors, _, course in self.incident_strength(service, times):
            share = share + errors * course
        return np.asarray(np.minimum(share, 0.95), dtype=np.float64)

    def _error_of(self, call: Call, own: dict[str, Floats]) -> Floats:
        passes = 1.0 - own[call.service]
        for child in call.calls:
            passes = passes * (1.0 - PROPAGATION * self._error_of(child, own))
        return np.asarray(1.0 - passes, dtype=np.float64)

    def error_share(self, times: Seconds) -> dict[str, Floats]:
        """Share of requests that fail, per service, failures of what it calls included."""
        own = {s.name: self.own_error_share(s.name, times) for s in self.company.services}
        total = {s.name: np.zeros(len(times)) for s in self.company.services}
        for weight, tree in TREES:
            for call in visits(tree):
                total[call.service] += weight * self._error_of(call, own)
        return {name: value / self._visit_share[name] for name, value in total.items()}

    def cores_used(self, machine: Machine, times: Seconds) -> Floats:
        """CPU cores in use. Idle machines run agents and a nightly job only."""
        if machine.role == "idle":
            nightly = np.where((times % DAY_S) // 1200 == 9, 2.2, 1.0)
            return np.asarray(machine.cores * machine.peak_share * 0.5 * nightly, dtype=np.float64)
        load = self.load(machine.service, times)
        used = machine.peak_share * (0.12 + 0.88 * load / self.busiest)
        if machine.kind == "vm":
            for _, _, cpu, course in self.incident_strength(machine.service, times):
                used = used * (1.0 + (cpu - 1.0) * course)
        return machine.cores * np.minimum(used, 0.985)

    @cached_property
    def busiest(self) -> float:
        """Load of the busiest moment of an ordinary week at the end of the window."""
        week = np.arange(self.window.end_s, self.window.end_s + 7 * DAY_S, 600, dtype=np.int64)
        return float(rhythm(week, frozenset()).max())

    def volume_bytes(self, volume: Volume, times: Seconds) -> Floats:
        """Bytes used: filling with the traffic of the day, and a weekly clean-up of temporary files worth 0.6%."""
        days = (times - self.window.end_s) / DAY_S
        daily = -0.42 / (2 * np.pi) * np.sin(2 * np.pi * (14.5 / 24 - days % 1.0))
        temporary = 0.006 * (((times // 3600 + 96) % 168) / 168.0 - 0.5)
        share = volume.share_at_end + volume.fill_per_day * (days + daily) + temporary
        return volume.limit_bytes * np.maximum(share, 0.02)

    def pool_connections(self, pool: Pool, times: Seconds) -> Floats:
        """Connections in use: a floor of kept-open ones and the rest with the traffic."""
        shape = 0.30 + 0.70 * rhythm(times, self.events.holidays) / self.busiest
        return pool.limit * pool.peak_share_at_end * shape * drift(times, self.window.end_s, pool.growth_per_day)

    def first_crossing(self, used: Floats, limit: float, times: Seconds) -> float | None:
        """The first of the times at which use reaches the limit, or None."""
        over = np.flatnonzero(used >= limit)
        return float(times[over[0]]) if len(over) else None
