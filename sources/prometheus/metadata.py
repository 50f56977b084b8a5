"""What is known about a metric besides its samples: kind, unit, help text, from `/api/v1/metadata` and the naming
conventions.

Conventions: https://prometheus.io/docs/practices/naming/ (base units as suffix, `_total` for counters)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sources.http import HttpServer, ServerError
from sources.ucum import base_unit
from warehouse.errors import SourceError

KINDS = {
    "counter": "counter",
    "gauge": "gauge",
    "gaugehistogram": "gauge",
    "info": "gauge",
    "stateset": "gauge",
    "summary": "summary",
}
NO_METADATA = frozenset({400, 404, 405, 501})
SUFFIX_UNITS = {
    "seconds": "s",
    "bytes": "By",
    "ratio": "1",
    "celsius": "Cel",
    "kelvin": "K",
    "watts": "W",
    "joules": "J",
    "volts": "V",
    "amperes": "A",
    "hertz": "Hz",
    "meters": "m",
    "grams": "g",
}


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family as the server describes it: `type`, `unit` ('' when it gives none) and `help`."""

    type: str
    unit: str
    help: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Columns of raw.metric_series that are the same for all series of a metric."""

    kind: str = "unknown"
    unit: str | None = None
    original_unit: str | None = None
    unit_scale: float = 1.0
    is_monotonic: bool | None = None
    description: str | None = None

    @property
    def temporality(self) -> str | None:
        """Prometheus counters are cumulative by definition."""
        return "cumulative" if self.kind == "counter" else None


def fetch(server: HttpServer) -> Mapping[str, Family]:
    """Families by name; empty when the server has no such endpoint. Raises SourceError when it fails or answers
    something else."""
    try:
        document = server.json("/api/v1/metadata")
    except ServerError as error:
        if error.status in NO_METADATA:
            return {}
        raise
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise SourceError(f"source {server.source}: {server.url}/api/v1/metadata did not answer with metric metadata")
    return {name: _family(entries[0]) for name, entries in data.items() if isinstance(entries, list) and entries}


def facts_of(families: Mapping[str, Family]) -> Callable[[str, Mapping[str, str]], Facts]:
    """A function from metric name and labels to what is known about that series.

    A histogram's `_bucket` and `_count` are counters without unit, `_sum` one in the family's unit; a summary's
    quantiles are kind summary. Without metadata only conventions speak: `_total`, and `_bucket` with a label `le`,
    are counters of which nobody promised that they only grow."""

    def facts(name: str, labels: Mapping[str, str]) -> Facts:
        base, part = _family_of(name, families)
        family = families.get(base)
        if family is None:
            hinted = name.endswith("_total") or (name.endswith("_bucket") and "le" in labels)
            return Facts("counter" if hinted else "unknown", _hint(name))
        kind = _kind(family.type, part)
        monotonic = True if kind == "counter" else None
        if part in ("_bucket", "_count"):
            return Facts(kind, "1", None, 1.0, monotonic, family.help or None)
        declared, scale = base_unit(family.unit) if family.unit else (None, 1.0)
        return Facts(kind, declared or _hint(base), family.unit or None, scale, monotonic, family.help or None)

    return facts


def _family(entry: object) -> Family:
    known = entry if isinstance(entry, dict) else {}
    return Family(*(str(known.get(key) or "") for key in ("type", "unit", "help")))


def _family_of(name: str, families: Mapping[str, Family]) -> tuple[str, str]:
    """The family that a metric belongs to and the suffix that it adds (OpenMetrics names the family without
    `_total`)."""
    if name in families:
        return name, ""
    for suffix in ("_bucket", "_sum", "_count", "_total", "_created", "_info"):
        if name.endswith(suffix) and name.removesuffix(suffix) in families:
            return name.removesuffix(suffix), suffix
    return name, ""


def _kind(family_type: str, part: str) -> str:
    if part in ("_bucket", "_sum", "_count"):
        return "gauge" if family_type == "gaugehistogram" else "counter"
    if part == "_created":
        return "gauge"
    return KINDS.get(family_type, "unknown")


def _hint(name: str) -> str | None:
    """Base unit by the metric's last word, as the conventions demand; None when it is no unit."""
    if name.endswith(("_bucket", "_count")):
        return None
    return SUFFIX_UNITS.get(name.removesuffix("_total").removesuffix("_sum").rpartition("_")[2])
