"""What a contract is: columns, grain, row rules, expectations. Data only; DDL, Arrow schemas and checks are derived elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

Severity = Literal["error", "warn"]
Shape = Literal["event", "entity", "snapshot", "log"]
ExpectationKind = Literal["not_null", "unique", "between", "in_set", "no_rows", "row_count"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: DuckDB type, meaning, unit (UCUM where there is one) and whether NULL is refused."""

    name: str
    type: str
    description: str
    unit: str | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class RowRule:
    """A condition that every row must meet before it lands; a row for which it is not TRUE goes to quarantine under `name`.

    `condition` is a DuckDB expression over the contract's columns. It may name `$slice_start` and `$slice_end` (DATE, half-open)."""

    name: str
    condition: str
    description: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """A check of a written slice, run by Great Expectations. `error` keeps the day out of everything downstream.

    `sql` (kind `no_rows`) selects violating rows; `{batch}` is the rows of the days that are checked; `{days}` lists these
    days and `{days_around}` these with their neighbours, for `day IN`."""

    name: str
    kind: ExpectationKind
    severity: Severity
    description: str
    columns: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()
    sql: str | None = None


@dataclass(frozen=True, slots=True)
class Encoding:
    """Columns that settled files hold otherwise than landed ones, and how the view makes the contract's columns of them.

    columns: physical columns besides the contract's, NULL where a file lacks them.
    decoded: (column of the contract, DuckDB expression over the physical columns that gives its value for every row, landed or settled).
    prepared: (name, expression over the physical columns) of what several of those expressions share; it is computed once.
    Without any of them the files are dense and hold the contract's own columns."""

    columns: tuple[Column, ...] = ()
    decoded: tuple[tuple[str, str], ...] = ()
    prepared: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Contract:
    """One table, once.

    shape: `event` rows belong to a day and are appended or replaced; `entity` rows change in place under their key and have no day;
    `snapshot` is an entity with a day (incidents: the day they opened); `log` is the platform's own append-only record.
    grain: the columns that identify a row. collapse: equal rows of one grain become one (not for logs and bills, where equal rows are
    separate facts that their id keeps apart).
    Of an entity: immutable columns may never differ under one key (a hash collision is an error); merge names how a column's old and new
    value become one (`least`, `greatest`); dirties are the columns whose span of days an upsert re-opens."""

    schema: str
    name: str
    description: str
    columns: tuple[Column, ...]
    grain: tuple[str, ...]
    time_column: str | None
    shape: Shape = "event"
    sort_key: tuple[str, ...] = ()
    collapse: bool = True
    immutable: tuple[str, ...] = ()
    merge: tuple[tuple[str, str], ...] = ()
    dirties: tuple[str, str] | None = None
    may_be_empty: bool = False
    row_rules: tuple[RowRule, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    encoding: Encoding | None = None
    owner: str = "platform"
    tags: tuple[str, ...] = field(default_factory=tuple)

    @property
    def full_name(self) -> str:
        """`schema.name`, which is also the asset key and the name people query."""
        return f"{self.schema}.{self.name}"

    @property
    def has_day(self) -> bool:
        """Whether rows belong to a physical `day` partition."""
        return any(c.name == "day" for c in self.columns)

    @property
    def storage_name(self) -> str:
        """Where the rows really are: `raw` and `meta` are views over `store`, so encodings can change without touching a reader."""
        return f"store.{self.schema}_{self.name}" if self.schema in ("raw", "meta") else self.full_name

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """Columns of the table under the view: those of the contract, of which an encoding makes some optional, and the encoding's own."""
        if self.encoding is None:
            return self.columns
        optional = {name for name, _ in self.encoding.decoded}
        return (*(replace(c, required=False) if c.name in optional else c for c in self.columns), *self.encoding.columns)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in their declared order."""
        return tuple(c.name for c in self.columns)

    @property
    def has_source(self) -> bool:
        """Whether deletes must filter on `source`: all raw tables, no derived one."""
        return self.schema == "raw"
