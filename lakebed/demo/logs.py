"""Logs: what each service says, as arrays of times, severities and messages.

`logs_files` writes them as OpenTelemetry records, Log4j lines and access lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lakebed.demo.behaviour import Behaviour
from lakebed.demo.timeline import Floats, stream

Message = Callable[[int, int], str]
INFO, WARN, ERROR = "INFO", "WARN", "ERROR"

OTLP_SERVICES = ("web-frontend", "api-gateway", "auth", "cart", "recommendation", "shipping", "notification")
LOG4J_SERVICES = ("catalog", "search", "checkout", "payment", "inventory")
OTLP_RECORDS, LOG4J_RECORDS, ACCESS_LINES = 92_000, 116_000, 104_000


@dataclass(frozen=True)
class Speech:
    """What a service logs: normal work, slowness and failure. Messages take their numbers from two random integers."""

    logger: str
    normal: tuple[Message, ...]
    slow: Message
    failed: Message


def _speech(logger: str, normal: tuple[Message, ...], dependency: str) -> Speech:
    return Speech(
        logger,
        normal,
        lambda a, b: f"Slow response from {dependency}: {900 + a % 4100} ms, attempt {1 + b % 3}",
        lambda a, b: f"Request {a:08x} failed: {dependency} did not answer within {(2 + b % 4) * 1000} ms",
    )


SPEECH: dict[str, Speech] = {
    "web-frontend": _speech(
        "larkspur.web",
        (
            lambda a, b: f"Rendered page in {4 + a % 90} ms for session {b:08x}",
            lambda a, b: f"Asset bundle served from cache, {a % 900} kB",
            lambda a, b: f"Session {a:08x} started from campaign {b % 40}",
        ),
        "api-gateway",
    ),
    "api-gateway": _speech(
        "larkspur.gateway",
        (
            lambda a, b: f"Routed request {a:08x} in {b % 30} ms",
            lambda a, b: f"Rate limit for client 10.{a % 32}.{b % 200}.{a % 250} at {b % 100}%",
        ),
        "upstream",
    ),
    "auth": _speech(
        "larkspur.auth",
        (
            lambda a, b: f"Token verified for user {a % 90000} in {1 + b % 9} ms",
            lambda a, b: f"Session {a:08x} renewed",
        ),
        "key store",
    ),
    "cart": _speech(
        "larkspur.cart",
        (
            lambda a, b: f"Cart {a:08x} now holds {1 + b % 12} items",
            lambda a, b: f"Cart {a:08x} expired after {b % 48} h",
        ),
        "inventory",
    ),
    "recommendation": _speech(
        "larkspur.recommend",
        (
            lambda a, b: f"Ranked {20 + a % 180} items for user {b % 90000}",
            lambda a, b: f"Model 2026-{1 + a % 9:02d} loaded in {b % 900} ms",
        ),
        "catalog",
    ),
    "shipping": _speech(
        "larkspur.shipping",
        (
            lambda a, b: f"Quote {a:08x}: {3 + b % 20} EUR by carrier {b % 5}",
            lambda a, b: f"Parcel {a % 10**7} handed to carrier {b % 5}",
        ),
        "carrier API",
    ),
    "notification": _speech(
        "larkspur.notify",
        (lambda a, b: f"Mail for order {a % 10**6} sent in {40 + b % 300} ms", lambda a, b: f"Queue depth {b % 60}"),
        "mail relay",
    ),
    "catalog": _speech(
        "com.larkspur.catalog.ItemService",
        (
            lambda a, b: f"Loaded item {a % 48000} in {1 + b % 20} ms",
            lambda a, b: f"Cache hit ratio {80 + a % 19}.{b % 10}% over the last minute",
            lambda a, b: f"Price list {a % 300} refreshed, {b % 4000} rows",
        ),
        "catalog-db",
    ),
    "search": _speech(
        "com.larkspur.search.QueryService",
        (
            lambda a, b: f"Query answered with {a % 400} hits in {8 + b % 90} ms",
            lambda a, b: f"Segment _{a % 3000} merged, {b % 70} MB",
        ),
        "catalog",
    ),
    "checkout": _speech(
        "com.larkspur.checkout.OrderService",
        (
            lambda a, b: f"Order {a % 10**6} placed with {1 + b % 9} items",
            lambda a, b: f"Order {a % 10**6} confirmed in {60 + b % 400} ms",
        ),
        "payment",
    ),
    "payment": _speech(
        "com.larkspur.payment.ChargeService",
        (
            lambda a, b: f"Charge {a:08x} authorised in {70 + b % 160} ms",
            lambda a, b: f"Settlement batch {a % 900} of {b % 500} charges sent",
        ),
        "payments-db",
    ),
    "inventory": _speech(
        "com.larkspur.inventory.StockService",
        (
            lambda a, b: f"Reserved {1 + b % 6} of sku {a % 48000}",
            lambda a, b: f"Stock of sku {a % 48000} is {b % 900}",
        ),
        "inventory-db",
    ),
}


@dataclass(frozen=True)
class Records:
    """Log records of one service by time: epoch seconds, severities, messages and which random number each drew."""

    service: str
    logger: str
    times: Floats
    severities: list[str]
    bodies: list[str]
    draws: list[int]


def log_times(world: Behaviour, rng: np.random.Generator, service: str, count: int) -> Floats:
    """When a service writes its `count` records: with its traffic, more of them while it is in trouble."""
    step = 300
    grid = world.window.grid(step)
    weight = 0.15 + 0.85 * world.load(service, grid)
    for _, _, _, course in world.incident_strength(service, grid):
        weight = weight * (1.0 + 1.5 * course)
    share = np.cumsum(weight)
    slots = np.minimum(np.searchsorted(share / share[-1], rng.random(count)), len(grid) - 1)
    return np.asarray(np.sort(grid[slots] + rng.random(count) * step), dtype=np.float64)


def write_records(world: Behaviour, rng: np.random.Generator, service: str, count: int) -> Records:
    """Draw a service's records. Errors follow its share of failed requests, warnings its latency."""
    times = log_times(world, rng, service, count)
    whole = times.astype(np.int64)
    failing = world.own_error_share(service, whole)
    troubled = np.zeros(count)
    for latency, _, _, course in world.incident_strength(service, whole):
        troubled = troubled + course * min(0.1 * latency, 0.4)
    dice = rng.random(count)
    is_error = dice < 0.6 * failing + 0.35 * troubled
    is_warning = ~is_error & (dice < 0.6 * failing + 0.35 * troubled + 0.008 + 0.5 * troubled)
    speech = SPEECH[service]
    a, b = rng.integers(0, 2**31, count).tolist(), rng.integers(0, 2**31, count).tolist()
    which = rng.integers(0, len(speech.normal), count).tolist()
    severities, bodies = [], []
    for i, (error, warning) in enumerate(zip(is_error.tolist(), is_warning.tolist(), strict=True)):
        severities.append(ERROR if error else WARN if warning else INFO)
        say = speech.failed if error else speech.slow if warning else speech.normal[which[i]]
        bodies.append(say(a[i], b[i]))
    return Records(service, speech.logger, times, severities, bodies, a)


def service_records(world: Behaviour, seed: int, services: tuple[str, ...], total: int) -> list[Records]:
    """Records of several services, shared out with the square root of their traffic."""
    root = np.array([float(world.request_rate(s, world.window.grid(86_400)).mean()) ** 0.5 for s in services])
    counts = np.maximum(np.ceil(total * root / root.sum()), 20).astype(int).tolist()
    return [write_records(world, stream(seed, f"logs {s}"), s, count) for s, count in zip(services, counts, strict=True)]
