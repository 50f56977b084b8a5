"""Staging: one pass that types, checks and writes rows as Parquet where the lake will register them. Takes no lock.

A row that breaks a rule gets no day, so that the same COPY puts it into the default partition; those few rows are read again to say
why, and go to quarantine. Memory does not grow with the input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import duckdb

from warehouse.contracts import Contract
from warehouse.errors import ContractError
from warehouse.lake.connection import identifier, literal
from warehouse.lake.duplicates import settle_duplicates
from warehouse.lake.unit import Rows, Slice
from warehouse.lake.writing import StagedFile, copy_by_day, copy_each_day, copy_flat, discard, read_files

EVER = Slice(date(1970, 1, 1), date(2262, 1, 1))
MAX_RECORD = 10_000
# A pass over held rows for each day is cheaper than one partitioned COPY of all up to about this many days (measured on 3 million rows).
FEW_DAYS = 8


@dataclass(slots=True)
class Staged:
    """What one batch brings to one table."""

    contract: Contract
    files: list[StagedFile] = field(default_factory=list)
    rejects: list[StagedFile] = field(default_factory=list)
    rows_read: int = 0
    rows_collapsed: int = 0
    rows_quarantined: int = 0

    @property
    def rows(self) -> int:
        """Rows that will land."""
        return sum(f.rows for f in self.files)

    def absorb(self, other: Staged) -> None:
        """Add what another pass staged for the same table."""
        self.files += other.files
        self.rejects += other.rejects
        self.rows_read += other.rows_read
        self.rows_collapsed += other.rows_collapsed
        self.rows_quarantined += other.rows_quarantined


@dataclass(frozen=True, slots=True)
class Target:
    """Where a table's rows and its quarantined rows are written, and what is added to every row."""

    contract: Contract
    folder: str
    quarantine_folder: str
    source: str
    batch_id: str
    origin: str
    slice: Slice = EVER


def stage(
    connection: duckdb.DuckDBPyConnection,
    target: Target,
    rows: Rows | str,
    parameters: Mapping[str, object] | None = None,
    *,
    held: bool = False,
) -> Staged:
    """Write rows (a reader, a relation on `connection`, or a SELECT with named parameters) as Parquet under the target's path.

    held: the rows lie in memory or on the scratch disk, so that several passes over them are cheap.
    Raises ContractError when a column cannot have the contract's type, LakeError when files turn out not to hold what they should."""
    query = _input(connection, rows)
    try:
        columns = connection.execute(f"DESCRIBE {query}", dict(parameters or {})).fetchall()
        select = _typed(target, query, {str(c[0]): str(c[1]) for c in columns})
        if target.contract.time_column == "day":
            return _stage_days(connection, target, select, parameters)
        days = _few_good_days(connection, target, select) if held and target.contract.has_day else []
        if days:
            written = copy_each_day(connection, select, target.folder, target.contract, days)
        else:
            written = copy_by_day(connection, _without_bad_days(target, select), target.folder, target.contract, parameters)
    except (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.BinderException) as error:
        raise ContractError(f"{target.origin}: rows do not fit {target.contract.full_name}: {error}") from error
    staged = Staged(target.contract, rows_read=sum(f.rows for f in written))
    bad = [f for f in written if target.contract.has_day and f.day is None]
    staged.files = [f for f in written if f not in bad]
    if not target.contract.has_day:
        staged.files, bad = _split_bad(connection, target, staged.files)
    if bad:
        day = f"TRY_CAST({identifier(target.contract.time_column)} AS DATE)" if target.contract.time_column else "NULL::DATE"
        staged.rejects = _quarantine_rows(
            connection, target, f"SELECT {_all_but_day(target.contract)}, {day} AS day FROM {read_files(bad, hive=False)}"
        )
        staged.rows_quarantined = sum(f.rows for f in bad)
        discard(bad)
    _one_row_per_grain(connection, target, staged, f"({select})" if held and not bad else None)
    return staged


def _few_good_days(connection: duckdb.DuckDBPyConnection, target: Target, select: str) -> list[date]:
    """The days of held rows when all rows are good and the days are few, else none."""
    query = f"SELECT day, bool_and({_valid(target.contract, target.slice)}) FROM ({select}) GROUP BY day ORDER BY day LIMIT {FEW_DAYS + 1}"
    found = connection.execute(query).fetchall()
    few = len(found) <= FEW_DAYS and all(day is not None and good for day, good in found)
    return [day for day, _ in found] if few else []


def _one_row_per_grain(connection: duckdb.DuckDBPyConnection, target: Target, staged: Staged, held: str | None = None) -> None:
    def quarantine(losers: str) -> list[StagedFile]:
        return copy_flat(connection, _conflict_select(target, losers), target.quarantine_folder)

    before = staged.rows
    staged.files, lost = settle_duplicates(connection, target.contract, staged.files, target.folder, quarantine, held=held)
    staged.rejects += lost
    conflicts = sum(f.rows for f in lost)
    staged.rows_quarantined += conflicts
    staged.rows_collapsed += before - staged.rows - conflicts


def _conflict_select(target: Target, losers: str) -> str:
    day = "day" if target.contract.has_day else "NULL::DATE"
    return f"""SELECT {literal(target.source)} AS source, {literal(target.batch_id)} AS batch_id,
        'conflicting_duplicate' AS reason, {literal(target.origin)} AS file, NULL::BIGINT AS line,
        left(CAST(to_json(r) AS VARCHAR), {MAX_RECORD}) AS record, {day} AS day, now()::TIMESTAMP AS quarantined_at FROM ({losers}) AS r"""


def _stage_days(connection: duckdb.DuckDBPyConnection, target: Target, select: str, parameters: Mapping[str, object] | None) -> Staged:
    """Tables whose only time is the day: files by day do not hold it, so a bad row's day would be lost. They are small, and held once."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE staging_days AS {select}", dict(parameters or {}))
    valid = _valid(target.contract, target.slice)
    staged = Staged(target.contract)
    staged.files = copy_by_day(connection, f"FROM staging_days WHERE {valid}", target.folder, target.contract)
    rejects = _quarantine_rows(connection, target, f"SELECT * FROM staging_days WHERE NOT ({valid})")
    staged.rows_quarantined = sum(f.rows for f in rejects)
    staged.rejects = [f for f in rejects if f.rows]
    discard([f for f in rejects if not f.rows])
    connection.execute("DROP TABLE staging_days")
    staged.rows_read = staged.rows + staged.rows_quarantined
    _one_row_per_grain(connection, target, staged)
    return staged


def stage_rejects(connection: duckdb.DuckDBPyConnection, target: Target, rows: Rows) -> Staged:
    """Write records that the source could not turn into rows (columns of REJECT_SCHEMA) as quarantine files."""
    query = _input(connection, rows)
    select = f"""SELECT {literal(target.source)} AS source, {literal(target.batch_id)} AS batch_id, reason, file, line,
        left(record, {MAX_RECORD}) AS record, NULL::DATE AS day, now()::TIMESTAMP AS quarantined_at FROM ({query})"""
    files = copy_flat(connection, select, target.quarantine_folder)
    count = sum(f.rows for f in files)
    return Staged(target.contract, rejects=files if count else [], rows_read=count, rows_quarantined=count)


def rewrite(connection: duckdb.DuckDBPyConnection, target: Target, select: str) -> list[StagedFile]:
    """Write rows that are typed and checked already as new files under the target's path."""
    return copy_by_day(connection, select, target.folder, target.contract)


def _input(connection: duckdb.DuckDBPyConnection, rows: Rows | str) -> str:
    if isinstance(rows, str):
        return rows
    if isinstance(rows, duckdb.DuckDBPyRelation):
        rows.create_view("staging_input", replace=True)
    else:
        connection.register("staging_input", rows)
    return "SELECT * FROM staging_input"


def _typed(target: Target, query: str, given: Mapping[str, str]) -> str:
    """The SELECT that adds source, batch id and day, and casts to the contract's types."""
    contract = target.contract
    extra = set(given) - set(contract.column_names)
    if extra:
        raise ContractError(f"{target.origin}: {contract.full_name} has no column {', '.join(sorted(extra))}")
    fixed = {"batch_id": _constant(target.batch_id)}
    if contract.has_source:
        fixed["source"] = _constant(target.source)
    time = contract.time_column
    casts = []
    for column in contract.columns:
        if column.name == "day" and time != "day":
            casts.append(f"CAST({identifier(str(time))} AS DATE) AS day")
            continue
        name = identifier(column.name)
        if column.name in fixed:
            casts.append(f"{fixed[column.name]} AS {name}")
        else:
            casts.append(f"CAST({name if column.name in given else 'NULL'} AS {column.type}) AS {name}")
    return f"SELECT {', '.join(casts)} FROM ({query})"


def _constant(text: str) -> str:
    """A text that is the same in every row, as an ENUM of one value: Parquet gets it as a dictionary without a look at each row, which
    is a third of the time that writing samples takes. A reader of the file sees a text."""
    return f"CAST({literal(text)} AS ENUM({literal(text)}))"


def _without_bad_days(target: Target, select: str) -> str:
    """Takes the day from rows that break a rule, so that the COPY sets them apart."""
    if not target.contract.has_day:
        return select
    valid = _valid(target.contract, target.slice)
    return f"SELECT {_all_but_day(target.contract)}, CASE WHEN {valid} THEN day END AS day FROM ({select})"


def _all_but_day(contract: Contract) -> str:
    return ", ".join(identifier(n) for n in contract.column_names if n != "day")


def _conditions(contract: Contract, days: Slice) -> list[tuple[str, str]]:
    """(name, condition) of every row rule, required columns first."""
    required = [(f"required_{c.name}", f"{identifier(c.name)} IS NOT NULL") for c in contract.columns if c.required]
    rules = [
        (
            r.name,
            r.condition.replace("$slice_start", f"DATE '{days.start}'").replace("$slice_end", f"DATE '{days.end}'"),
        )
        for r in contract.row_rules
    ]
    return [*required, *rules]


def _valid(contract: Contract, days: Slice) -> str:
    conditions = [f"coalesce({condition}, FALSE)" for _, condition in _conditions(contract, days)]
    return " AND ".join(conditions) or "TRUE"


def _split_bad(connection: duckdb.DuckDBPyConnection, target: Target, files: list[StagedFile]) -> tuple[list[StagedFile], list[StagedFile]]:
    """Tables without days have no default partition to catch bad rows: look, and split only when there are any."""
    valid = _valid(target.contract, target.slice)
    source = read_files(files, hive=False)
    bad = connection.execute(f"SELECT count(*) FROM {source} WHERE NOT ({valid})").fetchone()
    if not bad or bad[0] == 0:
        return files, []
    good = copy_flat(connection, f"SELECT * FROM {source} WHERE {valid}", target.folder)
    rest = copy_flat(connection, f"SELECT * FROM {source} WHERE NOT ({valid})", target.folder)
    discard(files)
    return good, rest


def _quarantine_rows(connection: duckdb.DuckDBPyConnection, target: Target, rows: str) -> list[StagedFile]:
    """Write rows that break a rule, with the name of the first one that they break, as quarantine files."""
    whens = " ".join(
        f"WHEN NOT coalesce({condition}, FALSE) THEN {literal(name)}" for name, condition in _conditions(target.contract, target.slice)
    )
    select = f"""SELECT {literal(target.source)} AS source, {literal(target.batch_id)} AS batch_id,
        CASE {whens} ELSE 'unknown' END AS reason, {literal(target.origin)} AS file, NULL::BIGINT AS line,
        left(CAST(to_json(r) AS VARCHAR), {MAX_RECORD}) AS record, r.day AS day, now()::TIMESTAMP AS quarantined_at FROM ({rows}) AS r"""
    return copy_flat(connection, select, target.quarantine_folder)
