"""Retention plans as pure functions: every partition once, holds never broken, the same plan whatever the order."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.retention.policy import NO_RULE, UNDECIDED, Hold, HoldKind, Piece, make_plan
from warehouse.settings.retention import RetentionRule

TODAY = date(2026, 6, 1)
TABLES = ("raw.logs", "raw.spans", "core.resources", "mart.roi", "quarantine.logs")
PATTERNS = (*TABLES, "raw.*", "core.*", "*")
DAYS = st.integers(-3, 120).map(lambda n: TODAY - timedelta(days=n))

PIECES = st.lists(
    st.builds(
        Piece,
        st.sampled_from(TABLES),
        DAYS,
        st.integers(1, 5),
        st.sampled_from(("passed", "waved", "unchecked", "blocked", "dropped")),
        st.integers(1, 10**9),
        st.integers(1, 10**12),
        st.booleans(),
    ),
    unique_by=lambda p: (p.table, p.day),
    max_size=25,
)
RULES = st.lists(
    st.builds(RetentionRule, tables=st.sampled_from(PATTERNS), keep_days=st.integers(1, 120) | st.none(), archive=st.booleans()), max_size=5
)
HOLDS = st.lists(
    st.builds(
        lambda i, kind, tables, start, length, expires: Hold(
            f"h{i}", kind, "reason", tuple(tables), start, start + timedelta(days=length), expires
        ),
        st.integers(0, 99),
        st.sampled_from(("manual", "legal", "incident")),
        st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2),
        DAYS,
        st.integers(0, 120),
        st.none() | DAYS,
    ),
    max_size=4,
)


@given(PIECES, RULES, HOLDS)
def test_every_partition_is_decided_exactly_once(pieces: list[Piece], rules: list[RetentionRule], holds: list[Hold]) -> None:
    plan = make_plan(pieces, rules, holds, TODAY)
    assert [(d.table, d.day) for d in plan.decisions] == sorted((p.table, p.day) for p in pieces)
    assert all(d.rule for d in plan.decisions)
    assert plan.uncovered == tuple(sorted({d.table for d in plan.decisions if d.rule == NO_RULE}))


@given(PIECES, RULES, HOLDS)
def test_what_is_held_or_not_checked_is_kept(pieces: list[Piece], rules: list[RetentionRule], holds: list[Hold]) -> None:
    known = {(p.table, p.day): p for p in pieces}
    for decision in make_plan(pieces, rules, holds, TODAY).decisions:
        piece = known[decision.table, decision.day]
        if decision.action != "keep":
            assert not any(h.covers(decision.table, decision.day, TODAY) for h in holds)
            assert piece.state not in UNDECIDED
            assert piece.has_day


@given(PIECES, RULES, HOLDS)
def test_a_drop_or_archive_follows_from_the_first_matching_rule_alone(
    pieces: list[Piece], rules: list[RetentionRule], holds: list[Hold]
) -> None:
    for decision in make_plan(pieces, rules, holds, TODAY).decisions:
        if decision.action == "keep":
            continue
        rule = next(r for r in rules if r.tables in (decision.table, "*") or decision.table.startswith(r.tables.removesuffix("*")))
        assert rule.keep_days is not None
        assert (TODAY - decision.day).days >= rule.keep_days
        assert (decision.action == "archive") == rule.archive
        assert decision.rule.startswith(f"{rule.tables}: {rule.keep_days} days")


@given(PIECES, RULES, HOLDS, st.randoms())
def test_the_order_of_partitions_and_holds_does_not_matter(
    pieces: list[Piece], rules: list[RetentionRule], holds: list[Hold], dice: object
) -> None:
    plan = make_plan(pieces, rules, holds, TODAY)
    mixed, others = list(pieces), list({(h.kind, h.hold_id): h for h in holds}.values())
    dice.shuffle(mixed)  # type: ignore[attr-defined]
    once = make_plan(pieces, rules, others, TODAY)
    dice.shuffle(others)  # type: ignore[attr-defined]
    assert make_plan(mixed, rules, others, TODAY) == once
    assert make_plan(mixed, rules, holds, TODAY) == plan


@given(PIECES, RULES)
def test_a_version_is_part_of_the_plan(pieces: list[Piece], rules: list[RetentionRule]) -> None:
    plan = make_plan(pieces, rules, [], TODAY)
    changed = [Piece(p.table, p.day, p.version + 1, p.state, p.row_count, p.bytes, p.has_day) for p in pieces]
    assert (make_plan(changed, rules, [], TODAY).plan_id == plan.plan_id) == (not pieces)


@given(PIECES, RULES, HOLDS, HOLDS)
def test_more_holds_never_remove_more(pieces: list[Piece], rules: list[RetentionRule], holds: list[Hold], more: list[Hold]) -> None:
    few = {(d.table, d.day) for d in make_plan(pieces, rules, holds, TODAY).decisions if d.action != "keep"}
    many = {(d.table, d.day) for d in make_plan(pieces, rules, [*holds, *more], TODAY).decisions if d.action != "keep"}
    assert many <= few


@pytest.mark.parametrize("kind", ["manual", "legal", "incident"])
def test_every_kind_of_hold_beats_a_rule(kind: HoldKind) -> None:
    day = TODAY - timedelta(days=50)
    held = Hold("h", kind, "why", ("raw.*",), day, day)
    pieces = [Piece("raw.logs", day + timedelta(days=n), 1, "passed", 1, 1) for n in (-1, 0, 1)]
    decisions = make_plan(pieces, [RetentionRule(tables="*", keep_days=1)], [held], TODAY).decisions
    assert [d.action for d in decisions] == ["archive", "keep", "archive"]
    assert decisions[1].rule == f"{kind} hold h: why"


def test_the_last_day_kept_is_counted_with_today() -> None:
    rules = [RetentionRule(tables="raw.*", keep_days=30)]
    pieces = [Piece("raw.logs", TODAY - timedelta(days=n), 1, "passed", 1, 1) for n in (29, 30)]
    assert [d.action for d in make_plan(pieces, rules, [], TODAY).decisions] == ["archive", "keep"]


def test_a_table_without_days_is_kept_whole() -> None:
    pieces = [Piece("core.resources", date(1970, 1, 1), 1, "passed", 1, 1, has_day=False)]
    (decision,) = make_plan(pieces, [RetentionRule(tables="*", keep_days=1)], [], TODAY).decisions
    assert decision.action == "keep"
