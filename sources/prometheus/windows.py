"""Asking for a span of time in windows that the server can answer: no gap between them, no sample in two of them.

A window is half-open in ms, [start, end). What lies outside of it in an answer is left out by the collector, because
servers differ in which ends of a range they close (Prometheus 2 both, Prometheus 3 the right one, VictoriaMetrics'
export both)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from sources.http import HttpServer, ServerError
from sources.prometheus import lines, matrix
from sources.prometheus.samples import Answer, Collector, TooManySamplesError
from warehouse.errors import SourceError
from warehouse.settings.sources import PrometheusSettings

DAY_MS = 86_400_000
SMALLEST_MS = 1000
GROW = 2.0
FILL = 0.5
"""Windows aim at this share of `max_samples`, so that busier hours still fit."""
ROWS_PER_LINE = 100_000
PROBE = '{__name__="lakebed_probe"}'
Flavour = Literal["prometheus", "victoriametrics"]


@dataclass(slots=True)
class Asker:
    """Asks one server for raw samples; remembers for each selector how large a window to ask for and never to
    exceed."""

    server: HttpServer
    settings: PrometheusSettings
    flavour: Flavour
    _sizes: dict[str, int] = field(default_factory=dict)
    _bounds: dict[str, int] = field(default_factory=dict)

    def answers(self, selector: str, start_ms: int, end_ms: int) -> Iterator[Answer]:
        """All samples of `selector` in [start_ms, end_ms), window after window in order.

        Raises SourceError when the server fails for good, or when even one second holds more samples than it gives."""
        size = self._sizes.get(selector, self.settings.window_seconds * 1000)
        at = start_ms
        while at < end_ms:
            stop = min(at + size, end_ms)
            try:
                answer = self._ask(selector, at, stop)
            except (TooManySamplesError, ServerError) as error:
                if not _too_much(error):
                    raise
                if stop - at <= SMALLEST_MS:
                    advice = f"{selector} holds too much for one query even in a second: narrow `selectors`"
                    raise SourceError(f"source {self.server.source}: {error}; {advice}") from None
                size = self._bounds[selector] = max(SMALLEST_MS, (stop - at) // 2)
                continue
            yield answer
            size = _next_size(size, stop - at, answer.samples, self.settings.max_samples)
            self._sizes[selector] = size = min(size, self._bounds.get(selector, DAY_MS))
            at = stop

    def _ask(self, selector: str, start_ms: int, end_ms: int) -> Answer:
        ask: Callable[[str, int, int], Answer] = self._export if self.flavour == "victoriametrics" else self._query
        return ask(selector, start_ms, end_ms)

    def _query(self, selector: str, start_ms: int, end_ms: int) -> Answer:
        """A range selector that ends 1 ms before `end`: (start-1ms, end-1ms] or [start-1ms, end-1ms], both hold
        [start, end).

        Thanos answers in part when a store is down, unless told not to."""
        params = {
            "query": f"{selector}[{end_ms - start_ms}ms]",
            "time": _seconds(end_ms - 1),
            "partial_response": "false",
        }
        return self.server.read(
            "/api/v1/query",
            params,
            lambda pieces: matrix.read(pieces, Collector(start_ms, end_ms, self.settings.max_samples)),
            final=frozenset({"timeout"}),
        )

    def _export(self, selector: str, start_ms: int, end_ms: int) -> Answer:
        params = {
            "match[]": selector,
            "start": _seconds(start_ms),
            "end": _seconds(end_ms - 1),
            "max_rows_per_line": str(ROWS_PER_LINE),
        }
        return self.server.read(
            "/api/v1/export",
            params,
            lambda pieces: lines.read(pieces, Collector(start_ms, end_ms, self.settings.max_samples)),
        )


def detect(server: HttpServer, settings: PrometheusSettings) -> Flavour:
    """Which of the two APIs gives raw samples. Prometheus, Thanos and Mimir tell a revision in their build
    information; what does not is asked for an empty export. Raises SourceError when the server cannot be reached or
    refuses."""
    if settings.flavour != "auto":
        return settings.flavour
    try:
        document = server.json("/api/v1/status/buildinfo")
    except ServerError as error:
        if error.status not in (404, 405, 501):
            raise
        document = {}
    data = document.get("data") if isinstance(document, dict) else None
    if isinstance(data, dict) and data.get("revision"):
        return "prometheus"
    try:
        server.read("/api/v1/export", {"match[]": PROBE, "start": "0", "end": "1"}, lambda pieces: sum(map(len, pieces)))
    except ServerError as error:
        if error.status not in (400, 404, 405, 501):
            raise
        return "prometheus"
    return "victoriametrics"


def _too_much(error: Exception) -> bool:
    """Whether asking for less may help: 422 (sample limits of Prometheus, Thanos and Mimir), 413, and a query that
    timed out."""
    return not isinstance(error, ServerError) or error.status in (413, 422) or error.kind == "timeout"


def _next_size(size: int, asked: int, samples: int, limit: int) -> int:
    """The next window in ms, after `asked` ms brought `samples`: towards `FILL` of the limit, at most `GROW` times
    `size`, up to a day."""
    fitting = asked * FILL * limit / samples if samples else DAY_MS
    return int(min(max(min(size * GROW, fitting), SMALLEST_MS), DAY_MS))


def _seconds(ms: int) -> str:
    """Unix seconds with three decimals, exact."""
    sign, ms = ("-", -ms) if ms < 0 else ("", ms)
    return f"{sign}{ms // 1000}.{ms % 1000:03d}"
