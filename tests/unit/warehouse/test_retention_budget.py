"""Budgets: never above what is allowed when that is possible, never worse than greedy, better with more money, and holds always kept."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.errors import RetentionError
from warehouse.retention.budget import within_budget
from warehouse.retention.knapsack import best_subset
from warehouse.retention.past_queries import PastQuery, Window
from warehouse.retention.policy import Hold, Piece, Plan, make_plan
from warehouse.retention.pricing import Archived, Pricing, hot_days
from warehouse.retention.worth import Uses, Worth, worths
from warehouse.settings import PublishSettings
from warehouse.settings.retention import RetentionRule, StoragePriceSettings

TODAY = date(2026, 6, 1)
RULES = [
    RetentionRule(tables="raw.logs", keep_days=30, min_days=5),
    RetentionRule(tables="raw.costs"),
    RetentionRule(tables="core.*", keep_days=60, archive=False),
    RetentionRule(tables="*", keep_days=20),
]
ITEMS = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=9)
PIECES = st.lists(
    st.builds(
        Piece,
        st.sampled_from(("raw.logs", "raw.spans", "raw.costs", "core.log_rollup_1h")),
        st.integers(0, 80).map(lambda n: TODAY - timedelta(days=n)),
        st.just(1),
        st.sampled_from(("passed", "passed", "passed", "unchecked", "dropped")),
        st.integers(1, 1000),
        st.integers(1, 10**12) | st.integers(1, 3 * 10**10),
    ),
    unique_by=lambda p: (p.table, p.day),
    min_size=1,
    max_size=12,
)
HELD = st.lists(
    st.builds(
        lambda n, long: Hold(f"h{n}", "legal", "case", ("raw.*",), TODAY - timedelta(days=n), TODAY - timedelta(days=n - long)),
        st.integers(0, 80),
        st.integers(0, 9),
    ),
    max_size=2,
)
BUDGETS = st.floats(0, 60, allow_nan=False)


def priced(pieces: list[Piece], holds: list[Hold], archived: dict[str, Archived] | None = None) -> tuple[Plan, Pricing]:
    """The plan of the rules, and its prices."""
    pricing = Pricing(StoragePriceSettings(), hot_days(pieces, PublishSettings()), archived or {})
    plan = make_plan(pieces, RULES, holds, TODAY)
    return Plan.of_decisions(pricing.priced(d) for d in plan.decisions), pricing


def some_worths(plan: Plan) -> list[Worth]:
    """Worths that differ and have no order."""
    return [Worth(1 + (d.day.toordinal() * 7 + len(d.table)) % 11, ()) for d in plan.decisions]


@settings(max_examples=60)
@given(ITEMS, st.integers(0, 300))
def test_the_choice_is_the_best_there_is(items: list[tuple[int, int]], capacity: int) -> None:
    costs, values = [float(c) for c, _ in items], [float(v) for _, v in items]
    choice = best_subset(costs, values, capacity)
    best = max(
        sum(values[i] for i in chosen)
        for size in range(len(items) + 1)
        for chosen in combinations(range(len(items)), size)
        if sum(costs[i] for i in chosen) <= capacity
    )
    assert sum(costs[i] for i in choice.chosen) <= capacity
    assert choice.value == pytest.approx(best)
    assert choice.value == pytest.approx(choice.bound)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(1e-9, 1e3), st.floats(1e-3, 1e3)), min_size=1, max_size=40), st.floats(1e-9, 1e4))
def test_the_choice_is_never_worse_than_greedy_and_within_the_bound(items: list[tuple[float, float]], capacity: float) -> None:
    costs, values = [c for c, _ in items], [v for _, v in items]
    choice = best_subset(costs, values, capacity)
    spent, greedy = 0.0, 0.0
    for cost, value in sorted(items, key=lambda i: -i[1] / i[0]):
        if spent + cost <= capacity:
            spent, greedy = spent + cost, greedy + value
    assert math.fsum(costs[i] for i in choice.chosen) <= capacity
    assert greedy * (1 - 1e-9) <= choice.value <= choice.bound * (1 + 1e-9)


@settings(max_examples=60)
@given(PIECES, HELD, BUDGETS)
def test_a_plan_is_within_its_budget_or_says_why_not(pieces: list[Piece], holds: list[Hold], amount: float) -> None:
    rules, pricing = priced(pieces, holds, {"raw.spans": Archived(10, 10**10)})
    plan, report = within_budget(rules, some_worths(rules), pricing, amount)
    cost = sum(d.cost_after for d in plan.decisions) + pricing.archive_cost
    assert report.cost == pytest.approx(cost)
    assert report.met == (report.least <= amount * (1 + 1e-9))
    if not report.met:
        assert report.cost == pytest.approx(report.least)
        assert report.archived + report.kept == sum(d.negotiable for d in rules.decisions)
    assert sum(value for _, value in report.fixed) <= report.cost * (1 + 1e-9) + 1e-9


@settings(max_examples=60)
@given(PIECES, HELD, BUDGETS)
def test_only_what_a_rule_lets_go_to_the_archive_is_decided_anew(pieces: list[Piece], holds: list[Hold], amount: float) -> None:
    rules, pricing = priced(pieces, holds)
    plan, _ = within_budget(rules, some_worths(rules), pricing, amount)
    states = {(p.table, p.day): p.state for p in pieces}
    for before, after in zip(rules.decisions, plan.decisions, strict=True):
        assert (before.table, before.day) == (after.table, after.day)
        held = any(h.covers(after.table, after.day, TODAY) for h in holds)
        age = (TODAY - after.day).days
        if held or states[after.table, after.day] == "unchecked" or after.table == "raw.costs" or age < 5:
            assert after.action == before.action == "keep" or after.table.startswith("core.")
        if before.action == "drop" or after.action == "drop" or before.table.startswith("core."):
            assert after == before


@settings(max_examples=40)
@given(PIECES, HELD, BUDGETS, BUDGETS)
def test_more_money_is_never_worse(pieces: list[Piece], holds: list[Hold], one: float, other: float) -> None:
    rules, pricing = priced(pieces, holds)
    less, more = (within_budget(rules, some_worths(rules), pricing, amount)[1] for amount in sorted((one, other)))
    assert less.worth <= more.worth * (1 + 1e-6)


@settings(max_examples=40)
@given(PIECES, HELD, BUDGETS, st.randoms())
def test_the_order_of_partitions_does_not_matter(pieces: list[Piece], holds: list[Hold], amount: float, dice: object) -> None:
    mixed = list(pieces)
    dice.shuffle(mixed)  # type: ignore[attr-defined]
    found = []
    for some in (pieces, mixed):
        rules, pricing = priced(some, holds)
        found.append(within_budget(rules, some_worths(rules), pricing, amount))
    assert found[0] == found[1]


def test_days_worth_more_stay_and_the_reason_says_so() -> None:
    days = [TODAY - timedelta(days=n) for n in (40, 41, 42)]
    rules, pricing = priced([Piece("raw.logs", d, 1, "passed", 10, 10**12) for d in days], [])
    asked = PastQuery("q", TODAY, 3, (Window("raw.logs", days[2], days[2]),))
    found = worths(rules.decisions, Uses((asked,)), TODAY)
    plan, report = within_budget(rules, found, pricing, 32.0)
    assert [(d.day, d.action) for d in plan.decisions] == [(days[2], "keep"), (days[1], "archive"), (days[0], "archive")]
    assert plan.decisions[0].rule == "budget of 32 USD: kept (queried); else raw.logs: 30 days, then archive"
    assert (report.kept, report.archived, report.met) == (1, 2, True)
    assert plan.plan_id != rules.plan_id


def test_cents_count_and_what_the_archive_makes_dearer_stays() -> None:
    pieces = [Piece("raw.logs", TODAY - timedelta(days=n), 1, "passed", 10, 30 * 10**9) for n in (40, 41)]
    rules, pricing = priced(pieces, [])
    _, report = within_budget(rules, some_worths(rules), replace(pricing, hot_from={}), 0.9)
    assert (report.kept, report.archived, report.cost) == (1, 1, pytest.approx(30 * 0.023 + 30 * 0.004))
    dear = {"raw.logs": Archived(10, 300 * 10**9)}
    rules, pricing = priced(pieces, [], dear)
    plan, report = within_budget(rules, some_worths(rules), replace(pricing, hot_from={}), 0.0)
    assert ({d.action for d in plan.decisions}, report.kept, report.met) == ({"keep"}, 2, False)
    assert report.cost == report.least == pytest.approx(300 * 0.004 + 60 * 0.023)


@pytest.mark.parametrize("amount", [-1.0, math.nan])
def test_an_amount_that_is_none_is_refused(amount: float) -> None:
    rules, pricing = priced([Piece("raw.logs", TODAY, 1, "passed", 1, 1)], [])
    with pytest.raises(RetentionError, match="is none"):
        within_budget(rules, some_worths(rules), pricing, amount)


def test_worth_is_queries_that_fade_incidents_objectives_and_youth() -> None:
    day = TODAY - timedelta(days=60)
    pieces = [Piece(table, day, 1, "passed", 10, 10) for table in ("raw.costs", "raw.logs", "raw.metric_points", "raw.spans")]
    rules, _ = priced(pieces, [])
    fading = PastQuery("q", TODAY - timedelta(days=30), 4, (Window("raw.logs", date.min, date.max),))
    around = Hold("i", "incident", "x", ("raw.*",), day, day)
    uses = Uses((fading,), (around,), history_days=90, measured_capacity=True)
    found = {d.table: w for d, w in zip(rules.decisions, worths(rules.decisions, uses, TODAY), strict=True)}
    assert {table: (round(w.value, 3), w.why) for table, w in found.items()} == {
        "raw.costs": (0.025, ()),
        "raw.logs": (3.025, ("queried", "around an incident")),
        "raw.metric_points": (1.525, ("around an incident", "SLO or capacity")),
        "raw.spans": (1.525, ("around an incident", "SLO or capacity")),
    }


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 30), st.integers(0, 30), st.integers(1, 3)), max_size=6), st.integers(0, 60))
def test_a_day_is_asked_for_as_it_was_and_as_old_as_it_was(runs: list[tuple[int, int, int, int]], age: int) -> None:
    queries, expected = [], 0.0
    day = TODAY - timedelta(days=age)
    for ago, from_age, length, times in runs:
        ran = TODAY - timedelta(days=ago)
        window = Window("raw.costs", ran - timedelta(days=from_age + length), ran - timedelta(days=from_age))
        queries.append(PastQuery("q", ran, times, (window,)))
        if window.first <= day <= window.last or from_age <= age <= from_age + length:
            expected += times * 0.5 ** (ago / 30)
    rules, _ = priced([Piece("raw.costs", day, 1, "passed", 1, 1)], [])
    (found,) = worths(rules.decisions, Uses(queries), TODAY)
    assert found.value == pytest.approx(expected + 0.1 * 0.5 ** (age / 30))
    assert ("queried" in found.why) == (expected > 0)


def test_prices_follow_the_tiers() -> None:
    prices = StoragePriceSettings(hot=1.0, warm=0.1, cold=0.01, archive=0.001)
    pieces = [
        Piece("raw.logs", TODAY, 1, "passed", 10, 10**9),
        Piece("raw.logs", TODAY - timedelta(days=40), 1, "passed", 10, 10**9),
        Piece("core.log_rollup_1h", TODAY - timedelta(days=95), 1, "passed", 10, 10**9),
        Piece("core.log_rollup_1h", TODAY, 1, "passed", 10, 10**9),
        Piece("quarantine.logs", TODAY - timedelta(days=40), 1, "passed", 10, 10**9),
        Piece("mart.roi", TODAY - timedelta(days=400), 1, "passed", 10, 10**9),
    ]
    pricing = Pricing(prices, hot_days(pieces, PublishSettings()), {"raw.logs": Archived(100, 5 * 10**9)})
    rules = [
        RetentionRule(tables="raw.*", keep_days=30),
        RetentionRule(tables="quarantine.*", keep_days=30, archive=False),
        RetentionRule(tables="*"),
    ]
    decisions = [pricing.priced(d) for d in make_plan(pieces, rules, [], TODAY).decisions]
    assert [(d.table, d.action, round(d.cost_before, 6), round(d.cost_after, 6)) for d in decisions] == [
        ("core.log_rollup_1h", "keep", 0.01, 0.01),
        ("core.log_rollup_1h", "keep", 1.01, 1.01),
        ("mart.roi", "keep", 1.1, 1.1),
        ("quarantine.logs", "drop", 0.1, 0.0),
        ("raw.logs", "archive", 0.1, 0.0005),
        ("raw.logs", "keep", 1.1, 1.1),
    ]
    assert pricing.archive_cost == pytest.approx(0.005)


def test_a_budget_that_holds_exceed_is_named() -> None:
    days = [TODAY - timedelta(days=n) for n in (40, 2)]
    held = Hold("h", "legal", "case", ("raw.*",), days[0], days[0])
    rules, pricing = priced([Piece("raw.logs", d, 1, "passed", 10, 10**12) for d in days], [held])
    plan, report = within_budget(rules, some_worths(rules), pricing, 1.0)
    assert not report.met
    assert {d.action for d in plan.decisions} == {"keep"}
    assert dict(report.fixed) == {"holds": pytest.approx(23.0), "minimum age": pytest.approx(23.0 + 80.0)}
