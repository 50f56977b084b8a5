"""Metric points as rows: series with their identity and unit, samples, histograms. Both wire forms end here.

Exemplars are not kept. Start times of intervals are not kept either: resets show in the values."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sources.otlp.spool import HISTOGRAMS, POINTS, SERIES, Spool
from sources.otlp.values import MAX_NS, RowError
from sources.ucum import base_unit
from warehouse.contracts.series import series_id

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NO_RECORDED_VALUE = 1
TEMPORALITY = {1: "delta", 2: "cumulative"}
TEMPORALITIES = {"UNSPECIFIED": 0, "DELTA": 1, "CUMULATIVE": 2}
CACHED_SERIES = 200_000
INT32 = (-(2**31), 2**31 - 1)


@dataclass(frozen=True, slots=True)
class Metric:
    """What all points of a metric share. shared: labels from resource and scope. kind: as the series contract has it."""

    name: str
    unit: str | None
    description: str | None
    kind: str
    shared: Mapping[str, str]
    temporality: str | None = None
    is_monotonic: bool | None = None
    keeps_unit: bool = False

    @property
    def scale(self) -> float:
        """Stored value = value in the source's unit * scale."""
        return 1.0 if self.keeps_unit else base_unit(self.unit)[1]

    @property
    def base(self) -> str | None:
        """Unit of the stored values. Exponential buckets cannot be rescaled exactly and keep the unit they came in."""
        return (self.unit or None) if self.keeps_unit else base_unit(self.unit)[0]


@dataclass(slots=True)
class Family:
    """A metric with the ids of its series, by whatever key its reader has for a set of attributes."""

    metric: Metric
    scale: float
    ids: dict[Hashable, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Histogram:
    """One histogram point in the source's unit, explicit (bounds) or exponential (scale)."""

    time: int
    count: int
    sum: float | None
    min: float | None
    max: float | None
    bounds: list[float] | None = None
    bucket_counts: list[int] | None = None
    scale: int | None = None
    zero_count: int | None = None
    zero_threshold: float | None = None
    positive: tuple[int, list[int]] | None = None
    negative: tuple[int, list[int]] | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """Labels that all series of a scope have, and a short key that stands for them."""

    labels: Mapping[str, str]
    key: int


def shared_labels(resource: Mapping[str, str], name: str, version: str, scope: Mapping[str, str]) -> dict[str, str]:
    """Labels that every series of a scope has: `resource.*`, `scope.*`, and the scope's name and version where it has them."""
    labels = {f"resource.{key}": value for key, value in resource.items()}
    labels.update((f"scope.{key}", value) for key, value in scope.items())
    labels.update((key, value) for key, value in (("scope.name", name), ("scope.version", version)) if value)
    return labels


class MetricRows:
    """Collects the metric rows of one file."""

    def __init__(self, folder: Path, source: str) -> None:
        self._source = source
        self.series = Spool(folder, "series", SERIES)
        self.points = Spool(folder, "points", POINTS)
        self.histograms = Spool(folder, "histograms", HISTOGRAMS)
        self._families: dict[Hashable, Family] = {}
        self._shared: dict[Hashable, Shared] = {}
        self._keys = itertools.count()
        self._defined: set[int] = set()

    def shared(self, labels: Mapping[str, str]) -> Shared:
        """The labels of a scope under a key of their own."""
        pairs = tuple(labels.items())
        found = self._shared.get(pairs)
        if found is None:
            found = self._shared[pairs] = Shared(labels, next(self._keys))
        return found

    def family(self, key: Hashable, make: Callable[[], Metric]) -> Family:
        """The family of a metric under a key that names everything its points share; made when it is new."""
        found = self._families.get(key)
        if found is None:
            metric = make()
            found = self._families[key] = Family(metric, metric.scale)
        return found

    def id(self, family: Family, key: Hashable, attributes: Callable[[], Mapping[str, str]]) -> int:
        """The series of a family for a set of attributes, defined when it is new."""
        found = family.ids.get(key)
        if found is None:
            found = family.ids[key] = self.define(family.metric, attributes())
        return found

    def define(self, metric: Metric, attributes: Mapping[str, str]) -> int:
        """The id of a series; its description is kept once. Raises RowError for a metric without a name."""
        if not metric.name:
            raise RowError("the metric has no name")
        labels = {**attributes, **metric.shared}
        found = series_id(self._source, metric.name, labels)
        if found not in self._defined:
            self._defined.add(found)
            self.series.append(
                (
                    found,
                    metric.name,
                    list(labels.items()),
                    metric.kind,
                    metric.base,
                    metric.unit or None,
                    metric.scale,
                    metric.temporality,
                    metric.is_monotonic,
                    metric.description or None,
                )
            )
        return found

    def add_points(self, family: Family, ids: Sequence[int], times: Sequence[int], values: Iterable[float]) -> None:
        """Samples of one family as columns; times in ns (checked), values in the source's unit."""
        scale = family.scale
        self.points.extend(ids, times, values if scale == 1.0 else [v * scale for v in values])

    def add_arrays(self, ids: npt.NDArray[np.uint64], times: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> None:
        """Samples as arrays; times in ns (checked), values in the series' unit."""
        self.points.extend_arrays(ids, times, values)

    def add_summary(
        self,
        family: Family,
        attributes: Mapping[str, str],
        time: int,
        quantiles: Sequence[tuple[float, float]],
        total: float,
        count: int,
    ) -> None:
        """A summary point: a sample per quantile (label `quantile`), and one each of `<name>_sum` and `<name>_count`."""
        metric, scale = family.metric, family.scale
        for quantile, value in quantiles:
            labels = {**attributes, "quantile": repr(quantile).removesuffix(".0")}
            self.points.append((self.define(metric, labels), time, value * scale))
        for suffix, value, unit in (("_sum", total * scale, metric.unit), ("_count", float(count), "1")):
            part = Metric(metric.name + suffix, unit, metric.description, "counter", metric.shared, "cumulative", True)
            self.points.append((self.define(part, attributes), time, value))

    def add_histogram(self, family: Family, series: int, point: Histogram) -> None:
        """A histogram point; everything that has the observations' unit is scaled."""
        scale = family.scale
        positive, negative = point.positive or (None, None), point.negative or (None, None)
        self.histograms.append(
            (
                series,
                point.time,
                point.count,
                None if point.sum is None else point.sum * scale,
                None if point.min is None else point.min * scale,
                None if point.max is None else point.max * scale,
                None if point.bounds is None else [b * scale for b in point.bounds],
                point.bucket_counts,
                point.scale,
                point.zero_count,
                point.zero_threshold,
                *positive,
                *negative,
            )
        )

    def flush(self, points: int, labelled: int) -> None:
        """Write samples from so many on, and series and histograms; forget series when there are too many to remember."""
        self.points.flush(at_least=points)
        self.series.flush(at_least=labelled)
        self.histograms.flush(at_least=labelled)
        if len(self._defined) > CACHED_SERIES or len(self._families) > CACHED_SERIES:
            self._defined.clear()
            self._families.clear()
            self._shared.clear()


def times_in_range(times: Sequence[int]) -> bool:
    """Whether all times can be kept; an empty list can."""
    return not times or (min(times) > 0 and max(times) <= MAX_NS)
