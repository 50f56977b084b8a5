"""The 0/1 knapsack: which items are worth most together within a capacity. Pure.

Greedy by value for the price, then exact where greedy may be wrong: items that no better choice can treat otherwise are settled by a bound,
and the rest (the core) is solved by dynamic programming over undominated states (Nemhauser and Ullmann 1969; Kellerer, Pferschy, Pisinger:
Knapsack Problems, 2004, sections 2.2, 3.4 and 5.1.3). Core and states are limited; where a limit is reached, the bound says how much better
any choice could be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_CORE = 400
MOST_STATES = 20_000
ROUNDING = 1e-12
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Choice:
    """Places of the items chosen, their value, and a value that no choice within the capacity exceeds: the same for the best."""

    chosen: frozenset[int]
    value: float
    bound: float


def best_subset(costs: Sequence[float], values: Sequence[float], capacity: float) -> Choice:
    """The items of greatest total value whose total cost is at most the capacity. Costs and values are greater than 0.

    Items that are equally good are taken by place, so equal input gives an equal choice."""
    if math.fsum(costs) <= capacity:
        total = math.fsum(values)
        return Choice(frozenset(range(len(costs))), total, total)
    order = sorted((i for i in range(len(costs)) if costs[i] <= capacity), key=lambda i: (-values[i] / costs[i], i))
    if not order:
        return Choice(frozenset(), 0.0, 0.0)
    cost, value = np.array([costs[i] for i in order]), np.array([values[i] for i in order])
    chosen, bound = _solve(cost, value, capacity)
    found = frozenset(order[n] for n in chosen)
    worth = math.fsum(values[i] for i in found)
    return Choice(found, worth, max(worth, bound))


def _solve(cost: Floats, value: Floats, capacity: float) -> tuple[set[int], float]:
    """Items in order of value for the price; the places chosen, and the bound."""
    best = _greedy(cost, value, capacity)
    incumbent = math.fsum(value[n] for n in best)
    first = int(np.searchsorted(np.cumsum(cost), capacity, side="right"))
    if first == len(cost):
        return best, incumbent
    taken, spent = math.fsum(value[:first]), math.fsum(cost[:first])
    price = value[first] / cost[first]
    relaxed = taken + (capacity - spent) * price
    inside = np.arange(len(cost)) < first
    otherwise = relaxed + np.where(inside, cost * price - value, value - cost * price)
    core = np.flatnonzero(otherwise > incumbent)
    cut = len(core) > MOST_CORE
    core = np.sort(core[np.argsort(-otherwise[core], kind="stable")[:MOST_CORE]])
    fixed = set(np.flatnonzero(inside).tolist()) - set(core.tolist())
    left, base = capacity - math.fsum(cost[n] for n in fixed), math.fsum(value[n] for n in fixed)
    reach = relaxed
    for slack in (0.0, ROUNDING * capacity):  # sums of floats may let a choice in that is over the capacity by a hair
        picked, bound = _core(cost[core], value[core], left - slack, incumbent - base)
        reach = reach if cut or slack else min(relaxed, bound + base)
        better = fixed | {int(core[n]) for n in picked}
        if math.fsum(cost[n] for n in better) <= capacity:
            best = better if math.fsum(value[n] for n in better) > incumbent else best
            break
    return best, reach


def _greedy(cost: Floats, value: Floats, capacity: float) -> set[int]:
    """As far as the capacity reaches, or the one most valuable item if that is worth more: at least half of the best."""
    chosen: set[int] = set()
    spent = 0.0
    for n, price in enumerate(cost.tolist()):
        if spent + price <= capacity:
            chosen.add(n)
            spent += price
    single = int(np.argmax(value))
    if math.fsum(cost[n] for n in chosen) > capacity or value[single] > math.fsum(value[n] for n in chosen):
        return {single}
    return chosen


def _core(cost: Floats, value: Floats, capacity: float, floor: float) -> tuple[set[int], float]:
    """The best choice of the core that is worth more than `floor` (none: empty), and a bound on any such choice."""
    spent, worth, node = np.zeros(1), np.zeros(1), np.full(1, -1)
    parents: list[int] = []
    items: list[int] = []
    best, best_node, lost = floor, -1, -math.inf
    for n in range(len(cost)):
        fits = spent + cost[n] <= capacity
        start = len(items)
        parents += node[fits].tolist()
        items += [n] * int(fits.sum())
        spent = np.concatenate([spent, spent[fits] + cost[n]])
        worth = np.concatenate([worth, worth[fits] + value[n]])
        node = np.concatenate([node, np.arange(start, len(items))])
        top = int(np.argmax(worth))
        if worth[top] > best:
            best, best_node = float(worth[top]), int(node[top])
        price = value[n + 1] / cost[n + 1] if n + 1 < len(cost) else 0.0
        reach = worth + (capacity - spent) * price
        order = np.lexsort((-worth, spent))
        ahead = np.maximum.accumulate(np.concatenate([[-math.inf], worth[order][:-1]]))
        keep = order[(worth[order] > ahead) & (reach[order] > best)]
        if len(keep) > MOST_STATES:
            ranked = keep[np.argsort(-reach[keep], kind="stable")]
            lost = max(lost, float(reach[ranked[MOST_STATES]]))
            keep = np.sort(ranked[:MOST_STATES])
        spent, worth, node = spent[keep], worth[keep], node[keep]
        if not len(keep):
            break
    picked: set[int] = set()
    while best_node >= 0:
        picked.add(items[best_node])
        best_node = parents[best_node]
    return picked, max(best, lost)
