"""Log lines of a simulated shop, the same for the same seed: plain text and JSON, several services, requests that leave lines under one
trace id, and now and then an exception with its stack trace in one entry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

DAY = datetime(2026, 3, 1, tzinfo=UTC)
CUSTOMERS, PRODUCTS = 200_000, 5_000
AGENTS = tuple(
    f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) {browser}/{major}.0.{build}.{patch} Safari/537.36"
    for system in ("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64", "Linux; Android 14; SM-S921B")
    for browser in ("Chrome", "Edg")
    for major, build, patch in ((126, 6478, 127), (128, 6613, 85), (131, 6778, 69), (133, 6943, 53))
)
PATHS = (
    "/",
    "/cart",
    "/checkout",
    "/api/v1/products/{p}",
    "/api/v1/customers/{c}/orders",
    "/search?q=term{q}&page={n}",
    "/static/app.{h}.js",
)
FAILURES = (
    (
        "java.net.SocketTimeoutException",
        "Read timed out",
        ("java.base/java.net.SocketInputStream.read", "okhttp3.internal.http.CallServerInterceptor.intercept"),
    ),
    (
        "java.sql.SQLTransientConnectionException",
        "HikariPool-1 - Connection is not available, request timed out after {d}ms.",
        ("com.zaxxer.hikari.pool.HikariPool.getConnection",),
    ),
    (
        "java.lang.IllegalStateException",
        "Order {o} is already closed",
        ("com.example.shop.orders.OrderService.reopen", "com.example.shop.orders.OrderController.patch"),
    ),
)


class Shop:
    """What requests of one service share: chance, and numbers that count up (order numbers, offsets of a topic's partitions)."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)
        self.order = 10_000_000
        self.offsets = [self.random.randrange(10**9) for _ in range(24)]

    def next_order(self) -> int:
        """The next order number."""
        self.order += self.random.randrange(1, 4)
        return self.order

    def customer(self) -> int:
        """A customer; some buy far more often than others."""
        return int(self.random.paretovariate(0.5)) % CUSTOMERS

    def product(self) -> int:
        """A product; some sell far better than others."""
        return int(self.random.paretovariate(0.5)) % PRODUCTS


def duration(random: Random) -> float:
    """Milliseconds; lognormal with a median of 20, as response times are."""
    return random.lognormvariate(3.0, 1.0)


def address(random: Random) -> str:
    """A client's address; a few thousand are in use."""
    return f"10.{random.randrange(4)}.{random.randrange(16)}.{int(random.triangular(1, 254, 20))}"


def hexadecimal(random: Random, digits: int) -> str:
    """Random lower-case hex digits."""
    return f"{random.getrandbits(4 * digits):0{digits}x}"


def orders(shop: Shop, trace: str) -> Iterator[tuple[str, str]]:
    """Log4j-like lines of the service that takes orders: (level, text after the time)."""
    random, order, customer = shop.random, shop.next_order(), shop.customer()
    thread, logger = f"http-nio-8080-exec-{random.randrange(1, 33)}", "c.e.shop.orders.OrderService"
    yield "INFO", f"[{thread}] {logger} - Received order {order} from customer {customer} with {random.randrange(1, 9)} items"
    if random.random() < 0.6:
        yield (
            "DEBUG",
            f"[{thread}] c.e.shop.orders.StockClient - GET http://stock:8080/v1/stock/{shop.product()} returned 200 "
            f"in {duration(random):.3f} ms",
        )
    if random.random() < 0.03:
        yield (
            "WARN",
            f"[{thread}] {logger} - Slow write of order {order}: {duration(random) * 20:.0f} ms (threshold 200 ms) traceId={trace}",
        )
    if random.random() < 0.004:
        name, message, frames = random.choice(FAILURES)
        text = message.format(d=30_000 + random.randrange(50), o=order)
        stack = "".join(f"\n\tat {f}({f.rsplit('.', 2)[1]}.java:{random.choice((57, 112, 238))})" for f in frames)
        yield (
            "ERROR",
            f"[{thread}] {logger} - Order {order} failed traceId={trace}\n{name}: {text}{stack}"
            "\n\tat java.base/java.lang.Thread.run(Thread.java:1583)",
        )
    else:
        yield (
            "INFO",
            f"[{thread}] {logger} - Order {order} stored in {duration(random):.3f} ms total={random.randrange(500, 90_000) / 100:.2f} EUR",
        )


def payments(shop: Shop, trace: str) -> Iterator[tuple[str, str]]:
    """JSON lines of the payment service: (level, JSON without the time)."""
    random = shop.random
    span, payment = hexadecimal(random, 16), f"pay_{hexadecimal(random, 24)}"
    steps = [
        ("info", "authorising payment"),
        ("info", "payment authorised" if random.random() < 0.97 else "payment declined"),
        ("debug", "ledger entry written"),
    ]
    amount, provider = random.randrange(500, 90_000), random.choice(("stripe", "adyen", "paypal"))
    for level, message in steps:
        fields: dict[str, object] = {
            "level": level,
            "logger": "payments.flow",
            "msg": message,
            "trace_id": trace,
            "span_id": span,
            "payment_id": payment,
        }
        fields |= {"amount_cents": amount, "provider": provider, "duration_ms": round(duration(random), 2)}
        yield level.upper(), json.dumps(fields)[1:]


def edge(shop: Shop, _trace: str) -> Iterator[tuple[str, str]]:
    """Combined access log of the proxy in front: (level, what comes around the time)."""
    random = shop.random
    path = random.choice(PATHS).format(p=shop.product(), c=shop.customer(), q=random.randrange(300), n=random.randrange(1, 6), h="5f2c81aa")
    status = random.choices((200, 304, 404, 500, 502), (90, 5, 3, 1, 1))[0]
    referer = random.choice(("-", "https://shop.example.com/", "https://shop.example.com/cart", "https://www.google.com/"))
    method = "POST" if path == "/checkout" else "GET"
    yield (
        "INFO",
        f'"{method} {path} HTTP/1.1" {status} {int(random.lognormvariate(8, 1.2))} "{referer}" "{random.choice(AGENTS)}" '
        f"{duration(random) / 1000:.3f}",
    )


def worker(shop: Shop, _trace: str) -> Iterator[tuple[str, str]]:
    """klog-like lines of a background worker: (level, text after the time)."""
    random = shop.random
    pod = f"importer-7d9f8b6c5-{random.choice(('x2x9p', 'q8k4z', 'm5vtd', 'b7nlw'))}"
    job = f"{hexadecimal(random, 8)}-{hexadecimal(random, 4)}-4{hexadecimal(random, 3)}-a{hexadecimal(random, 3)}-{hexadecimal(random, 12)}"
    partition = random.randrange(24)
    shop.offsets[partition] += 1 + int(random.expovariate(0.2))
    yield (
        "INFO",
        f'worker.go:{random.choice((88, 131))}] "Job started" pod="{pod}" job={job} partition={partition} offset={shop.offsets[partition]}',
    )
    if random.random() < 0.05:
        yield (
            "WARN",
            f'retry.go:42] "Retrying" pod="{pod}" job={job} attempt={random.randrange(1, 6)} '
            f'backoff={2 ** random.randrange(1, 7) * 100}ms err="connection reset by peer"',
        )
    yield (
        "INFO",
        f'worker.go:214] "Job finished" pod="{pod}" job={job} rows={int(random.lognormvariate(6, 1))} '
        f"bytes={int(random.lognormvariate(12, 1.5))} elapsed={duration(random):.6f}s",
    )


@dataclass(frozen=True, slots=True)
class Service:
    """A service's part of the bytes, the bytes of one request's lines, the unit of its times, and its lines as (level, text)."""

    share: float
    request_bytes: int
    unit_us: int
    request: Callable[[Shop, str], Iterator[tuple[str, str]]]


SERVICES = {
    "edge": Service(0.25, 230, 1_000_000, edge),
    "orders": Service(0.35, 300, 1000, orders),
    "payments": Service(0.25, 920, 1, payments),
    "worker": Service(0.15, 335, 1, worker),
}


def written(service: str, time: datetime, level: str, text: str, client: str) -> str:
    """A line as the service's own format puts time and level."""
    if service == "edge":
        return f"{client} - - [{time:%d/%b/%Y:%H:%M:%S +0000}] {text}"
    if service == "payments":
        return f'{{"time": "{time:%Y-%m-%dT%H:%M:%S.%f}Z", {text}'
    if service == "worker":
        return f"{level[0]}{time:%m%d %H:%M:%S.%f}       1 {text}"
    return f"{time:%Y-%m-%d %H:%M:%S},{time.microsecond // 1000:03d} {level:5} {text}"


def lines(size: int, seed: int = 1) -> Iterator[tuple[str, datetime, str, str]]:
    """About `size` bytes of lines as (service, time, level, text), service by service, each in order of time.

    All are of one day; time is as exact as the text's."""
    for name, service in SERVICES.items():
        shop, wanted, done = Shop(f"{seed} {name}"), int(size * service.share), 0
        per_second = wanted / service.request_bytes / 80_000
        time = DAY
        while done < wanted:
            time += timedelta(seconds=shop.random.expovariate(per_second))
            trace, client, at = hexadecimal(shop.random, 32), address(shop.random), time
            for level, text in service.request(shop, trace):
                line = written(name, at, level, text, client)
                yield name, at.replace(microsecond=at.microsecond // service.unit_us * service.unit_us), level, line
                done += len(line.encode()) + 1
                at += timedelta(microseconds=shop.random.randrange(50, 3000))
