"""One file of a bill as rows of raw.costs and rejects; and, read cheaply first, the billing periods that it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import duckdb

from sources.focus import values
from sources.focus.dialects import FALLBACKS, PLAIN, Dialect, detect
from sources.input_file import InputFile
from sources.table.landing import checked, prepare, rejects
from sources.table.mapping import Converted, Mapped
from sources.table.reading import SUFFIXES, TableFile, open_table
from warehouse.contracts.focus import MONEY
from warehouse.lake.connection import identifier, literal
from warehouse.lake.unit import Part
from warehouse.settings.sources import FocusSettings, TableSettings

COSTS = "raw.costs"
ALL_TAGS = "all tags"
TAG = "tag "
OTHER = "other "
PARQUET = b"PAR1"
Period = tuple[str, datetime]


def parts(connection: duckdb.DuckDBPyConnection, name: str, file: InputFile, path: Path, settings: FocusSettings) -> Iterator[Part]:
    """The charges in the plain file at `path`, then what in it is none.

    charge_id hashes source, content and origin of the file and the row's ordinal. Raises SourceError when the file is no bill."""
    connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    prepare(connection)
    mapped, dialect = _mapped(connection, file, path, settings)
    columns = _columns(mapped, dialect)
    looked = values.one_look_for_nul(columns)
    prefix = literal(f"{name}:{file.digest}:{file.origin}:")
    fields = [
        *(f"{identifier('c_' + key)} AS {identifier(key)}" for key in columns),
        f"{literal(dialect.version)} AS focus_version",
        f'CAST(md5({prefix} || "__row") AS UUID) AS charge_id',
    ]
    connection.execute("SET preserve_insertion_order = true")
    rows = f'SELECT *, row_number() OVER () AS "__row" FROM ({mapped.select()})'
    yield Part(COSTS, connection.sql(f"SELECT {', '.join(fields)} FROM ({checked(rows, looked, empty_is_damage=False)})"))
    yield from rejects(connection, COSTS, mapped, None, looked)


def periods(connection: duckdb.DuckDBPyConnection, file: InputFile, path: Path, settings: FocusSettings) -> set[Period]:
    """(BillingAccountId, BillingPeriodStart) of every row that has both. Raises SourceError when the file is no bill."""
    mapped, _ = _mapped(connection, file, path, settings, only=("BillingAccountId", "BillingPeriodStart"))
    account = values.words("BillingAccountId", mapped.types["BillingAccountId"], required=True)
    start = values.moment("BillingPeriodStart", mapped.types["BillingPeriodStart"])
    found = connection.execute(f"SELECT DISTINCT {account.sql}, {start.sql} FROM ({mapped.select()})").fetchall()
    return {(str(a), s) for a, s in found if a is not None and s is not None}


def _mapped(
    connection: duckdb.DuckDBPyConnection, file: InputFile, path: Path, settings: FocusSettings, only: tuple[str, ...] = ()
) -> tuple[Mapped, Dialect]:
    table = open_table(connection, file, path, _as_table(file, path, settings))
    if table.some_columns is not None:
        table = replace(table, source=table.some_columns())
    dialect = detect(file.origin, table.names or {name: name for name in table.types}, settings.dialect)
    raw = {name: sql for name, sql in dialect.expressions.items() if not only or name in only}
    if not only:
        raw |= {ALL_TAGS: dialect.tags} if dialect.tags else {}
        raw |= {TAG + name: sql for name, sql in dialect.tag_columns.items()}
        raw |= {OTHER + name: sql for name, sql in dialect.others.items()}
    types = _types(connection, file.origin, table, raw)
    targets = {c.name: c.type for c in PLAIN}
    expressions = {name: values.present(sql, types[name], settings.null_values, targets.get(name, "VARCHAR")) for name, sql in raw.items()}
    types = {name: "VARCHAR" if targets.get(name) == MONEY else kind for name, kind in types.items()}
    return Mapped(file.origin, table, "", {}, None, expressions, types), dialect


def _as_table(file: InputFile, path: Path, settings: FocusSettings) -> TableSettings:
    """The same file as a table source would read it. Bills are CSV unless their name or first bytes say Parquet."""
    suffix = SUFFIXES.get(Path(file.name).suffix.lower())
    with path.open("rb") as stream:
        is_parquet = suffix == "parquet" or (suffix is None and stream.read(4) == PARQUET)
    return TableSettings(
        kind="table",
        path=file.location,
        table=COSTS,
        columns={"BilledCost": "BilledCost"},
        format="parquet" if is_parquet else "csv",
        null_values=settings.null_values,
    )


def _types(connection: duckdb.DuckDBPyConnection, origin: str, table: TableFile, raw: dict[str, str]) -> dict[str, str]:
    described = connection.execute(f"DESCRIBE {Mapped(origin, table, '', {}, None, raw, {}).select()}").fetchall()
    return {str(row[0])[2:]: str(row[1]) for row in described}


def _columns(mapped: Mapped, dialect: Dialect) -> dict[str, Converted]:
    """SQL over the `r_` columns of the mapping, and when a row is rejected, per column of raw.costs."""
    found: dict[str, Converted] = {}
    for column in PLAIN:
        if column.name not in mapped.types:
            continue
        if column.type == MONEY:
            found[column.name] = values.number(column.name, required=column.required)
        elif column.type == "TIMESTAMP":
            found[column.name] = values.moment(column.name, mapped.types[column.name])
        else:
            found[column.name] = values.words(column.name, mapped.types[column.name], required=column.required)
    for name, newer in FALLBACKS.items():
        if newer in found:
            older = found.get(name, Converted("NULL"))
            found[name] = replace(older, sql=f"coalesce({older.sql}, {found[newer].sql})")
    others = {name: identifier("r_" + OTHER + name) for name in dialect.others}
    if dialect.tags:
        raw = identifier("r_" + ALL_TAGS)
        tags, readable = values.tags(raw, mapped.types[ALL_TAGS])
        found["Tags"] = Converted(tags)
        others |= {"Tags": f"CASE WHEN NOT {readable} THEN {raw} END"}
    elif dialect.tag_columns:
        found["Tags"] = Converted(values.map_of({name: identifier("r_" + TAG + name) for name in dialect.tag_columns}))
    found["x_columns"] = Converted(values.map_of(others))
    return found
