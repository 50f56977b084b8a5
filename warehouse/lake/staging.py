"""Staging: one pass that types, checks and writes rows as Parquet where the lake will register them. Takes no lock.

A row that breaks a rule gets no day, so that the same COPY puts it into the default partition; those few rows are read again to say
why, and go to quarantine. Memory does not grow with the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from uuid import uuid4

import duckdb

from warehouse.contracts import Contract
from warehouse.errors import ContractError, LakeError
from warehouse.lake.connection import identifier, literal
from warehouse.lake.unit import Rows, Slice

EVER = Slice(date(1970, 1, 1), date(2262, 1, 1))
PARQUET = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
MAX_RECORD = 10_000


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A Parquet file under a table's path that is not registered yet. `day` is None for tables without days."""

    path: str
    rows: int
    bytes: int
    day: date | None


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
    connection: duckdb.DuckDBPyConnection, target: Target, rows: Rows | str, parameters: Mapping[str, object] | None = None
) -> Staged:
    """Write rows (a reader, a relation on `connection`, or a SELECT with named parameters) as Parquet under the target's path.

    Raises ContractError when a column cannot have the contract's type, LakeError when files turn out not to hold what they should."""
    query = _input(connection, rows)
    try:
        columns = connection.execute(f"DESCRIBE {query}", dict(parameters or {})).fetchall()
        select = _typed(target, query, {str(c[0]): str(c[1]) for c in columns})
        if target.contract.time_column == "day":
            return _stage_days(connection, target, select, parameters)
        written = _copy(connection, _without_bad_days(target, select), target.folder, target.contract, parameters)
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
    _settle_duplicates(connection, target, staged)
    return staged


def _stage_days(connection: duckdb.DuckDBPyConnection, target: Target, select: str, parameters: Mapping[str, object] | None) -> Staged:
    """Tables whose only time is the day: files by day do not hold it, so a bad row's day would be lost. They are small, and held once."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE staging_days AS {select}", dict(parameters or {}))
    valid = _valid(target.contract, target.slice)
    staged = Staged(target.contract)
    staged.files = _copy(connection, f"FROM staging_days WHERE {valid}", target.folder, target.contract, None)
    rejects = _quarantine_rows(connection, target, f"SELECT * FROM staging_days WHERE NOT ({valid})")
    staged.rows_quarantined = sum(f.rows for f in rejects)
    staged.rejects = [f for f in rejects if f.rows]
    discard([f for f in rejects if not f.rows])
    connection.execute("DROP TABLE staging_days")
    staged.rows_read = staged.rows + staged.rows_quarantined
    _settle_duplicates(connection, target, staged)
    return staged


def stage_rejects(connection: duckdb.DuckDBPyConnection, target: Target, rows: Rows) -> Staged:
    """Write records that the source could not turn into rows (columns of REJECT_SCHEMA) as quarantine files."""
    query = _input(connection, rows)
    select = f"""SELECT {literal(target.source)} AS source, {literal(target.batch_id)} AS batch_id, reason, file, line,
        left(record, {MAX_RECORD}) AS record, NULL::DATE AS day, now()::TIMESTAMP AS quarantined_at FROM ({query})"""
    files = _copy_flat(connection, select, target.quarantine_folder, None)
    count = sum(f.rows for f in files)
    return Staged(target.contract, rejects=files if count else [], rows_read=count, rows_quarantined=count)


def rewrite(connection: duckdb.DuckDBPyConnection, target: Target, select: str) -> list[StagedFile]:
    """Write rows that are typed and checked already as new files under the target's path."""
    return _copy(connection, select, target.folder, target.contract, None)


def discard(files: Sequence[StagedFile]) -> None:
    """Delete staged files that will not be registered (local ones; object stores are swept by the orphan clean-up)."""
    for file in files:
        if "://" not in file.path:
            Path(file.path).unlink(missing_ok=True)


def read_files(files: Sequence[StagedFile], *, hive: bool) -> str:
    """A FROM clause over staged files."""
    paths = ", ".join(literal(f.path) for f in files)
    option = "hive_partitioning = true, hive_types = {'day': DATE}" if hive else "hive_partitioning = false"
    return f"read_parquet([{paths}], {option})"


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
    fixed = {"batch_id": literal(target.batch_id)}
    if contract.has_source:
        fixed["source"] = literal(target.source)
    time = contract.time_column
    casts = []
    for column in contract.columns:
        if column.name == "day" and time != "day":
            casts.append(f"CAST({identifier(str(time))} AS DATE) AS day")
            continue
        name = identifier(column.name)
        value = fixed.get(column.name) or (name if column.name in given else "NULL")
        casts.append(f"CAST({value} AS {column.type}) AS {name}")
    return f"SELECT {', '.join(casts)} FROM ({query})"


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


def _copy(
    connection: duckdb.DuckDBPyConnection,
    select: str,
    folder: str,
    contract: Contract,
    parameters: Mapping[str, object] | None,
) -> list[StagedFile]:
    if not contract.has_day:
        return _copy_flat(connection, select, folder, parameters)
    _make_folder(folder)
    options = f"{PARQUET}, PARTITION_BY (day), APPEND, FILENAME_PATTERN 'part_{{uuid}}', RETURN_STATS"
    result = connection.execute(f"COPY ({select}) TO {literal(folder)} ({options})", dict(parameters or {})).fetchall()
    files = []
    for path, count, size, _footer, statistics, keys in result:
        day = date.fromisoformat(keys["day"]) if keys and keys.get("day") else None
        if day is not None:
            _prove_day(contract, path, day, statistics)
        files.append(StagedFile(str(path), int(count), int(size), day))
    return files


def _copy_flat(
    connection: duckdb.DuckDBPyConnection, select: str, folder: str, parameters: Mapping[str, object] | None
) -> list[StagedFile]:
    _make_folder(folder)
    path = f"{folder.rstrip('/')}/part_{uuid4()}.parquet"
    rows = connection.execute(f"COPY ({select}) TO {literal(path)} ({PARQUET}, RETURN_STATS)", dict(parameters or {})).fetchall()
    return [StagedFile(str(r[0]), int(r[1]), int(r[2]), None) for r in rows]


def _make_folder(folder: str) -> None:
    if "://" not in folder:
        Path(folder).mkdir(parents=True, exist_ok=True)


def _prove_day(contract: Contract, path: str, day: date, statistics: Mapping[str, Mapping[str, str]]) -> None:
    """The footer's range of the time column must lie inside the day of the path."""
    time = statistics.get(f'"{contract.time_column}"')
    if contract.time_column in (None, "day") or time is None or "min" not in time:
        return
    if str(time["min"])[:10] != str(day) or str(time["max"])[:10] != str(day):
        raise LakeError(f"{path} holds {time['min']} to {time['max']}, which is not the day {day} of its path; nothing was registered")


def _split_bad(connection: duckdb.DuckDBPyConnection, target: Target, files: list[StagedFile]) -> tuple[list[StagedFile], list[StagedFile]]:
    """Tables without days have no default partition to catch bad rows: look, and split only when there are any."""
    valid = _valid(target.contract, target.slice)
    source = read_files(files, hive=False)
    bad = connection.execute(f"SELECT count(*) FROM {source} WHERE NOT ({valid})").fetchone()
    if not bad or bad[0] == 0:
        return files, []
    good = _copy_flat(connection, f"SELECT * FROM {source} WHERE {valid}", target.folder, None)
    rest = _copy_flat(connection, f"SELECT * FROM {source} WHERE NOT ({valid})", target.folder, None)
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
    return _copy_flat(connection, select, target.quarantine_folder, None)


def _settle_duplicates(connection: duckdb.DuckDBPyConnection, target: Target, staged: Staged) -> None:
    """One row per grain within a batch: equal rows collapse; of rows that differ the greatest stays and the others go to quarantine.

    Day by day, to hold one day at a time; then the days between which a row moved (its grain does not say its time)."""
    contract = target.contract
    if not staged.files or not contract.collapse:
        return
    grain = ", ".join(identifier(n) for n in contract.grain)
    keys = ", ".join(identifier(n) for n in contract.grain if not (n == "source" and contract.has_source))

    def repeats(source: str) -> bool:
        query = f"SELECT 1 FROM (SELECT {keys} FROM {source} GROUP BY {keys} HAVING count(*) > 1) LIMIT 1"
        return connection.execute(query).fetchone() is not None

    if not repeats(read_files(staged.files, hive=contract.has_day)):
        return
    for day in sorted({f.day for f in staged.files}, key=str):
        files = [f for f in staged.files if f.day == day]
        source = read_files(files, hive=contract.has_day)
        if repeats(source):
            _keep_one(connection, target, staged, files, grain)
    if contract.has_day and not {contract.time_column, "day"} & set(contract.grain):
        source = read_files(staged.files, hive=True)
        again = f"(SELECT {keys} FROM {source} GROUP BY {keys} HAVING count(*) > 1)"
        days = {r[0] for r in connection.execute(f"SELECT DISTINCT day FROM {source} SEMI JOIN {again} USING ({keys})").fetchall()}
        if days:
            _keep_one(connection, target, staged, [f for f in staged.files if f.day in days], grain)


def _keep_one(connection: duckdb.DuckDBPyConnection, target: Target, staged: Staged, files: list[StagedFile], grain: str) -> None:
    contract = target.contract
    source = read_files(files, hive=contract.has_day)
    total = sum(f.rows for f in files)
    everything = ", ".join(identifier(n) for n in contract.column_names)
    distinct = f"SELECT DISTINCT {everything} FROM {source}"
    ranked = f"SELECT *, row_number() OVER (PARTITION BY {grain} ORDER BY {_order(contract)}) AS place FROM ({distinct})"
    kept = _copy(connection, f"SELECT * EXCLUDE (place) FROM ({ranked}) WHERE place = 1", target.folder, contract, None)
    losers = f"SELECT * EXCLUDE (place) FROM ({ranked}) WHERE place > 1"
    rejected = _copy_flat(connection, _conflict_select(target, losers), target.quarantine_folder, None)
    conflicts = sum(f.rows for f in rejected)
    staged.files = [f for f in staged.files if f not in files] + kept
    if conflicts:
        staged.rejects += rejected
    else:
        discard(rejected)
    staged.rows_quarantined += conflicts
    staged.rows_collapsed += total - sum(f.rows for f in kept) - conflicts
    discard(files)


def _order(contract: Contract) -> str:
    """A total order over rows of one grain; nested values are compared as text."""
    rest = [c for c in contract.columns if c.name not in contract.grain]
    terms = [f"CAST({identifier(c.name)} AS VARCHAR)" if c.type.startswith("MAP") else identifier(c.name) for c in rest]
    return ", ".join(f"{t} DESC NULLS LAST" for t in terms) or "1"


def _conflict_select(target: Target, losers: str) -> str:
    day = "day" if target.contract.has_day else "NULL::DATE"
    return f"""SELECT {literal(target.source)} AS source, {literal(target.batch_id)} AS batch_id,
        'conflicting_duplicate' AS reason, {literal(target.origin)} AS file, NULL::BIGINT AS line,
        left(CAST(to_json(r) AS VARCHAR), {MAX_RECORD}) AS record, {day} AS day, now()::TIMESTAMP AS quarantined_at FROM ({losers}) AS r"""
