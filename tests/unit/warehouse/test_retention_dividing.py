"""Plans under rules that divide days, as pure functions: every row decided once, holds never dropped, the same plan whatever the order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.retention.policy import UNDECIDED, Count, Decision, Filters, Hold, Piece, Plan, covering, divides, make_plan
from warehouse.settings.retention import RetentionRule

TODAY = date(2026, 6, 1)
DAYS = st.integers(0, 90).map(lambda n: TODAY - timedelta(days=n))
TABLES = ("raw.logs", "raw.metric_points", "raw.costs", "core.span_rollup_5m", "quarantine.logs")
PIECES = st.lists(
    st.builds(
        Piece,
        st.sampled_from(TABLES),
        DAYS,
        st.just(1),
        st.sampled_from(("passed", "dropped", "blocked")),
        st.integers(1, 99),
        st.integers(1, 10**6),
    ),
    unique_by=lambda p: (p.table, p.day),
    max_size=10,
)
SERVICES = st.lists(st.sampled_from(("shop", "cart", "s*")), max_size=2).map(tuple)
RULES = st.lists(
    st.builds(
        RetentionRule,
        tables=st.sampled_from(("*", "raw.*", "raw.logs")),
        signal=st.sampled_from((None, "logs", "metrics")),
        services=SERVICES,
        severities=st.sampled_from(((), ("DEBUG",))),
        labels=st.sampled_from(({}, {"tenant": "acme"})),
        keep_days=st.integers(1, 60) | st.none(),
        archive=st.booleans(),
    ),
    max_size=5,
)
HOLDS = st.lists(
    st.builds(
        lambda n, tables, start, length, services: Hold(
            f"h{n}", "manual", "why", (tables,), start, start + timedelta(days=length), services=services
        ),
        st.integers(0, 9),
        st.sampled_from(("raw.*", "*")),
        DAYS,
        st.integers(0, 60),
        SERVICES,
    ),
    max_size=3,
    unique_by=lambda h: h.hold_id,
)


def counting(pieces: list[Piece]) -> Count:
    """Rows dealt out to the filters in turn, so that some have none."""
    rows = {(p.table, p.day): p.row_count for p in pieces}

    def count(table: str, days: Mapping[date, Filters]) -> dict[date, tuple[int, ...]]:
        found = {}
        for day, filters in days.items():
            left, counts = rows[table, day], []
            for n, _ in enumerate(filters):
                taken = left * ((day.toordinal() + n) % 3) // 3
                counts.append(taken)
                left -= taken
            found[day] = (*counts, left)
        return found

    return count


def plan_of(pieces: list[Piece], rules: list[RetentionRule], holds: list[Hold]) -> Plan:
    """The plan with dealt-out rows."""
    return make_plan(pieces, rules, holds, TODAY, count=counting(pieces))


@given(PIECES, RULES, HOLDS)
def test_every_row_and_byte_is_decided_once(pieces: list[Piece], rules: list[RetentionRule], holds: list[Hold]) -> None:
    decided: dict[tuple[str, date], list[Decision]] = {}
    for decision in plan_of(pieces, rules, holds).decisions:
        decided.setdefault((decision.table, decision.day), []).append(decision)
    assert set(decided) == {(p.table, p.day) for p in pieces}
    for piece in pieces:
        parts = decided[piece.table, piece.day]
        assert sum(d.row_count for d in parts) == piece.row_count
        assert sum(d.bytes for d in parts) == piece.bytes
        assert len({d.rows_key for d in parts}) == len(parts)
        assert all(d.row_count > 0 and d.rule for d in parts)


@given(PIECES, RULES, HOLDS)
def test_held_rows_and_undecided_days_never_leave(pieces: list[Piece], rules: list[RetentionRule], holds: list[Hold]) -> None:
    states = {(p.table, p.day): p.state for p in pieces}
    for decision in plan_of(pieces, rules, holds).decisions:
        if decision.action == "keep":
            continue
        assert states[decision.table, decision.day] not in UNDECIDED
        spared = decision.rows.unless if decision.rows is not None else ()
        for hold in holds:
            if hold.covers(decision.table, decision.day, TODAY):
                assert hold.services
                assert hold.filter in spared


@given(PIECES, RULES, HOLDS, st.randoms())
def test_the_order_of_partitions_and_holds_does_not_matter(
    pieces: list[Piece], rules: list[RetentionRule], holds: list[Hold], dice: object
) -> None:
    plan = plan_of(pieces, rules, holds)
    mixed, others = list(pieces), list(holds)
    dice.shuffle(mixed)  # type: ignore[attr-defined]
    dice.shuffle(others)  # type: ignore[attr-defined]
    assert plan_of(mixed, rules, others) == plan


@given(PIECES, RULES)
def test_rules_that_ask_nothing_of_rows_are_never_counted(pieces: list[Piece], rules: list[RetentionRule]) -> None:
    plain = [r.model_copy(update={"services": (), "severities": (), "labels": {}}) for r in rules]
    assert make_plan(pieces, plain, [], TODAY).decisions == plan_of(pieces, plain, []).decisions


def test_a_rule_covers_tables_of_its_signal_that_can_tell_its_rows() -> None:
    debug = RetentionRule(signal="logs", severities=("DEBUG",), keep_days=3)
    shop = RetentionRule(tables="raw.*", services=("shop",), keep_days=3)
    rules = [debug, shop, RetentionRule(tables="*"), RetentionRule(tables="raw.logs", keep_days=1)]
    expected = {"raw.logs": 3, "core.log_rollup_1h": 2, "raw.spans": 2, "raw.costs": 1, "quarantine.logs": 1, "core.span_rollup_5m": 1}
    assert {table: len(covering(table, rules)) for table in expected} == expected
    assert divides("raw.logs", rules)
    assert not divides("raw.costs", rules)


def test_a_day_whose_rows_all_share_a_fate_is_not_counted() -> None:
    rules = [RetentionRule(tables="raw.logs", services=("shop",), keep_days=5), RetentionRule(tables="raw.logs", keep_days=20)]
    fates = {3: ["keep"], 10: ["archive", "keep"], 30: ["archive"]}
    for age, actions in fates.items():
        pieces = [Piece("raw.logs", TODAY - timedelta(days=age), 1, "passed", 10, 10)]
        if len(actions) == 1:
            (decision,) = make_plan(pieces, rules, [], TODAY).decisions
            assert (decision.action, decision.rows) == (actions[0], None)
        else:
            with pytest.raises(LookupError, match="divide"):
                make_plan(pieces, rules, [], TODAY)


def test_held_services_stay_also_where_all_rules_agree() -> None:
    rules = [RetentionRule(tables="raw.logs", services=("shop",), keep_days=5), RetentionRule(tables="raw.logs", keep_days=20)]
    piece = Piece("raw.logs", TODAY - timedelta(days=30), 1, "passed", 12, 12)
    held = Hold("h", "legal", "case", ("raw.*",), piece.day, piece.day, services=("cart",))
    decisions = make_plan([piece], rules, [held], TODAY, count=lambda _table, days: dict.fromkeys(days, (3, 4, 5))).decisions
    assert sorted((d.action, d.rule, d.row_count) for d in decisions) == [
        ("archive", "raw.logs of shop: 5 days, then archive", 4),
        ("archive", "raw.logs: 20 days, then archive", 5),
        ("keep", "legal hold h: case", 3),
    ]
    assert all(held.filter in d.rows.unless for d in decisions if d.action == "archive" and d.rows)


def test_of_several_holds_the_same_one_is_named_whatever_their_order() -> None:
    day = TODAY - timedelta(days=30)
    holds = [Hold(name, "manual", "why", ("*",), day, day) for name in "bac"]
    for order in (holds, holds[::-1], holds[1:] + holds[:1]):
        (decision,) = make_plan(
            [Piece("raw.logs", day, 1, "passed", 1, 1)], [RetentionRule(tables="*", keep_days=1)], order, TODAY
        ).decisions
        assert decision.rule == "manual hold a: why"


def test_a_day_with_other_rows_than_were_counted_is_kept() -> None:
    rules = [RetentionRule(tables="raw.logs", services=("shop",), keep_days=5), RetentionRule(tables="raw.logs")]
    piece = Piece("raw.logs", TODAY - timedelta(days=10), 1, "passed", 10, 10)
    (decision,) = make_plan([piece], rules, [], TODAY, count=lambda _table, days: dict.fromkeys(days, (4, 7))).decisions
    assert (decision.action, decision.rule) == ("keep", "the day was written while the plan was made")
