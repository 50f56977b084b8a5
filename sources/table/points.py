"""Metric tables, long (a name column and a value column) and wide (a column per metric), to series and samples.

The file is parsed once, into a table of samples on the scratch connection that spills to disk; ids are made per series, not per row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import duckdb

from sources.table.events import label_map
from sources.table.landing import checked, counted, prepare, rejects
from sources.table.mapping import EXACT, Converted, Mapped, clean_labels, convert, time_format
from sources.times import INTEGERS, TimeFormat
from sources.ucum import base_unit
from warehouse.errors import SourceError
from warehouse.lake.connection import identifier, literal
from warehouse.lake.unit import Part
from warehouse.settings.sources import MetricColumn, TableSettings

NAMES = ("time", "value", "metric_name", "kind", "unit", "description")
NAMED = Converted("NULL", "r_metric_name <> ''", (("coalesce(r_metric_name, '') = ''", "metric_name_missing"),))
SERIES, POINTS = "raw.metric_series", "raw.metric_points"
LARGE = 8 << 20
LOOK_AHEAD = 20_000


@dataclass(frozen=True, slots=True)
class WideColumn:
    """A value column of a wide table: the metric it holds and its labels."""

    column: str
    metric: str
    labels: dict[str, str]
    about: MetricColumn


def wide_columns(settings: TableSettings, columns: list[str], origin: str) -> list[WideColumn]:
    """The value columns of a wide table, configured ones first, then those that `metric_columns` finds.

    Raises SourceError when `metric_columns` finds none."""
    about = {name: MetricColumn(column=m) if isinstance(m, str) else m for name, m in settings.metrics.items()}
    found = [WideColumn(m.column, name, m.labels, m) for name, m in about.items() if m.column is not None]
    if settings.metric_columns:
        taken = {w.column for w in found} | set(settings.columns.values()) | set(settings.labels.values())
        pattern = re.compile(settings.metric_columns)
        matches = [(c, pattern.fullmatch(c)) for c in columns if c not in taken]
        for column, match in matches:
            if match:
                groups = {k: v for k, v in match.groupdict().items() if v}
                metric = groups.pop("metric", "") or column
                known = about.get(metric, MetricColumn())
                found.append(WideColumn(column, metric, {**known.labels, **groups}, known))
        if not any(match for _, match in matches):
            raise SourceError(f"{origin}: metric_columns fits none of the file's columns ({', '.join(columns[:40])})")
    return found


def wanted(settings: TableSettings, wide: list[WideColumn]) -> dict[str, str]:
    """Names and expressions to be read."""
    return {
        **settings.columns,
        **{f"label {name}": text for name, text in settings.labels.items()},
        **{f"wide {i}": column.column for i, column in enumerate(wide)},
    }


def parts(
    connection: duckdb.DuckDBPyConnection, source: str, mapped: Mapped, settings: TableSettings, wide: list[WideColumn], size: int
) -> Iterator[Part]:
    """Series, samples and rejects of a file of `size` bytes."""
    prepare(connection)
    labels = [identifier(f"r_label {name}") for name in settings.labels]
    about = [identifier(f"r_{name}") for name in ("kind", "unit", "description") if name in settings.columns]
    value_type = _value_type(mapped, wide) if wide else mapped.types["value"]
    measured = {
        "time": _convert(connection, mapped, settings, "time", "TIMESTAMP", mapped.types["time"]),
        "value": _convert(connection, mapped, settings, "value", "DOUBLE", value_type),
    }
    named = {**({} if wide else {"metric_name": NAMED}), **clean_labels(settings.labels, mapped.types)}
    columns = {**measured, **named}
    key = ", ".join(["r_metric_name", *labels, *about])
    cells = _cells(mapped.select(), mapped.table.empty_is_damage, wide, value_type)
    numbers = None if wide else mapped.select_numbers("value")
    glance = _cells(mapped.select_glance(), False, wide, value_type)
    if size < LARGE or not _hold_plain(connection, numbers or cells, glance, numbers is not None, measured, named, key):
        _hold_samples(connection, checked(cells, columns, empty_is_damage=mapped.table.empty_is_damage), key)
    _make_series(connection, source, mapped, settings, wide)
    yield Part(SERIES, connection.sql("SELECT * EXCLUDE (h) FROM table_series"))
    samples = "SELECT s.series_id, p.time, p.value * s.unit_scale AS value FROM table_samples AS p JOIN table_keys AS s USING (h)"
    yield Part(POINTS, connection.sql(samples), held=True)
    numbered = None
    if counted(connection):
        numbered = _cells(mapped.select(numbered=True), mapped.table.empty_is_damage, wide, value_type)
    yield from rejects(connection, POINTS, mapped, numbered, columns)


def _convert(
    connection: duckdb.DuckDBPyConnection, mapped: Mapped, settings: TableSettings, name: str, target: str, raw_type: str
) -> Converted:
    times = time_format(connection, mapped, name, settings) if target == "TIMESTAMP" else TimeFormat()
    try:
        return convert(name, raw_type, target, times, required=True, booleans=mapped.table.numbers is not None)
    except ValueError as error:
        has = ", ".join(f"{n} {t}" for n, t in list(mapped.table.types.items())[:60])
        raise SourceError(f"{mapped.file}: {error}; the file has {has}") from None


def _value_type(mapped: Mapped, wide: list[WideColumn]) -> str:
    """One type for the cells of all value columns: their own if they share it, DOUBLE for small numbers, else text."""
    types = {mapped.types[f"wide {i}"] for i in range(len(wide))}
    if len(types) == 1:
        return types.pop()
    small = {"FLOAT", "DOUBLE", *INTEGERS} - {"BIGINT", "UBIGINT", "HUGEINT"}
    return "DOUBLE" if types <= small else "VARCHAR"


def _cells(rows: str, empty_is_damage: bool, wide: list[WideColumn], value_type: str) -> str:
    """Long rows as they are; of wide ones each cell that has a value as a row, with the number of its column as the name."""
    if not wide:
        return rows
    cells = ", ".join(f"{{'i': {i}, 'v': CAST({identifier(f'r_wide {i}')} AS {value_type})}}" for i in range(len(wide)))
    others = ", ".join(identifier(f"r_wide {i}") for i in range(len(wide)))
    kept = 'cell.v IS NOT NULL OR ("__empty" AND cell.i = 0)' if empty_is_damage else "cell.v IS NOT NULL"
    return f"""SELECT * EXCLUDE (cell), CAST(cell.i AS VARCHAR) AS r_metric_name, cell.v AS r_value
               FROM (SELECT * EXCLUDE ({others}), unnest([{cells}]) AS cell FROM ({rows})) WHERE {kept}"""


def _hold_plain(
    connection: duckdb.DuckDBPyConnection,
    rows: str,
    glance: str,
    as_numbers: bool,
    measured: Mapping[str, Converted],
    named: Mapping[str, Converted],
    key: str,
) -> bool:
    """As `_hold_samples` where every record is plainly good: names and labels are looked at once for each series, and values may have
    been read `as_numbers`. False as soon as one is in doubt, and nothing is held: then each is looked at by its text.

    To keep the texts of `key` beside each sample takes a fifth of the time, so this is for files where the samples of many series come in
    turn: a look at the beginning finds the series, and the file is read again only for those that appear later."""
    if not _look_ahead(connection, glance, key):
        return False
    plain = {**measured, "value": Converted("r_value", f"abs(c_value) < {EXACT}")} if as_numbers else measured
    sure = {name: Converted(c.sql, c.fine, (("TRUE", "in_doubt"),)) for name, c in plain.items()}
    _hold_samples(connection, checked(rows, sure, empty_is_damage=False), key, glance)
    doubts = " OR ".join(f"({condition})" for c in named.values() for condition, _ in c.rejects) or "FALSE"
    if counted(connection) or connection.execute(f"SELECT 1 FROM table_found WHERE {doubts} LIMIT 1").fetchone():
        prepare(connection)
        return False
    return True


def _hold_samples(connection: duckdb.DuckDBPyConnection, rows: str, key: str, glance: str | None = None) -> None:
    """Temporary tables: table_samples (h, time, value), where h is the hash of what makes a series, and table_found (h, `key`, first_seen,
    last_seen), a row for each series.

    glance: where the texts of series are read that table_ahead does not have; without it they are kept beside the samples."""
    texts = "" if glance else f"{key}, "
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE table_samples AS SELECT hash({key}) AS h, {texts}c_time AS time, c_value AS value FROM ({rows})"
    )
    seen = f"SELECT h, {texts}min(time) AS first_seen, max(time) AS last_seen FROM table_samples GROUP BY h{', ' + key if texts else ''}"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE table_found AS {seen}")
    if glance:
        later = "SELECT h FROM table_found ANTI JOIN table_ahead USING (h)"
        if connection.execute(f"{later} LIMIT 1").fetchone():
            hashed = f"SELECT hash({key}) AS h, {key} FROM ({glance})"
            connection.execute(f"INSERT INTO table_ahead SELECT DISTINCT h, {key} FROM ({hashed}) SEMI JOIN ({later}) USING (h)")
        both = f"SELECT h, {key}, first_seen, last_seen FROM table_found JOIN table_ahead USING (h)"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE table_found AS {both}")


def _look_ahead(connection: duckdb.DuckDBPyConnection, glance: str, key: str) -> bool:
    """Whether the samples at the beginning of a file come in turn; table_ahead (h, `key`) then has their series."""
    connection.execute("SET preserve_insertion_order = true")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE table_ahead AS SELECT hash({key}) AS h, {key} FROM ({glance}) LIMIT {LOOK_AHEAD}")
    turns = connection.execute(
        "SELECT count(*) FILTER (h <> before) FROM (SELECT h, lag(h) OVER (ORDER BY rowid) AS before FROM table_ahead)"
    ).fetchone()
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("CREATE OR REPLACE TEMP TABLE table_ahead AS SELECT DISTINCT * FROM table_ahead")
    return turns is not None and int(turns[0]) * 2 > LOOK_AHEAD


def _make_series(
    connection: duckdb.DuckDBPyConnection, source: str, mapped: Mapped, settings: TableSettings, wide: list[WideColumn]
) -> None:
    """Temporary tables: table_series (rows of raw.metric_series and h) and table_keys (h -> series_id, unit_scale)."""
    _define_metrics(connection, settings, wide)
    given = {name: identifier(f"r_{name}") if name in settings.columns else "NULL::VARCHAR" for name in ("kind", "unit", "description")}
    labels = label_map({n: identifier(f"r_label {n}") for n in settings.labels})
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE table_groups AS
            SELECT g.*, coalesce(d.metric_name, g.r_metric_name) AS metric_name,
                   map_concat({labels}, coalesce(d.labels, MAP {{}}::MAP(VARCHAR, VARCHAR))) AS labels,
                   lower(coalesce({given["kind"]}, d.kind, 'gauge')) AS kind, coalesce({given["unit"]}, d.unit) AS original_unit,
                   coalesce({given["description"]}, d.description) AS description
            FROM table_found AS g LEFT JOIN table_metrics AS d ON d.m = g.r_metric_name"""
    )
    _define_units(connection)
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE table_series AS
            SELECT h, series_id({literal(source)}, metric_name, labels) AS series_id, metric_name, labels, kind,
                   CASE WHEN kind = 'counter' THEN 'cumulative' END AS temporality, kind = 'counter' AS is_monotonic,
                   u.unit, g.original_unit, coalesce(u.unit_scale, 1.0) AS unit_scale, description, first_seen, last_seen
            FROM table_groups AS g LEFT JOIN table_units AS u ON u.original_unit = g.original_unit"""
    )
    connection.execute("CREATE OR REPLACE TEMP TABLE table_keys AS SELECT h, series_id, unit_scale FROM table_series")
    row = connection.execute("SELECT count(*) - count(DISTINCT h) FROM table_keys").fetchone()
    if row and row[0]:
        raise SourceError(f"{mapped.file}: two series share a 64-bit hash; split the file")
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE table_series AS
           SELECT any_value(h) AS h, series_id, any_value(metric_name) AS metric_name, any_value(labels) AS labels, min(kind) AS kind,
                  min(temporality) AS temporality, bool_and(is_monotonic) AS is_monotonic, min(unit) AS unit,
                  min(original_unit) AS original_unit, min(unit_scale) AS unit_scale, min(description) AS description,
                  min(first_seen) AS first_seen, max(last_seen) AS last_seen
           FROM table_series GROUP BY series_id"""
    )


def _define_metrics(connection: duckdb.DuckDBPyConnection, settings: TableSettings, wide: list[WideColumn]) -> None:
    """table_metrics: what the configuration says of a metric, by its name, or of a wide column, by its number."""
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE table_metrics
           (m VARCHAR, metric_name VARCHAR, labels MAP(VARCHAR, VARCHAR), kind VARCHAR, unit VARCHAR, description VARCHAR)"""
    )
    rows = [(str(i), w.metric, w.labels, w.about) for i, w in enumerate(wide)]
    if not wide:
        rows = [(n, n, m.labels, m) for n, m in settings.metrics.items() if isinstance(m, MetricColumn)]
    found = [
        {"m": m, "name": name, "keys": list(labels), "texts": list(labels.values()), "about": [about.kind, about.unit, about.description]}
        for m, name, labels, about in rows
    ]
    connection.execute(
        """INSERT INTO table_metrics
           SELECT r.m, r.name, map_from_entries(list_zip(r.keys, r.texts)), r.about[1], r.about[2], r.about[3]
           FROM (SELECT unnest(from_json($found::JSON, '[{"m": "VARCHAR", "name": "VARCHAR", "keys": ["VARCHAR"],
                                                          "texts": ["VARCHAR"], "about": ["VARCHAR"]}]')) AS r)""",
        {"found": json.dumps(found)},
    )


def _define_units(connection: duckdb.DuckDBPyConnection) -> None:
    """table_units: base unit and scale of every unit text that occurs."""
    connection.execute("CREATE OR REPLACE TEMP TABLE table_units (original_unit VARCHAR, unit VARCHAR, unit_scale DOUBLE)")
    for (unit,) in connection.execute("SELECT DISTINCT original_unit FROM table_groups WHERE original_unit IS NOT NULL").fetchall():
        connection.execute("INSERT INTO table_units VALUES (?, ?, ?)", [unit, *base_unit(str(unit))])
