"""Opening a table file as an SQL FROM item: its columns, their types, and the lines that are no rows at all."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np

from sources.files import InputFile
from sources.streams import is_utf8
from sources.table.rejects import IntArray, csv_damage, csv_lines, damaged_lines, no_damage, register_lines
from warehouse.errors import SourceError
from warehouse.lake.connection import identifier, literal
from warehouse.settings.sources import TableSettings

SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json"}
DELIMITERS = ",;\t|"
MAX_DOCUMENT_BYTES = 256 << 20
MAX_LINE_BYTES = 32 << 20
SAMPLE_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file as a relation.

    source: FROM item with the file's columns. numbered: gives a slower FROM item of the same rows with `"__ordinal"` (ascending),
    `"__text"` and `"__problem"`. types: DuckDB type per column. damage: after all rows were read, fills `table_damages`.
    names: the file's names of columns to those in SQL, where letter case alone may not tell two apart.
    locate: lines of ordinals. empty_is_damage: a row without any value may be a record that could not be read.
    numbers: gives a faster FROM item with a column of text read as DOUBLE, NULL where it is none; a boolean counts as 1 or 0 then.
    glance: FROM item for a look at some columns or rows, which counts no damage. some_columns: gives the FROM item for a query that does
    not read every column."""

    source: str
    types: dict[str, str]
    numbered: Callable[[], str]
    damage: Callable[[], bool] = no_damage
    locate: Callable[[IntArray], IntArray] = lambda ordinals: ordinals
    empty_is_damage: bool = False
    names: dict[str, str] = field(default_factory=dict)
    numbers: Callable[[str], str] | None = None
    glance: str | None = None
    some_columns: Callable[[], str] | None = None


def format_of(file: InputFile, settings: TableSettings) -> str:
    """csv, parquet, ndjson or json, by the settings or the name. Raises SourceError for a suffix that says nothing."""
    if settings.format != "auto":
        return settings.format
    suffix = Path(re.sub(r"\.[0-9]+$", "", file.name)).suffix.lower()
    if suffix not in SUFFIXES:
        raise SourceError(
            f"{file.origin}: the suffix {suffix or '(none)'} names no table format; set `format` (csv, parquet, ndjson, json)"
        )
    return SUFFIXES[suffix]


def open_table(connection: duckdb.DuckDBPyConnection, file: InputFile, path: Path, settings: TableSettings) -> TableFile:
    """Open the plain file at `path`. Raises SourceError when it is not what its format says."""
    kind = format_of(file, settings)
    if kind == "csv":
        return _csv(connection, file, path, settings)
    if kind == "parquet":
        return _parquet(connection, file, path)
    return _ndjson(connection, file, path, settings) if kind == "ndjson" else _document(connection, file, path, settings)


def _csv(connection: duckdb.DuckDBPyConnection, file: InputFile, path: Path, settings: TableSettings) -> TableFile:
    delimiter, names = csv_header(file, path, settings)
    skip = 0 if file.start else settings.skip_lines + (settings.header_rows if not settings.column_names or settings.header_rows else 0)
    sql_names = _distinct(names)
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in sql_names)
    nulls = ", ".join(literal(text) for text in settings.null_values or ("",))
    plain = (
        f"read_csv({literal(str(path))}, auto_detect = false, header = false, skip = {skip}, columns = {{{columns}}}, "
        f"""delim = {literal(delimiter)}, quote = '"', escape = '"', nullstr = [{nulls}]"""
    )
    source = f"{plain}, store_rejects = true, rejects_limit = 0)"

    def some_columns() -> str:
        """DuckDB 1.5.5 fails on bad UTF-8 when it counts rejects and is asked for a part of the columns: then all are read first."""
        if is_utf8(path):
            return source
        connection.execute(f"CREATE OR REPLACE TEMP TABLE table_whole AS FROM {source}")
        return "table_whole"

    def damage() -> bool:
        return csv_damage(connection, file, path)

    def locate(ordinals: IntArray) -> IntArray:
        damaged = damaged_lines(connection) if damage() else ()
        return np.array(csv_lines(path, ordinals, skip=skip, first_line=file.first_line, damaged=damaged), np.int64)

    def numbered() -> str:
        connection.execute("SET preserve_insertion_order = true")
        ordered = source.removesuffix(")") + ", parallel = false)"
        return (
            f"""(SELECT *, row_number() OVER () AS "__ordinal", NULL::VARCHAR AS "__text", NULL::VARCHAR AS "__problem" FROM {ordered})"""
        )

    types = dict.fromkeys(sql_names, "VARCHAR")
    names_in_sql = dict(zip(names, sql_names, strict=True))
    glance = f"{plain}, ignore_errors = true)"
    return TableFile(source, types, numbered, damage, locate, names=names_in_sql, glance=glance, some_columns=some_columns)


def _distinct(names: list[str]) -> list[str]:
    """Names for SQL, which does not tell letter case apart: a later one gets a number."""
    taken: dict[str, int] = {}
    found = []
    for name in names:
        count = taken.get(name.lower(), 0)
        taken[name.lower()] = count + 1
        found.append(f"{name} ({count + 1})" if count else name)
    return found


def csv_header(file: InputFile, path: Path, settings: TableSettings) -> tuple[str, list[str]]:
    """Delimiter and column names, from the settings or the header lines (of the whole file, also when only its tail is read)."""
    if settings.column_names:
        return settings.delimiter or ",", list(settings.column_names)
    original = Path(file.location) if file.start else path
    try:
        with original.open("rb") as stream:
            lines = [stream.readline(1 << 20) for _ in range(settings.skip_lines + max(settings.header_rows, 1))][settings.skip_lines :]
        texts = [line.decode("utf-8-sig") for line in lines]
        delimiter = settings.delimiter or max(DELIMITERS, key=texts[0].count)
        rows = list(csv.reader(texts, delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{file.origin}: the header line is no CSV text ({error}); is `format` right?") from None
    if settings.header_rows == 0:
        return delimiter, [f"column{i}" for i in range(len(rows[0] if rows else ()))]
    if not rows or not rows[0]:
        raise SourceError(f"{file.origin}: is empty; a CSV file needs at least its header line")
    parts = zip(*(row + [""] * (len(rows[0]) - len(row)) for row in rows), strict=False)
    names = [settings.header_separator.join(p.strip() for p in column if p.strip()) or f"column{i}" for i, column in enumerate(parts)]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise SourceError(f"{file.origin}: the header has {', '.join(sorted(repeated)[:3])} twice; give `column_names`")
    return delimiter, names


def _parquet(connection: duckdb.DuckDBPyConnection, file: InputFile, path: Path) -> TableFile:
    source = f"read_parquet({literal(str(path))})"
    types = _described(connection, file, f"SELECT * FROM {source}", "is no whole Parquet file")

    def numbered() -> str:
        return f"""(SELECT *, file_row_number + 1 AS "__ordinal", NULL::VARCHAR AS "__text", NULL::VARCHAR AS "__problem" FROM {source})"""

    return TableFile(source, types, numbered)


def _ndjson(connection: duckdb.DuckDBPyConnection, file: InputFile, path: Path, settings: TableSettings) -> TableFile:
    keys = _keys(connection, file, path, settings)

    def typed(number: str | None = None) -> str:
        spec = ", ".join(f"{literal(key)}: '{'DOUBLE' if key == number else 'VARCHAR'}'" for key in keys)
        rows = f"read_ndjson({literal(str(path))}, columns = {{{spec}}}, ignore_errors = true, maximum_object_size = {MAX_LINE_BYTES})"
        if not settings.null_values:
            return rows
        plain = (identifier(k) if k == number else f"{_nulled(identifier(k), settings)} AS {identifier(k)}" for k in keys)
        return f"(SELECT {', '.join(plain)} FROM {rows})"

    fields = ", ".join(f"{_nulled(f'json_extract_string(json, {literal(_pointer(key))})', settings)} AS {identifier(key)}" for key in keys)

    def numbered() -> str:
        lines = register_lines(connection, file, path, MAX_LINE_BYTES)
        return f"""(SELECT {fields}, line AS "__ordinal", text AS "__text", problem AS "__problem" FROM (
            SELECT line, text, problem, CASE WHEN problem IS NULL THEN text END AS json FROM (
            SELECT line, text, CASE WHEN problem IS NOT NULL THEN problem WHEN NOT json_valid(text) THEN 'malformed_json'
                 WHEN json_type(text) <> 'OBJECT' THEN 'not_an_object' END AS problem
            FROM {lines} WHERE trim(text) <> '')))"""

    numbers = None if any(_is_number(text) for text in settings.null_values) else typed
    return TableFile(typed(), dict.fromkeys(keys, "VARCHAR"), numbered, empty_is_damage=True, numbers=numbers)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _nulled(expression: str, settings: TableSettings) -> str:
    """The expression with NULL for each of `null_values`."""
    for value in settings.null_values:
        expression = f"nullif({expression}, {literal(value)})"
    return expression


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _keys(connection: duckdb.DuckDBPyConnection, file: InputFile, path: Path, settings: TableSettings) -> list[str]:
    """Top-level keys: those of the first rows, and the plain names that the mapping asks for."""
    objects = f"read_ndjson_objects({literal(str(path))}, ignore_errors = true, maximum_object_size = {MAX_LINE_BYTES})"
    sample = f"""SELECT DISTINCT unnest(json_keys(json)) AS key FROM (SELECT json FROM {objects} LIMIT {SAMPLE_ROWS})
        WHERE json_type(json) = 'OBJECT' ORDER BY key"""
    try:
        found = [str(row[0]) for row in connection.execute(sample).fetchall()]
    except duckdb.Error as error:
        raise SourceError(f"{file.origin}: is no newline-delimited JSON: {_first(error)}") from None
    if path.stat().st_size and not found:
        raise SourceError(f"{file.origin}: none of its first {SAMPLE_ROWS} lines is a JSON object; is `format` right?")
    wanted = [*settings.columns.values(), *settings.labels.values()]
    return found or sorted({name for name in wanted if re.fullmatch(r"\w+", name)}) or ["empty"]


def _document(connection: duckdb.DuckDBPyConnection, file: InputFile, path: Path, settings: TableSettings) -> TableFile:
    """A JSON document of bounded size whose rows are at `array_path` (default: the elements of the top-level array)."""
    if path.stat().st_size > MAX_DOCUMENT_BYTES:
        raise SourceError(
            f"{file.origin}: a JSON document of over {MAX_DOCUMENT_BYTES >> 20} MiB cannot be read in parts; write it as NDJSON"
        )
    where = settings.array_path or "$[*]"
    rows = "json_extract($text::JSON, $where)"
    if "*" not in where:
        rows = f"CASE json_type({rows}) WHEN 'ARRAY' THEN from_json({rows}, '[\"JSON\"]') ELSE [{rows}] END"
    try:
        text = path.read_text(encoding="utf-8-sig")
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE table_document AS
                SELECT item, row_number() OVER () AS item_number FROM (SELECT unnest({rows}) AS item)""",
            {"text": text, "where": where},
        )
    except (duckdb.Error, UnicodeDecodeError) as error:
        raise SourceError(f"{file.origin}: is no JSON document with rows at {where}: {_first(error)}") from None
    keys = [
        str(r[0])
        for r in connection.execute(
            "SELECT DISTINCT unnest(json_keys(item)) AS k FROM table_document WHERE json_type(item) = 'OBJECT' ORDER BY k"
        ).fetchall()
    ]
    if not keys:
        raise SourceError(f"{file.origin}: holds no objects at {where}; set `array_path` to where the rows are")
    fields = ", ".join(f"{_nulled(f'json_extract_string(item, {literal(_pointer(k))})', settings)} AS {identifier(k)}" for k in keys)

    def numbered() -> str:
        return f"""(SELECT {fields}, item_number AS "__ordinal", item::VARCHAR AS "__text", NULL::VARCHAR AS "__problem"
                    FROM table_document)"""

    return TableFile(f"(SELECT {fields} FROM table_document)", dict.fromkeys(keys, "VARCHAR"), numbered)


def _described(connection: duckdb.DuckDBPyConnection, file: InputFile, query: str, wrong: str) -> dict[str, str]:
    try:
        return {str(r[0]): str(r[1]) for r in connection.execute(f"DESCRIBE {query}").fetchall()}
    except duckdb.Error as error:
        raise SourceError(f"{file.origin}: {wrong}: {_first(error)}; deliver it again") from None


def _first(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
