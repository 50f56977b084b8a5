"""The best plan within a monthly budget: of what a rule would let leave for the archive, keep what is worth most. Each partition's price is
what the lake costs above the archive. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from warehouse.errors import RetentionError
from warehouse.retention.knapsack import best_subset
from warehouse.retention.policy import Decision, Plan
from warehouse.retention.pricing import Pricing
from warehouse.retention.worth import Worth


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

    Only negotiable decisions change, from keep to archive or back. Raises RetentionError for an amount that is none, and for worths that
    are not the plan's."""
    if not amount >= 0:
        raise RetentionError(f"a budget of {amount} is none; give what storage may cost a month")
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
