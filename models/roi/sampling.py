"""Draws of the inputs: Latin hypercube, so that a few thousand draws cover every distribution evenly."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models.roi.inputs import INPUTS, Draw

Array = npt.NDArray[np.float64]


def sample(inputs: Mapping[str, Draw], *, draws: int, seed: int) -> dict[str, Array]:
    """`draws` values per input, independent of each other.

    Latin hypercube (McKay, Beckman and Conover, Technometrics 21, 1979): one value from each of `draws` equally likely
    strata. Each input has its own random stream, so another distribution for one leaves the draws of the others alone.
    """
    order = {name: position for position, name in enumerate(INPUTS)}
    result = {}
    for name, draw in inputs.items():
        rng = np.random.default_rng([seed, order[name]])
        strata = (rng.permutation(draws) + rng.uniform(size=draws)) / draws
        result[name] = quantile_function(draw, strata)
    return result


def quantile_function(draw: Draw, p: Array) -> Array:
    """The value below which a share `p`, in (0, 1), of the distribution lies; `checked` explains the distributions."""
    if draw.distribution == "fixed" or draw.low == draw.high:
        return np.full_like(p, draw.mode)
    if draw.distribution == "uniform":
        return draw.low + p * (draw.high - draw.low)
    if draw.distribution == "triangular":
        return _triangular(draw, p)
    if draw.distribution == "pert":
        return _pert(draw, p)
    return _lognormal(draw, p)


def _triangular(draw: Draw, p: Array) -> Array:
    """Inverse of the triangular distribution function."""
    width = draw.high - draw.low
    turn = (draw.mode - draw.low) / width
    rising = draw.low + np.sqrt(p * width * (draw.mode - draw.low))
    falling = draw.high - np.sqrt((1 - p) * width * (draw.high - draw.mode))
    return np.where(p < turn, rising, falling)


def _pert(draw: Draw, p: Array) -> Array:
    """Inverse of the PERT distribution: a beta with mean (low + 4 mode + high) / 6 (Malcolm et al., 1959)."""
    from scipy.special import betaincinv

    width = draw.high - draw.low
    a = 1 + 4 * (draw.mode - draw.low) / width
    b = 1 + 4 * (draw.high - draw.mode) / width
    values: Array = draw.low + width * betaincinv(a, b, p)
    return values


def _lognormal(draw: Draw, p: Array) -> Array:
    """Inverse of the lognormal whose 5% and 95% quantiles are low and high."""
    from scipy.special import ndtri

    center = (np.log(draw.low) + np.log(draw.high)) / 2
    sigma = (np.log(draw.high) - np.log(draw.low)) / (2 * ndtri(0.95))
    values: Array = np.exp(center + sigma * ndtri(p))
    return values
