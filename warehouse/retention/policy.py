"""The plan, as a pure function of what is there, the rules, the holds and the day: no lake, no clock, no files.

For every partition the first matching rule decides; a hold beats every rule; a day whose checks have not passed stays. A table that no
rule covers is kept, and a plan with such a table cannot be applied."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from typing import Literal

from warehouse.settings import RetentionRule

Action = Literal["keep", "archive", "drop"]
HoldKind = Literal["manual", "legal", "incident"]
NO_RULE = "no rule covers this table"
UNDECIDED = ("unchecked", "blocked")


@dataclass(frozen=True, slots=True)
class Piece:
    """One (table, day) that has rows. state: of the day; version: raised by every write. Tables without days have the day NO_DAY."""

    table: str
    day: date
    version: int
    state: str
    row_count: int
    bytes: int
    has_day: bool = True


@dataclass(frozen=True, slots=True)
class Hold:
    """Days of tables (names or patterns) that nothing may remove. expires: the day on which it ends by itself."""

    hold_id: str
    kind: HoldKind
    reason: str
    tables: tuple[str, ...]
    from_day: date
    to_day: date
    expires: date | None = None

    def covers(self, table: str, day: date, today: date) -> bool:
        """Whether this partition is held today."""
        if self.expires is not None and self.expires <= today:
            return False
        return self.from_day <= day <= self.to_day and any(fnmatchcase(table, pattern) for pattern in self.tables)

    @property
    def label(self) -> str:
        """How plans name it."""
        return f"{self.kind} hold {self.hold_id}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one partition, and the rule or hold that says so."""

    table: str
    day: date
    version: int
    action: Action
    rule: str
    row_count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Decisions on every partition, in order of table and day. plan_id: hash of the decisions, so equal plans have equal ids."""

    plan_id: str
    decisions: tuple[Decision, ...]
    uncovered: tuple[str, ...] = field(default=())

    def of(self, action: Action) -> list[Decision]:
        """The decisions with this action."""
        return [d for d in self.decisions if d.action == action]


def make_plan(pieces: Iterable[Piece], rules: Sequence[RetentionRule], holds: Sequence[Hold], today: date) -> Plan:
    """Decide on every piece. The order of pieces and holds does not matter, that of rules does."""
    ordered = sorted(holds, key=lambda h: (h.kind, h.hold_id))
    decisions = tuple(sorted((decide(p, rules, ordered, today) for p in pieces), key=lambda d: (d.table, d.day)))
    uncovered = tuple(sorted({d.table for d in decisions if d.rule == NO_RULE}))
    return Plan(plan_id_of(decisions), decisions, uncovered)


def decide(piece: Piece, rules: Sequence[RetentionRule], holds: Sequence[Hold], today: date) -> Decision:
    """What happens to one piece today."""
    action, reason = _by_rule(piece, rules, today)
    if action != "keep":
        held = next((h for h in holds if h.covers(piece.table, piece.day, today)), None)
        if held is not None:
            action, reason = "keep", held.label
        elif piece.state in UNDECIDED:
            action, reason = "keep", f"the day is {piece.state}: it leaves only once its checks passed"
    return Decision(piece.table, piece.day, piece.version, action, reason, piece.row_count, piece.bytes)


def _by_rule(piece: Piece, rules: Sequence[RetentionRule], today: date) -> tuple[Action, str]:
    rule = next((r for r in rules if fnmatchcase(piece.table, r.tables)), None)
    if rule is None:
        return "keep", NO_RULE
    if rule.keep_days is None:
        return "keep", f"{rule.tables}: for ever"
    if not piece.has_day:
        return "keep", f"{rule.tables}: the table has no days and is kept whole"
    name = f"{rule.tables}: {rule.keep_days} days"
    if (today - piece.day).days < rule.keep_days:
        return "keep", name
    return ("archive", f"{name}, then archive") if rule.archive else ("drop", f"{name}, then drop")


def plan_id_of(decisions: Iterable[Decision]) -> str:
    """Hash over what is decided about which version of which partition."""
    lines = "\n".join(f"{d.table} {d.day} {d.version} {d.action} {d.rule}" for d in decisions)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]
