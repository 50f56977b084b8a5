"""The plan, as a pure function of what is there, the rules, the holds and the day: no lake, no clock, no files.

The first rule that covers a row decides about it; a hold beats every rule; a day whose checks have not passed stays. Rules that ask for
services, severities or labels divide a day into classes of rows, each decided for itself; how many rows each has is asked for only where
something of the day would leave. A table that no rule covers is kept, and a plan with such a table cannot be applied."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fnmatch import fnmatchcase
from typing import Literal

from warehouse.contracts import CONTRACTS
from warehouse.retention.rows import RowClass, RowFilter, can_tell, classes_of
from warehouse.settings import ServiceRule
from warehouse.settings.retention import RetentionRule

Action = Literal["keep", "archive", "drop"]
HoldKind = Literal["manual", "legal", "incident"]
Filters = tuple[RowFilter, ...]
Cause = Literal["rules", "holds", "minimum age", "kept for ever", "checks outstanding"]
NO_RULE = "no rule covers this table"
UNDECIDED = ("unchecked", "blocked")
SIGNAL_SCHEMAS = ("raw", "core")


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
    """Days of tables (names or patterns) that nothing may remove. expires: the day on which it ends by itself. services: only their rows,
    where a rule divides the day and the table knows services, else the whole day; empty holds all."""

    hold_id: str
    kind: HoldKind
    reason: str
    tables: tuple[str, ...]
    from_day: date
    to_day: date
    expires: date | None = None
    services: tuple[str, ...] = ()

    def covers(self, table: str, day: date, today: date) -> bool:
        """Whether this partition, or some of its rows, is held today."""
        if not self.from_day <= day <= self.to_day or self.expired(today):
            return False
        return any(fnmatchcase(table, pattern) for pattern in self.tables)

    def expired(self, today: date) -> bool:
        """Whether it has ended by itself."""
        return self.expires is not None and self.expires <= today

    @property
    def filter(self) -> RowFilter:
        """The rows that are held."""
        return RowFilter(services=self.services)

    @property
    def label(self) -> str:
        """How plans name it."""
        return f"{self.kind} hold {self.hold_id}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one partition or, where rows is given, to a class of its rows, and the rule or hold that says so.

    bytes: of a class, the partition's shared out by rows. Costs are per month, in the currency of the prices, and 0 until `pricing` puts
    them in. negotiable: a monthly budget may decide otherwise; cause: what keeps it, when that may not."""

    table: str
    day: date
    version: int
    action: Action
    rule: str
    row_count: int
    bytes: int
    rows: RowClass | None = None
    cost_before: float = 0.0
    cost_after: float = 0.0
    negotiable: bool = field(default=False, compare=False)
    cause: Cause = field(default="rules", compare=False)

    @property
    def rows_key(self) -> str:
        """The class as it is stored; empty for a whole partition."""
        return self.rows.encode() if self.rows is not None else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Decisions on every partition, in order of table and day. plan_id: hash of the decisions, so equal plans have equal ids.

    currency: of the costs."""

    plan_id: str
    decisions: tuple[Decision, ...]
    uncovered: tuple[str, ...] = field(default=())
    currency: str = field(default="", compare=False)

    @classmethod
    def of_decisions(cls, decisions: Iterable[Decision]) -> Plan:
        """A plan of these decisions, in any order."""
        ordered = tuple(sorted(decisions, key=lambda d: (d.table, d.day, d.rows_key)))
        return cls(plan_id_of(ordered), ordered, tuple(sorted({d.table for d in ordered if d.rule == NO_RULE})))

    def of(self, action: Action) -> list[Decision]:
        """The decisions with this action."""
        return [d for d in self.decisions if d.action == action]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happens to the rows that `takes` takes of those that no outcome before it took; None takes the rest."""

    takes: RowFilter | None
    action: Action
    rule: str
    negotiable: bool = False
    cause: Cause = "rules"


Count = Callable[[str, Mapping[date, Filters]], Mapping[date, tuple[int, ...]]]
"""Rows of a table per day that the first filter takes, those of the rest that the second takes ..., and those that none does."""


def count_nothing(table: str, days: Mapping[date, Filters]) -> Mapping[date, tuple[int, ...]]:
    """For rules that ask for nothing of rows. Raises LookupError when there are days to count."""
    raise LookupError(f"{table} {min(days)}: rules divide the day, and nothing counts its rows")


def make_plan(
    pieces: Iterable[Piece],
    rules: Sequence[RetentionRule],
    holds: Sequence[Hold],
    today: date,
    *,
    count: Count = count_nothing,
    service_map: Sequence[ServiceRule] = (),
) -> Plan:
    """Decide on every piece. The order of pieces and holds does not matter, that of rules does. count is asked once per table."""
    ordered = sorted(holds, key=lambda h: (h.kind, h.hold_id))
    found = [(p, outcomes(p, rules, ordered, today)) for p in pieces]
    divided: dict[str, dict[date, Filters]] = {}
    for piece, chain in found:
        if len(chain) > 1:
            divided.setdefault(piece.table, {})[piece.day] = tuple(o.takes for o in chain if o.takes is not None)
    counts = {table: count(table, days) for table, days in sorted(divided.items())}
    decisions: list[Decision] = []
    for piece, chain in found:
        if len(chain) == 1:
            decisions.append(_whole(piece, chain[0]))
        else:
            decisions += _parts(piece, chain, counts[piece.table].get(piece.day, ()), service_map)
    return Plan.of_decisions(decisions)


def outcomes(piece: Piece, rules: Sequence[RetentionRule], holds: Sequence[Hold], today: date) -> tuple[Outcome, ...]:
    """What happens to a piece today: one outcome for all of it, or several that divide its rows, the last without a filter."""
    chain = _by_rules(piece, rules, today)
    held = [h for h in holds if h.covers(piece.table, piece.day, today)] if any(o.negotiable or o.action != "keep" for o in chain) else []
    if all(o.action == "keep" for o in chain):
        free = not held and piece.state not in UNDECIDED and all(o.negotiable for o in chain)
        cause: Cause = "holds" if held else "checks outstanding" if piece.state in UNDECIDED and chain[0].negotiable else chain[0].cause
        return (Outcome(None, "keep", _together(chain), free, cause),)
    known = CONTRACTS.get(piece.table)
    whole = [h for h in held if len(chain) == 1 or not h.services or not can_tell(known, h.filter)]
    if whole:
        return (Outcome(None, "keep", whole[0].label, cause="holds"),)
    if piece.state in UNDECIDED:
        return (Outcome(None, "keep", f"the day is {piece.state}: it leaves only once its checks passed", cause="checks outstanding"),)
    if not held and len({o.action for o in chain}) == 1:
        return (Outcome(None, chain[0].action, _together(chain), all(o.negotiable for o in chain)),)
    return (*(Outcome(h.filter, "keep", h.label, cause="holds") for h in held), *chain)


def _together(chain: Sequence[Outcome]) -> str:
    return "; ".join(dict.fromkeys(o.rule for o in chain))


def covering(table: str, rules: Iterable[RetentionRule]) -> list[RetentionRule]:
    """The rules that decide about rows of a table, in order: those that ask for what its rows can tell, to the first that asks nothing."""
    definition = CONTRACTS.get(table)
    found: list[RetentionRule] = []
    for rule in rules:
        rows = RowFilter.of(rule)
        if not fnmatchcase(table, rule.tables) or (rule.signal is not None and not _is_of(table, rule.signal)):
            continue
        if rows is None:
            return [*found, rule]
        if can_tell(definition, rows):
            found.append(rule)
    return found


def divides(table: str, rules: Iterable[RetentionRule]) -> bool:
    """Whether rules divide a table's days into classes of rows."""
    return any(RowFilter.of(rule) is not None for rule in covering(table, rules))


def _is_of(table: str, signal: str) -> bool:
    definition = CONTRACTS.get(table)
    return definition is not None and definition.schema in SIGNAL_SCHEMAS and signal in definition.tags


def _by_rules(piece: Piece, rules: Sequence[RetentionRule], today: date) -> list[Outcome]:
    covered = covering(piece.table, rules)
    chain = [replace(_by_rule(piece, rule, today), takes=RowFilter.of(rule) if piece.has_day else None) for rule in covered]
    if not chain or chain[-1].takes is not None:
        chain.append(Outcome(None, "keep", NO_RULE))
    return chain


def _by_rule(piece: Piece, rule: RetentionRule, today: date) -> Outcome:
    if rule.keep_days is None:
        return Outcome(None, "keep", f"{rule.scope}: for ever", cause="kept for ever")
    if not piece.has_day:
        return Outcome(None, "keep", f"{rule.scope}: the table has no days and is kept whole", cause="kept for ever")
    name, age = f"{rule.scope}: {rule.keep_days} days", (today - piece.day).days
    negotiable = rule.archive and age >= rule.min_days
    if age < rule.keep_days:
        return Outcome(None, "keep", name, negotiable, "minimum age" if rule.archive else "rules")
    return Outcome(None, "archive" if rule.archive else "drop", f"{name}, then {'archive' if rule.archive else 'drop'}", negotiable)


def _whole(piece: Piece, outcome: Outcome) -> Decision:
    known = piece.table, piece.day, piece.version
    size = piece.row_count, piece.bytes
    return Decision(*known, outcome.action, outcome.rule, *size, negotiable=outcome.negotiable, cause=outcome.cause)


def _parts(piece: Piece, chain: Sequence[Outcome], counts: Sequence[int], service_map: Sequence[ServiceRule]) -> list[Decision]:
    """One decision per class that has rows. A day with other rows than its files say is being written, and kept."""
    if len(counts) != len(chain) or sum(counts) != piece.row_count:
        return [_whole(piece, Outcome(None, "keep", "the day was written while the plan was made"))]
    classes = classes_of([o.takes for o in chain if o.takes is not None], service_map)
    decisions, before = [], 0
    for outcome, rows, count in zip(chain, classes, counts, strict=True):
        share = piece.bytes * (before + count) // piece.row_count - piece.bytes * before // piece.row_count
        before += count
        if count:
            decisions.append(replace(_whole(piece, outcome), row_count=count, bytes=share, rows=rows))
    return decisions


def plan_id_of(decisions: Iterable[Decision]) -> str:
    """Hash over what is decided about which version of which rows."""
    lines = "\n".join(f"{d.table} {d.day} {d.version} {d.action} {d.rule}{d.rows_key and ' ' + d.rows_key}" for d in decisions)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]
