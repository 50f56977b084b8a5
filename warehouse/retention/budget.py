"""The best plan within a monthly budget: of what a rule would let leave for the archive, keep what is worth most. Pure.

It is a 0/1 knapsack: each partition's price is what the lake costs above the archive. The exact optimum is found by branch and bound
(HiGHS); its work is limited, and where it stops early the result is at least the greedy one, and the bound says how much better any plan
could be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from warehouse.errors import RetentionError
from warehouse.retention.policy import Decision, Plan
from warehouse.retention.pricing import Pricing
from warehouse.retention.worth import Worth

MOST_NODES = 20_000
SCALE = 1e4


@dataclass(frozen=True, slots=True)
class Choice:
    """Places of the items chosen, their value, and a value that no choice within the capacity exceeds."""

    chosen: frozenset[int]
    value: float
    bound: float


@dataclass(frozen=True, slots=True)
class Budget:
    """How a plan keeps to a monthly budget. Amounts in the currency of the prices.

    cost: of the plan, the archive included; least: of the cheapest plan that rules and holds allow; fixed: what costs money that the budget
    has no say in, by cause; kept, archived: partitions it decided about; worth, bound: of what is kept, and the most that any plan within
    the budget could keep."""

    amount: float
    currency: str
    cost: float
    least: float
    fixed: tuple[tuple[str, float], ...]
    kept: int
    archived: int
    worth: float
    bound: float

    @property
    def met(self) -> bool:
        """Whether the plan is within the budget."""
        return self.cost <= self.amount * (1 + 1e-9)


def within_budget(plan: Plan, worths: Sequence[Worth], pricing: Pricing, amount: float) -> tuple[Plan, Budget]:
    """The plan of greatest worth that costs at most `amount` a month; where there is none, the cheapest that rules and holds allow.

    Only negotiable decisions change, from keep to archive or back. Raises RetentionError for worths that are not the plan's."""
    if len(worths) != len(plan.decisions):
        raise RetentionError(f"{len(worths)} worths for {len(plan.decisions)} decisions")
    free = [n for n, d in enumerate(plan.decisions) if d.negotiable]
    gone = {n: pricing.cost(plan.decisions[n], "archive") for n in free}
    extra = {n: pricing.cost(plan.decisions[n], "keep") - gone[n] for n in free}
    fixed = _fixed(plan, pricing)
    least = math.fsum([*fixed.values(), *(gone[n] + min(extra[n], 0.0) for n in free)])
    contested = [n for n in free if extra[n] > 0]
    choice = best_subset([extra[n] for n in contested], [worths[n].value for n in contested], amount - least)
    kept = {n for n in free if extra[n] <= 0} | {contested[i] for i in choice.chosen}
    name = f"budget of {amount:g} {pricing.prices.currency}"
    decisions = [_decided(d, n in kept, worths[n], name, pricing) if d.negotiable else d for n, d in enumerate(plan.decisions)]
    cost = math.fsum([*fixed.values(), *(gone[n] + (extra[n] if n in kept else 0.0) for n in free)])
    always = math.fsum(worths[n].value for n in free if extra[n] <= 0)
    report = Budget(
        amount,
        pricing.prices.currency,
        cost,
        least,
        tuple(sorted(fixed.items())),
        len(kept),
        len(free) - len(kept),
        choice.value + always,
        choice.bound + always,
    )
    return replace(Plan.of_decisions(decisions), currency=plan.currency), report


def _fixed(plan: Plan, pricing: Pricing) -> dict[str, float]:
    """Price of what the budget has no say in, by cause."""
    fixed = {"archived before": pricing.archive_cost} if pricing.archive_cost else {}
    for d in plan.decisions:
        if not d.negotiable and d.action != "drop":
            fixed[d.cause] = fixed.get(d.cause, 0.0) + pricing.cost(d, d.action)
    return fixed


def _decided(decision: Decision, keep: bool, worth: Worth, name: str, pricing: Pricing) -> Decision:
    why = ", ".join(worth.why) or "nothing asks for it"
    rule = f"{name}: {'kept' if keep else 'archived'} ({why}); else {decision.rule}"
    return pricing.priced(replace(decision, action="keep" if keep else "archive", rule=rule))


def best_subset(costs: Sequence[float], values: Sequence[float], capacity: float) -> Choice:
    """The items of greatest total value whose total cost is at most the capacity. Costs and values are greater than 0.

    Ties are broken by place, so equal input gives an equal choice."""
    everything = frozenset(range(len(costs)))
    if math.fsum(costs) <= capacity:
        total = math.fsum(values)
        return Choice(everything, total, total)
    candidates = [i for i in everything if costs[i] <= capacity]
    if not candidates:
        return Choice(frozenset(), 0.0, 0.0)
    greedy, bound = _greedy(candidates, costs, values, capacity)
    exact, proved = _exact(candidates, costs, values, capacity)
    best = max((greedy, exact), key=lambda chosen: math.fsum(values[i] for i in chosen))
    value = math.fsum(values[i] for i in best)
    return Choice(best, value, max(value, min(bound, proved)))


def _greedy(candidates: Sequence[int], costs: Sequence[float], values: Sequence[float], capacity: float) -> tuple[frozenset[int], float]:
    """By value for the price as far as the capacity reaches, or the one most valuable item if that is more: at least half of the optimum;
    and Dantzig's bound, the value when the first item that does not fit is cut to what does (Kellerer, Pferschy, Pisinger: Knapsack
    Problems, 2004, section 2.2)."""
    chosen: list[int] = []
    spent, bound = 0.0, 0.0
    for i in sorted(candidates, key=lambda i: (-values[i] / costs[i], i)):
        if spent + costs[i] <= capacity:
            chosen.append(i)
            spent += costs[i]
        elif not bound:
            bound = math.fsum(values[j] for j in chosen) + values[i] * (capacity - spent) / costs[i]
    single = max(candidates, key=lambda i: (values[i], -i))
    value = math.fsum(values[i] for i in chosen)
    if math.fsum(costs[i] for i in chosen) > capacity or values[single] > value:
        chosen = [single]
    return frozenset(chosen), bound or value


def _exact(candidates: Sequence[int], costs: Sequence[float], values: Sequence[float], capacity: float) -> tuple[frozenset[int], float]:
    """By branch and bound, and the bound that it proved. Costs and values are scaled so that the solver's tolerances are small beside them;
    a choice that these let over the capacity is not taken."""
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp

    prices, worth = np.array([costs[i] for i in candidates]), np.array([values[i] for i in candidates])
    scale, unit = SCALE / capacity, SCALE / float(worth.max())
    found = milp(
        -worth * unit,
        integrality=np.ones(len(candidates)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint((prices * scale)[np.newaxis, :], -np.inf, SCALE),
        options={"node_limit": MOST_NODES, "mip_rel_gap": 0.0},
    )
    proved = -float(found.mip_dual_bound) / unit if found.mip_dual_bound is not None else math.inf
    if found.x is None:
        return frozenset(), proved
    chosen = frozenset(c for c, x in zip(candidates, found.x, strict=True) if x > 0.5)
    return (chosen if math.fsum(costs[i] for i in chosen) <= capacity else frozenset()), proved
