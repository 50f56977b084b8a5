"""Doubles as integers where that is exact: `value = integer / divisor + residual`, bit for bit.

Measured values are decimals with few places, multiples of a page size, or decimals that arithmetic has moved by an ulp or two. Integers of
them pack densely; what does not fit (NaN with its payload, infinities, -0.0, subnormals, full 53-bit fractions) stays a double."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Number = TypeVar("Number", np.float64, np.int64)

LARGEST = 2.0**46
"""Integers stay below this: far inside the 2^53 that a double holds exactly, and inside what a shift leaves of its mantissa."""
SAMPLE = 256
FITTING = 0.98
ULPS = 4
WORTHY_FACTOR = 64
"""A shared factor that saves six bits a value pays for residuals of an ulp."""
POWERS_OF_TEN = tuple(10.0**e for e in range(16))
SMALL_DIVISORS = tuple(sorted({d * 10.0**e for d in (2, 3, 6, 7, 9, 12, 15, 30, 60) for e in range(15)}))


@dataclass(frozen=True, slots=True)
class Scaled:
    """A run of doubles as integers. fits: where `integers / divisor + residual` is the value's very bits; elsewhere the rest is zero."""

    integers: Integers
    divisor: float
    residual: Doubles
    fits: Mask

    @property
    def is_plain_integer(self) -> bool:
        """Whether the value is the integer itself."""
        return self.divisor == 1.0 and not self.residual.any()


def scaled(values: Doubles) -> Scaled | None:
    """The values as integers over one divisor, when nearly all of them fit; None when they do not.

    Divisors are powers of ten, then small numbers times powers of ten (averages of a few samples); a factor that all integers share goes
    into the divisor when the quotient stays exact (memory in pages)."""
    ordinary = np.isfinite(values) & ~((values == 0) & np.signbit(values))
    x = values[ordinary]
    if not len(x):
        return None
    divisor = _divisor(x[np.linspace(0, len(x) - 1, min(len(x), SAMPLE)).astype(np.int64)])
    if divisor is None:
        return None
    integers, residual, good = _quotients(x, divisor)
    while good.mean() < FITTING and divisor < POWERS_OF_TEN[-1] and np.abs(x).max() * divisor * 10 < LARGEST:
        divisor *= 10
        integers, residual, good = _quotients(x, divisor)
    if good.mean() < FITTING:
        return None
    integers, residual, divisor = _without_shared_factor(integers, residual, good, x, divisor)
    fits = np.zeros(len(values), np.bool_)
    fits[np.flatnonzero(ordinary)[good]] = True
    return Scaled(_spread(integers[good].astype(np.int64), fits), divisor, _spread(residual[good], fits), fits)


def _divisor(sample: Doubles) -> float | None:
    largest = float(np.abs(sample).max())
    for divisor in (*POWERS_OF_TEN, *SMALL_DIVISORS):
        if largest * divisor < LARGEST and _quotients(sample, divisor)[2].mean() >= FITTING:
            return divisor
    return None


def _quotients(x: Doubles, divisor: float) -> tuple[Doubles, Doubles, Mask]:
    """Nearest integers, what is left over, and where the two give the value back exactly."""
    with np.errstate(over="ignore", invalid="ignore"):
        integers = np.rint(x * divisor)
        quotients = integers / divisor
        residual = x - quotients
        near = np.abs(residual) <= ULPS * np.spacing(np.abs(x))
        good = (np.abs(integers) < LARGEST) & near & ((quotients + residual).view(np.int64) == x.view(np.int64))
    return integers, residual, good


def _without_shared_factor(integers: Doubles, residual: Doubles, good: Mask, x: Doubles, divisor: float) -> tuple[Doubles, Doubles, float]:
    """The factor that all integers share goes into the divisor; when that is inexact, the residuals take the ulps, if it still pays."""
    factor = int(np.gcd.reduce(integers[good].astype(np.int64)))
    if factor <= 1:
        return integers, residual, divisor
    smaller, quotient = integers / factor, divisor / factor
    left = x - smaller / quotient
    exact = ((smaller / quotient + left).view(np.int64) == x.view(np.int64)) & (np.abs(left) <= ULPS * np.spacing(np.abs(x)))
    worth = factor >= WORTHY_FACTOR or not left[good].any()
    return (smaller, left, quotient) if worth and bool(exact[good].all()) else (integers, residual, divisor)


def _spread(chosen: npt.NDArray[Number], where: Mask) -> npt.NDArray[Number]:
    whole = np.zeros(len(where), chosen.dtype)
    whole[where] = chosen
    return whole
