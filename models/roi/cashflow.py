"""Net present value, payback and internal rate of return of monthly cash flows, many draws at once.

Flows have the shape (months, draws); month m (from 1) is paid at its end. `setup` (draws) is paid before month 1.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_RATE_EXPONENT: Final = 3.0
_HALVINGS: Final = 60


def monthly_flows(benefit_per_year: Array, cost_per_year: Array, ramp_months: Array, months: int) -> Array:
    """Benefit less cost per month; the benefit rises evenly until it is there in full after `ramp_months`."""
    month = np.arange(1, months + 1)[:, None]
    reached = np.minimum(1.0, month / np.maximum(ramp_months, 1.0))
    flows: Array = (reached * benefit_per_year - cost_per_year) / 12
    return flows


def npv(setup: Array, flows: Array, yearly_rate: Array) -> Array:
    """Present value of all flows less `setup`; the yearly rate compounds monthly: (1 + rate) ** (month / 12)."""
    return _present_value(setup, flows, np.log1p(yearly_rate) / 12)


def payback_months(setup: Array, flows: Array) -> Array:
    """Months until the undiscounted sum stays at or above zero, linear within a month; inf where it does not."""
    total = np.concatenate([-setup[None, :], flows]).cumsum(axis=0)
    months = total.shape[0] - 1
    negative = total < 0
    last = months - np.argmax(negative[::-1], axis=0)
    at = np.minimum(last, months - 1)
    below = np.take_along_axis(total, at[None, :], axis=0)[0]
    step = np.take_along_axis(flows, at[None, :], axis=0)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        crossed = at + -below / step
    return np.where(~negative.any(axis=0), 0.0, np.where(negative[-1], np.inf, crossed))


def irr(setup: Array, flows: Array) -> Array:
    """Yearly rate at which the net present value is zero, by bisection.

    inf where nothing is invested that would have to earn, -inf where no rate makes the sum whole.
    """
    low = np.full(setup.shape, -_RATE_EXPONENT)
    high = np.full(setup.shape, _RATE_EXPONENT)
    never = _present_value(setup, flows, low) <= 0
    always = _present_value(setup, flows, high) > 0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        positive = _present_value(setup, flows, middle) > 0
        low, high = np.where(positive, middle, low), np.where(positive, high, middle)
    found = np.expm1(12 * (low + high) / 2)
    return np.where(never, -np.inf, np.where(always, np.inf, found))


def _present_value(setup: Array, flows: Array, log_rate: Array) -> Array:
    """Sum of the flows discounted by exp(-log_rate) a month, less setup (Horner's scheme)."""
    factor = np.exp(-log_rate)
    value = np.zeros_like(setup)
    for flow in flows[::-1]:
        value = (value + flow) * factor
    present: Array = value - setup
    return present
