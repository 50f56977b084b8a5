"""Samples of protobuf messages by column: points of the layout that every known exporter writes are read as fixed-width records.

A number point begins with its times and its value, each a tag and eight bytes, in ascending order of field numbers; what follows are
its attributes, the same bytes with every scrape. Every other point is handed back to be looked at by itself. (1.7 million points a
second in a trial, where reading the fields of message objects gave 0.6.)"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sources.otlp.messages import message
from sources.otlp.metrics import Family, MetricRows
from sources.otlp.values import MAX_NS, RowError

START, TIME, DOUBLE, INTEGER, ATTRIBUTES = 0x11, 0x19, 0x21, 0x31, b"\x3a"
TIME_AND_VALUE = [("time_tag", "u1"), ("time", "<u8"), ("value_tag", "u1"), ("value", "<u8")]

Odd = list[tuple[bytes, Family]]


@dataclass(slots=True)
class Layout:
    """Points of one fixed beginning that wait for the end of their message."""

    head: np.dtype[np.void]
    points: list[bytes] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    families: list[Family] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)


class Samples:
    """The number points of one message. attributes: decodes the attributes of a point, and raises RowError where it cannot."""

    def __init__(self, rows: MetricRows, attributes: Callable[[tuple[bytes, ...]], dict[str, str]]) -> None:
        self._rows, self._attributes = rows, attributes
        self._layouts = {
            START: Layout(np.dtype([("start_tag", "u1"), ("start", "<u8"), *TIME_AND_VALUE])),
            TIME: Layout(np.dtype(TIME_AND_VALUE)),
        }
        self._odd: Odd = []

    def add(self, points: list[bytes], family: Family) -> None:
        """Points of one metric, as their undecoded messages."""
        layout = self._layouts.get(points[0][0]) if points and points[0] else None
        if layout is None or min(map(len, points)) < layout.head.itemsize:
            self._odd += [(point, family) for point in points]
            return
        size, known = layout.head.itemsize, family.ids
        keys = [point[size:] for point in points]
        ids = [known.get(key) for key in keys]
        if None in ids:
            ids = [self._series(family, key) for key in keys]
            self._odd += [(p, family) for p, i in zip(points, ids, strict=True) if i is None]
            points = [p for p, i in zip(points, ids, strict=True) if i is not None]
        layout.points += points
        layout.ids += [i for i in ids if i is not None]
        layout.families.append(family)
        layout.counts.append(len(points))

    def _series(self, family: Family, key: bytes) -> int | None:
        """The series of a point by what follows its value; None when that is more than attributes, or cannot be read."""
        found = family.ids.get(key)
        if found is not None:
            return found
        if key[:1] not in (b"", ATTRIBUTES):
            return None
        from google.protobuf.message import DecodeError

        try:
            rest = message("metrics.v1.NumberDataPoint").FromString(key)
            if rest.flags or rest.time_unix_nano or rest.WhichOneof("value") or _has_more(key, rest):
                return None
            return self._rows.id(family, key, lambda: self._attributes(tuple(rest.attributes)))
        except (DecodeError, RowError):
            return None

    def finish(self) -> Odd:
        """Hand the points over as rows; the points that are not of a known layout, or of an impossible time, come back."""
        for layout in self._layouts.values():
            if layout.points:
                self._hand_over(layout)
        return self._odd

    def _hand_over(self, layout: Layout) -> None:
        size = layout.head.itemsize
        heads = np.frombuffer(b"".join([point[:size] for point in layout.points]), dtype=layout.head)
        which = np.repeat(np.arange(len(layout.families)), layout.counts)
        scales = np.array([family.scale for family in layout.families])[which]
        good = _regular(heads)
        values = _values(heads) * scales
        ids = np.array(layout.ids, dtype=np.uint64)
        self._rows.add_arrays(ids[good], heads["time"][good].astype(np.int64), values[good])
        for index in np.flatnonzero(~good):
            self._odd.append((layout.points[index], layout.families[which[index]]))


def _has_more(key: bytes, rest: object) -> bool:
    """Whether the bytes hold anything but attributes (exemplars, which differ from point to point)."""
    again = message("metrics.v1.NumberDataPoint")(attributes=rest.attributes)  # type: ignore[attr-defined]
    return bool(again.SerializeToString() != key)


def _regular(heads: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Where the tags are what they should be and the time is one that can be kept."""
    names = heads.dtype.names or ()
    started = heads["start_tag"] == START if "start_tag" in names else True
    timed = (heads["time_tag"] == TIME) & (heads["time"] > 0) & (heads["time"] <= MAX_NS)
    found: npt.NDArray[np.bool_] = started & timed & np.isin(heads["value_tag"], (DOUBLE, INTEGER))
    return found


def _values(heads: npt.NDArray[np.void]) -> npt.NDArray[np.float64]:
    """Values as doubles; integers over 2^53 become the nearest one."""
    bits = np.ascontiguousarray(heads["value"])
    found: npt.NDArray[np.float64] = np.where(heads["value_tag"] == DOUBLE, bits.view(np.float64), bits.view(np.int64).astype(np.float64))
    return found
