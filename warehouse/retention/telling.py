"""A plan in a few lines: what retention would do, why, what it saves, and whom it would hurt. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from warehouse.retention.budget import Budget
from warehouse.retention.planning import Outlook
from warehouse.retention.policy import Decision

ACTIONS = {"keep": "keeps", "archive": "archives", "drop": "drops"}
CAUSES = {
    "rules": "what rules keep",
    "holds": "what is held",
    "minimum age": "days younger than min_days",
    "kept for ever": "what is kept for ever",
    "checks outstanding": "days whose checks have not passed",
    "archived before": "what is archived already",
}
REASONS_SHOWN = 3


def summary(found: Outlook) -> list[str]:
    """Per action the partitions, rows and bytes with the reasons that decide most of them; the price of a month before and after; past
    queries that would have been hurt; and how a budget was kept."""
    plan = found.plan
    lines = [_action(word, plan.of(action)) for action, word in ACTIONS.items()]  # type: ignore[arg-type]
    before, after = money(found.cost_before), money(found.cost_after)
    lines.append(f"storage: {before} {plan.currency} a month now, {after} after (archive included)")
    lines.append(_queries(found))
    if found.budget is not None:
        lines.append(_budget(found.budget))
    return lines


def money(amount: float) -> str:
    """An amount with two places, or as many as show three digits of it."""
    return f"{amount:,.2f}" if amount >= 1 or amount == 0 else f"{amount:.3g}"


def _action(word: str, decisions: Sequence[Decision]) -> str:
    if not decisions:
        return f"{word} nothing"
    sizes: dict[str, int] = {}
    for decision in decisions:
        sizes[decision.rule] = sizes.get(decision.rule, 0) + 1
    most = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    reasons = "; ".join(f"{rule} ({count:,})" for rule, count in most[:REASONS_SHOWN])
    more = f"; {len(most) - REASONS_SHOWN} more reasons" if len(most) > REASONS_SHOWN else ""
    row_count, size = sum(d.row_count for d in decisions), sum(d.bytes for d in decisions)
    return f"{word} {len(decisions):,} partition(s), {row_count:,} rows, {size / 1e6:,.1f} MB: {reasons}{more}"


def _queries(found: Outlook) -> str:
    failing = sum(i.verdict == "fails" for i in found.impacts)
    coarser = len(found.impacts) - failing
    skipped = f" ({found.queries_skipped:,} older runs were not looked at)" if found.queries_skipped else ""
    return f"past queries: {failing:,} would have failed, {coarser:,} would have lost resolution{skipped}"


def _budget(budget: Budget) -> str:
    amount, cost = f"budget of {money(budget.amount)} {budget.currency}", f"{money(budget.cost)} {budget.currency}"
    if budget.met:
        share = "" if budget.bound <= budget.worth * (1 + 1e-6) else f", at least {budget.worth / budget.bound:.1%} of the best"
        return f"{amount} is kept: {cost} a month; {budget.kept:,} partition(s) chosen to stay, {budget.archived:,} to be archived{share}"
    causes = ", ".join(f"{money(value)} for {CAUSES[cause]}" for cause, value in sorted(budget.fixed, key=lambda f: -f[1]))
    return (
        f"{amount} cannot be met: the least is {money(budget.least)} {budget.currency} a month, of which {causes or 'all is the archive'}"
    )
