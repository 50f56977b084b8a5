"""Table files as units of work: from the configuration to parts."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb

from sources.files import InputFile, file_units
from sources.table import events, points
from sources.table.mapping import map_columns
from sources.table.reading import SUFFIXES, open_table
from warehouse.contracts import Contract, contract
from warehouse.errors import ConfigError, SourceError
from warehouse.lake.connection import identifier, literal
from warehouse.lake.unit import Known, Part, Slice, Unit
from warehouse.settings import Settings
from warehouse.settings.sources import TableSettings

GROWING = {"csv", "ndjson"}


def units(name: str, settings: TableSettings, *, config: Settings, known: Known, window: Slice) -> Iterator[Unit]:
    """The files of a table source that hold something new. `window` is not used: a file says itself which days it holds.

    Raises ConfigError when the mapping does not fit the contract, SourceError when a file is missing; opening a unit raises
    SourceError when a file is not what its format says or lacks a column that the mapping names."""
    target = _check(name, settings)

    def opener(file: InputFile, connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        with file.plain_path() as path:
            if file.size == file.start and (file.start or _format(file.name, settings) == "ndjson"):
                yield Part(target.full_name, connection.sql("SELECT NULL::VARCHAR AS batch_id WHERE FALSE"))
                return
            yield from _parts(name, target, file, path, settings, config, connection)

    def growing(file_name: str) -> bool:
        return _format(file_name, settings) in GROWING

    return file_units(name, settings, config=config, known=known, opener=opener, growing=growing)


def _format(file_name: str, settings: TableSettings) -> str:
    return settings.format if settings.format != "auto" else SUFFIXES.get(Path(re.sub(r"\.[0-9]+$", "", file_name)).suffix.lower(), "")


def _check(name: str, settings: TableSettings) -> Contract:
    """The contract of the target, and that the mapping names only what it has."""
    target = contract(settings.table)
    if target.schema != "raw" or target.full_name in ("raw.metric_series", "raw.metric_histograms"):
        raise ConfigError(f"sources.{name}: a table source cannot fill {settings.table}; metrics go to raw.metric_points")
    if target.full_name == points.POINTS:
        valid = list(points.NAMES)
        needed = {"time"} if settings.metrics or settings.metric_columns else {"time", "value", "metric_name"}
        wide = settings.metric_columns or any(isinstance(m, str) or m.column for m in settings.metrics.values())
        needed = {"time"} if wide else {"time", "value", "metric_name"}
    else:
        valid = [c for c in target.column_names if c not in events.LAKE_COLUMNS] + list(events.PSEUDO.get(target.full_name, {}))
        needed = set()
    for column in settings.columns:
        if column not in valid:
            near = difflib.get_close_matches(column, valid, n=1)
            raise ConfigError(
                f"sources.{name}.columns.{column}: {settings.table} has no such column" + (f"; did you mean {near[0]}?" if near else "")
            )
    if missing := needed - set(settings.columns):
        raise ConfigError(f"sources.{name}.columns: {', '.join(sorted(missing))} must be given for {settings.table}")
    return target


def _parts(
    name: str,
    target: Contract,
    file: InputFile,
    path: Path,
    settings: TableSettings,
    config: Settings,
    connection: duckdb.DuckDBPyConnection,
) -> Iterator[Part]:
    table = open_table(connection, file, path, settings)
    constants = _groups(file, settings)
    wide = points.wide_columns(settings, list(table.names or table.types), file.origin) if target.full_name == points.POINTS else []
    wanted = points.wanted(settings, wide) if target.full_name == points.POINTS else events.wanted(target, settings)
    joins = _lookups(connection, file, settings, config, constants)
    mapped = map_columns(connection, file.origin, table, wanted, constants=constants, joins=joins, where=settings.where)
    if target.full_name == points.POINTS:
        yield from points.parts(connection, name, mapped, settings, wide, file.size - file.start)
    else:
        yield from events.parts(connection, target, file, mapped, settings)


def _groups(file: InputFile, settings: TableSettings) -> dict[str, str]:
    """Named groups of filename_pattern in the file's path."""
    if not settings.filename_pattern:
        return {}
    match = re.search(settings.filename_pattern, file.origin)
    if match is None:
        raise SourceError(f"{file.origin}: filename_pattern {settings.filename_pattern!r} does not fit; correct it, or narrow `path`")
    return {name: text or "" for name, text in match.groupdict().items()}


def _lookups(
    connection: duckdb.DuckDBPyConnection, file: InputFile, settings: TableSettings, config: Settings, constants: dict[str, str]
) -> str:
    """LEFT JOINs of the lookups, one row per key. Raises SourceError for a lookup that cannot be read."""
    joins = ""
    for name, lookup in settings.lookups.items():
        if any(".." in text for text in constants.values()):
            raise SourceError(f"{file.origin}: its path gives `..` to the lookup {name}")
        place = literal(config.resolve_input(lookup.path.format_map(constants)))
        reader = f"read_parquet({place})" if lookup.path.endswith(".parquet") else f"read_csv({place}, all_varchar = true)"
        if ".ndjson" in lookup.path or ".jsonl" in lookup.path:
            reader = f"read_ndjson({place})"
        table = identifier(f"lookup {name}")
        key = identifier(lookup.key)
        try:
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT DISTINCT ON ({key}) * RENAME ({key} AS lookup_key) FROM {reader}"
            )
        except duckdb.Error as error:
            raise SourceError(f"{file.origin}: lookup {name} cannot be read: {str(error).splitlines()[0]}") from None
        on = identifier(lookup.on or lookup.key)
        joins += f" LEFT JOIN {table} AS {identifier(name)} ON CAST({identifier(name)}.lookup_key AS VARCHAR) = CAST(t.{on} AS VARCHAR)"
    return joins
