"""Tables of events and entities (spans, logs, incidents, changes, costs): one row of the file is one row of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import duckdb

from sources.files import InputFile
from sources.severity import severity_number_sql, severity_sql
from sources.table.landing import good, prepare, rejects
from sources.table.mapping import Converted, Mapped, clean_labels, convert, nanoseconds, time_format
from sources.times import TimeFormat
from warehouse.contracts import Contract
from warehouse.errors import SourceError
from warehouse.lake.connection import identifier, literal
from warehouse.lake.unit import Part
from warehouse.settings import TableSettings

LAKE_COLUMNS = ("source", "batch_id", "day")
LABEL_COLUMN = {"raw.spans": "attributes", "raw.logs": "attributes", "raw.incidents": "labels", "raw.changes": "labels"}
PSEUDO = {"raw.spans": {"end_time": "TIMESTAMP"}}
DEFAULTS = {
    "raw.spans": {"kind": "'UNSPECIFIED'", "status_code": "'UNSET'", "service": "'unknown'"},
    "raw.logs": {"severity": "'UNKNOWN'", "service": "'unknown'"},
    "raw.incidents": {},
    "raw.changes": {},
}


def wanted(contract: Contract, settings: TableSettings) -> dict[str, str]:
    """Names and expressions to be read: columns, and labels as `label NAME`."""
    return {**settings.columns, **{f"label {name}": text for name, text in settings.labels.items()}}


def parts(
    connection: duckdb.DuckDBPyConnection, contract: Contract, file: InputFile, mapped: Mapped, settings: TableSettings
) -> Iterator[Part]:
    """The rows of a file, then its rejects."""
    table = contract.full_name
    prepare(connection)
    columns = _columns(connection, contract, mapped, settings, file)
    reasons = [reason for column in columns.values() for reason in column.rejects]
    fields = ", ".join(f"{column.sql} AS {identifier(name)}" for name, column in columns.items())
    rows = mapped.select()
    if "__ordinal" in fields:
        connection.execute("SET preserve_insertion_order = true")
        rows = f'SELECT *, row_number() OVER () AS "__ordinal" FROM ({rows})'
    condition = good(reasons, empty_is_damage=mapped.table.empty_is_damage)
    yield Part(table, connection.sql(f"SELECT {fields} FROM ({rows}) WHERE {condition}"))
    yield from rejects(connection, table, mapped, None, reasons)


def _columns(
    connection: duckdb.DuckDBPyConnection, contract: Contract, mapped: Mapped, settings: TableSettings, file: InputFile
) -> dict[str, Converted]:
    found: dict[str, Converted] = {}
    for column in contract.columns:
        if column.name in LAKE_COLUMNS or column.name not in mapped.types:
            continue
        raw = identifier("r_" + column.name)
        required = column.required and column.name not in DEFAULTS.get(contract.full_name, {})
        found[column.name] = _one(connection, mapped, settings, column.name, raw, column.type, required)
    for name, sql in DEFAULTS.get(contract.full_name, {}).items():
        default = Converted(f"coalesce({found[name].sql}, {sql})", found[name].rejects) if name in found else Converted(sql)
        found[name] = default
    label_column = LABEL_COLUMN.get(contract.full_name)
    if settings.labels and label_column and label_column not in found:
        columns = {name: identifier(f"r_label {name}") for name in settings.labels}
        found[label_column] = Converted(label_map(columns), tuple(clean_labels(settings.labels, mapped.types)))
    _derive(connection, contract.full_name, mapped, settings, found)
    for name in ("log_id", "charge_id"):
        if name in contract.column_names and name not in found:
            prefix = literal(f"{file.digest}:{file.origin}:{file.start}:")
            found[name] = Converted(f"""CAST(md5({prefix} || "__ordinal") AS UUID)""")
    return found


def _one(
    connection: duckdb.DuckDBPyConnection, mapped: Mapped, settings: TableSettings, name: str, raw: str, target: str, required: bool
) -> Converted:
    raw_type = mapped.types[name]
    try:
        if name.endswith("time_unix_nano"):
            return nanoseconds(name, raw, raw_type, time_format(connection, mapped, name, settings), required=required)
        times = time_format(connection, mapped, name, settings) if target == "TIMESTAMP" else TimeFormat()
        return convert(name, raw, raw_type, target, times, required=required)
    except ValueError as error:
        has = ", ".join(f"{n} {t}" for n, t in list(mapped.table.types.items())[:60])
        raise SourceError(f"{mapped.file}: {error}; the file has {has}") from None


def _derive(
    connection: duckdb.DuckDBPyConnection, table: str, mapped: Mapped, settings: TableSettings, found: dict[str, Converted]
) -> None:
    """Columns that follow from others: the two forms of an event's time, a span's duration, a log's severity, an incident's status."""
    if table in ("raw.spans", "raw.logs"):
        if "time" in found and "time_unix_nano" not in found:
            raw = identifier("r_time")
            found["time_unix_nano"] = Converted(time_format(connection, mapped, "time", settings).nanoseconds(raw, mapped.types["time"]))
        elif "time_unix_nano" in found and "time" not in found:
            found["time"] = Converted(f"make_timestamp({found['time_unix_nano'].sql} // 1000)")
    if table == "raw.spans" and "end_time" in mapped.types and "duration_ns" not in found:
        end = nanoseconds(
            "end_time",
            identifier("r_end_time"),
            mapped.types["end_time"],
            time_format(connection, mapped, "end_time", settings),
            required=True,
        )
        found["duration_ns"] = Converted(f"({end.sql}) - ({found['time_unix_nano'].sql})", end.rejects)
    if table == "raw.logs" and "severity_text" in found and "severity" not in settings.columns:
        found["severity"] = Converted(severity_sql(found["severity_text"].sql))
    if table == "raw.logs" and "severity_number" not in found:
        found["severity_number"] = Converted(severity_number_sql(found["severity"].sql))
    if table == "raw.incidents" and "status" not in found:
        resolved = found.get("resolved_time")
        found["status"] = Converted(
            f"CASE WHEN {resolved.sql} IS NOT NULL THEN 'resolved' ELSE 'triggered' END" if resolved else "'triggered'"
        )


def label_map(columns: Mapping[str, str]) -> str:
    """SQL for a MAP of the labels that have a value; `columns` gives the SQL of each."""
    if not columns:
        return "MAP {}::MAP(VARCHAR, VARCHAR)"
    entries = ", ".join(f"{{'k': {literal(name)}, 'v': CAST({sql} AS VARCHAR)}}" for name, sql in columns.items())
    return f"map_from_entries(list_filter([{entries}], lambda e: e.v <> ''))"
