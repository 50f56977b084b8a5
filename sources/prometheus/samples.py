"""Samples as columns: from the text of one answer to arrays per answer, in a half-open window. Knows no HTTP and no
lake."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import orjson

from sources.http import BrokenAnswerError
from warehouse.errors import SourceError

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

FLUSH_BYTES = 4 << 20
"""Text of samples that is parsed at one go; large enough that the cost per call does not count."""


class TooManySamplesError(SourceError):
    """An answer is larger than one window may be; ask for less."""


@dataclass(frozen=True, slots=True)
class Block:
    """Samples of several series, series after series: `metrics[i]` (JSON object of its labels) owns the next
    `counts[i]` rows.

    times: Unix time in us. values: as the server has them."""

    metrics: list[bytes]
    counts: npt.NDArray[np.int64]
    times: Times
    values: Values


@dataclass(slots=True)
class Answer:
    """What one window brought: blocks of samples, and what is no plain sample (JSON text, reason)."""

    blocks: list[Block] = field(default_factory=list)
    rejects: list[tuple[bytes, str]] = field(default_factory=list)
    samples: int = 0


@dataclass(slots=True)
class Collector:
    """Turns texts of numbers into blocks and keeps those inside the window [start_ms, end_ms).

    limit: samples before TooManySamplesError is raised, which keeps memory bounded whatever a server sends."""

    start_ms: int
    end_ms: int
    limit: int
    answer: Answer = field(default_factory=Answer)
    _metrics: list[bytes] = field(default_factory=list)
    _texts: list[bytes] = field(default_factory=list)
    _stamps: list[bytes] = field(default_factory=list)
    _size: int = 0

    def pairs(self, metric: bytes, text: bytes) -> None:
        """Samples as Prometheus writes them: `[seconds,"value"],[seconds,"value"]` without the outer brackets."""
        self._metrics.append(metric)
        self._texts.append(text)
        self._size += len(text)
        if self._size >= FLUSH_BYTES:
            self.flush()

    def columns(self, metric: bytes, values: bytes, milliseconds: bytes) -> None:
        """Samples as VictoriaMetrics exports them: two lists of numbers without their brackets."""
        self._stamps.append(milliseconds)
        self.pairs(metric, values)

    def reject(self, record: bytes, reason: str) -> None:
        """Keep a record that is no plain sample, to be counted."""
        self.answer.rejects.append((record, reason))

    def flush(self) -> None:
        """Parse what has gathered; to be called once more at the end."""
        if not self._metrics:
            return
        texts, stamps = self._texts, self._stamps
        if stamps:
            texts, stamps = _without_stale(texts, stamps)
            times = np.array(integers(b",".join(s for s in stamps if s)), dtype=np.int64)
            values = floats(b",".join(t for t in texts if t).translate(None, b'"'))
            counts = [text.count(b",") + 1 if text else 0 for text in texts]
        else:
            numbers = floats(b",".join(texts).translate(None, b'[]"'))
            times, values = np.rint(numbers[0::2] * 1000).astype(np.int64), numbers[1::2]
            counts = [text.count(b"[") for text in texts]
        if not len(times) == len(values) == sum(counts):
            raise BrokenAnswerError("the answer has not one value for each time")
        self._keep(np.array(counts, dtype=np.int64), times, values)
        self._metrics, self._texts, self._stamps, self._size = [], [], [], 0

    def _keep(self, counts: npt.NDArray[np.int64], times: Times, values: Values) -> None:
        inside = (times >= self.start_ms) & (times < self.end_ms)
        if not inside.all():
            owner = np.repeat(np.arange(len(counts)), counts)[inside]
            counts = np.bincount(owner, minlength=len(counts)).astype(np.int64)
            times, values = times[inside], values[inside]
        self.answer.samples += len(times)
        if self.answer.samples > self.limit:
            raise TooManySamplesError(f"over {self.limit:,} samples in one answer")
        metrics = [metric for metric, count in zip(self._metrics, counts, strict=True) if count]
        if metrics:
            self.answer.blocks.append(Block(metrics, counts[counts > 0], times * 1000, values))


def floats(text: bytes) -> Values:
    """Numbers separated by commas as doubles, each the nearest to its decimal text; also NaN, +Inf, -Inf, Infinity
    and -0.

    Raises BrokenAnswerError when something else stands there."""
    try:
        if b"n" in text or b"N" in text or b"-0," in text or text.endswith(b"-0"):
            return np.fromiter((float(token) for token in text.split(b",")), dtype=np.float64) if text else np.empty(0)
        return np.array(orjson.loads(b"[" + text + b"]"), dtype=np.float64)
    except ValueError as error:
        raise BrokenAnswerError(f"the answer holds something else than numbers where samples belong: {error}") from None


def integers(text: bytes) -> list[int]:
    """Whole numbers separated by commas. Raises BrokenAnswerError when something else stands there."""
    try:
        return orjson.loads(b"[" + text + b"]")  # type: ignore[no-any-return]
    except orjson.JSONDecodeError as error:
        raise BrokenAnswerError(f"the answer holds something else than numbers where timestamps belong: {error}") from None


def _without_stale(texts: list[bytes], stamps: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """VictoriaMetrics writes `null` for the marker that ends a stale series (it stores no other NaN); Prometheus
    leaves it out, so do we."""
    texts, stamps = list(texts), list(stamps)
    for i, text in enumerate(texts):
        if b"null" in text:
            pairs = [p for p in zip(text.split(b","), stamps[i].split(b","), strict=True) if p[0] != b"null"]
            texts[i], stamps[i] = b",".join(p[0] for p in pairs), b",".join(p[1] for p in pairs)
    return texts, stamps
