"""Tables of events and entities (spans, logs, incidents, changes, costs): one row of the file is one row of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import duckdb

from sources.files import InputFile
from sources.ordinals import ordinal_uuid
from sources.severity import severity_join
from sources.table.landing import checked, prepare, rejects
from sources.table.mapping import Converted, Mapped, clean_labels, convert, time_format
from sources.times import TimeFormat
from warehouse.contracts import Contract
from warehouse.errors import SourceError
from warehouse.lake.connection import identifier, literal
from warehouse.lake.unit import Part
from warehouse.settings.sources import TableSettings

LAKE_COLUMNS = ("source", "batch_id", "day")
LABEL_COLUMN = {"raw.spans": "attributes", "raw.logs": "attributes", "raw.incidents": "labels", "raw.changes": "labels"}
PSEUDO = {"raw.spans": {"end_time": "TIMESTAMP"}}
NANOSECONDS = ("time_unix_nano", "observed_time_unix_nano", "end_time")
ORDINALS = "table_ordinals"
DEFAULTS: dict[str, dict[str, str]] = {
    "raw.spans": {"kind": "'UNSPECIFIED'", "status_code": "'UNSET'", "service": "'unknown'"},
    "raw.logs": {"severity": "'UNKNOWN'", "service": "'unknown'"},
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
    columns = _columns(connection, contract, mapped, settings)
    fields = _fields(connection, contract, mapped, settings, columns)
    for name in ("log_id", "charge_id"):
        if name in contract.column_names and name not in fields:
            fields[name] = ordinal_uuid(f"{file.digest}:{file.origin}", f"nextval('{ORDINALS}')")
            connection.execute(f"CREATE OR REPLACE TEMP SEQUENCE {ORDINALS}")
    listed = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in fields.items())
    rows = checked(mapped.select(), columns, empty_is_damage=mapped.table.empty_is_damage)
    severity = next((c for c in ("severity", "severity_text") if c in columns), None) if table == "raw.logs" else None
    join = severity_join(identifier("c_" + severity)) if severity else ""
    yield Part(table, connection.sql(f"SELECT {listed} FROM ({rows}) {join}"))
    yield from rejects(connection, table, mapped, None, columns)


def _columns(connection: duckdb.DuckDBPyConnection, contract: Contract, mapped: Mapped, settings: TableSettings) -> dict[str, Converted]:
    """Conversions of what the mapping gives."""
    types = {c.name: c.type for c in contract.columns} | PSEUDO.get(contract.full_name, {})
    defaults = DEFAULTS.get(contract.full_name, {})
    required = {c.name for c in contract.columns if c.required and c.name not in defaults} | set(PSEUDO.get(contract.full_name, {}))
    found: dict[str, Converted] = {}
    for name in settings.columns:
        target = "nanoseconds" if name in NANOSECONDS else types[name]
        times = time_format(connection, mapped, name, settings) if target in ("nanoseconds", "TIMESTAMP") else TimeFormat()
        try:
            found[name] = convert(name, mapped.types[name], target, times, required=name in required)
        except ValueError as error:
            has = ", ".join(f"{n} {t}" for n, t in list(mapped.table.types.items())[:40])
            raise SourceError(f"{mapped.file}: {error}; the file has {has}") from None
    return found | clean_labels(settings.labels, mapped.types)


def _fields(
    connection: duckdb.DuckDBPyConnection, contract: Contract, mapped: Mapped, settings: TableSettings, columns: dict[str, Converted]
) -> dict[str, str]:
    """SQL of the contract's columns over the converted ones: as they are, with defaults, and those that follow from others."""
    table = contract.full_name
    fields = {name: identifier("c_" + name) for name in settings.columns if name in contract.column_names}
    for name, default in DEFAULTS.get(table, {}).items():
        fields[name] = f"coalesce({fields[name]}, {default})" if name in fields else default
    label_column = LABEL_COLUMN.get(table)
    if settings.labels and label_column and label_column not in fields:
        fields[label_column] = label_map({name: identifier(f"r_label {name}") for name in settings.labels})
    if table in ("raw.spans", "raw.logs"):
        if "time" in columns and "time_unix_nano" not in columns:
            times = time_format(connection, mapped, "time", settings)
            fields["time_unix_nano"] = times.nanoseconds("r_time", mapped.types["time"])
        elif "time" not in columns and "time_unix_nano" in columns:
            fields["time"] = "make_timestamp(c_time_unix_nano // 1000)"
    if table == "raw.spans" and "end_time" in columns and "duration_ns" not in columns:
        fields["duration_ns"] = f"c_end_time - {fields['time_unix_nano']}"
    if table == "raw.logs" and ("severity" in columns or "severity_text" in columns):
        fields["severity"] = "coalesce(level, 'UNKNOWN')"
        fields["severity_number"] = fields.get("severity_number", "level_number")
    if table == "raw.incidents" and "status" not in columns:
        fields["status"] = "if(c_resolved_time IS NULL, 'triggered', 'resolved')" if "resolved_time" in columns else "'triggered'"
    return fields


def label_map(columns: Mapping[str, str]) -> str:
    """SQL for a MAP of the labels that have a value; `columns` gives the SQL of each."""
    if not columns:
        return "MAP {}::MAP(VARCHAR, VARCHAR)"
    entries = ", ".join(f"{{'k': {literal(name)}, 'v': CAST({sql} AS VARCHAR)}}" for name, sql in columns.items())
    return f"map_from_entries(list_filter([{entries}], lambda e: e.v <> ''))"
