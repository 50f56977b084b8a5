"""The column mapping: expressions of the configuration over a file's columns, converted to a contract's types, with reasons why not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import duckdb

from sources.table.reading import TableFile
from sources.times import INTEGERS, TimeFormat, detect, is_time
from warehouse.errors import SourceError
from warehouse.lake.connection import identifier, literal
from warehouse.settings.sources import TableSettings

NUMERIC = ("DOUBLE", "FLOAT", "DECIMAL", "BOOLEAN", *INTEGERS)
PLAIN = re.compile(r"[\w .()%/|:-]+")
EXACT = 2**53
FIRST, LAST = "1970-01-01", "2262-01-01"
FIRST_NS, LAST_NS = 0, 9214646400 * 10**9
SAMPLED_TIMES = 1000
SHOWN_COLUMNS = 40


@dataclass(frozen=True, slots=True)
class Mapped:
    """Expressions of a mapping over a FROM item.

    base: FROM item of the fast reading, numbered: of the slow one (with `__ordinal`, `__text`, `__problem`). expressions: SQL per name.
    types: DuckDB type per name."""

    file: str
    table: TableFile
    joins: str
    constants: Mapping[str, str]
    where: str | None
    expressions: Mapping[str, str]
    types: Mapping[str, str]

    def select(self, *, numbered: bool = False) -> str:
        """A query whose columns are `r_NAME` of each expression; `numbered` adds ordinal, text and problem."""
        fields = ", ".join(f"{e} AS {identifier('r_' + n)}" for n, e in self.expressions.items())
        extra = ""
        if numbered:
            record = ", ".join(f"{literal(c)}: t.{identifier(c)}" for c in self.table.types)
            extra = f', "__ordinal", "__text", "__problem", to_json({{{record}}})::VARCHAR AS "__json"'
        base = self.table.numbered() if numbered else self.table.source
        empty = ""
        if self.table.empty_is_damage:
            empty = f', coalesce({", ".join(f"t.{identifier(c)}" for c in self.table.types)}) IS NULL AS "__empty"'
        return f"SELECT {fields}{extra}{empty} FROM {self._from(base)}"

    def select_glance(self) -> str:
        """The columns of `select` of good rows, for a look at some of them."""
        fields = ", ".join(f"{e} AS {identifier('r_' + n)}" for n, e in self.expressions.items())
        return f"SELECT {fields} FROM {self._from(self.table.glance or self.table.source)}"

    def select_numbers(self, name: str) -> str | None:
        """The query of `select` with the expression `name` read as DOUBLE, which is faster; None where the file cannot, or where its
        column serves for more than that. What is no number, and a record that could not be read, is NULL."""
        columns = [c for c in self.table.types if self.expressions[name] == f"t.{identifier(c)}"]
        others = " ".join([*(e for n, e in self.expressions.items() if n != name), self.joins, self.where or ""])
        if self.table.numbers is None or not columns or columns[0] in others:
            return None
        fields = ", ".join(f"{e} AS {identifier('r_' + n)}" for n, e in self.expressions.items())
        return f"SELECT {fields} FROM {self._from(self.table.numbers(columns[0]))}"

    def _from(self, base: str) -> str:
        constants = "".join(f", {literal(v)} AS {identifier(n)}" for n, v in self.constants.items())
        where = f" WHERE {self.where}" if self.where else ""
        return f"(SELECT *{constants} FROM {base}) AS t{self.joins}{where}"


def map_columns(
    connection: duckdb.DuckDBPyConnection,
    origin: str,
    table: TableFile,
    wanted: Mapping[str, str],
    *,
    constants: Mapping[str, str],
    joins: str,
    where: str | None,
) -> Mapped:
    """Resolve the mapping `name -> column or expression` against a file.

    Raises SourceError that names the column or expression that does not fit, the file's columns and the nearest of them."""
    names = {**{name: name for name in (*table.types, *constants)}, **table.names}
    columns = [*(table.names or table.types), *constants]
    clash = set(table.types) & set(constants)
    if clash:
        raise SourceError(f"{origin}: filename_pattern names {sorted(clash)[0]}, which is a column of the file; rename the group")
    expressions = {name: "t." + identifier(names[text]) if text in names else f"({text})" for name, text in wanted.items()}
    mapped = Mapped(origin, table, joins, constants, where, expressions, {})
    try:
        described = connection.execute(f"DESCRIBE {mapped.select()}").fetchall()
    except duckdb.Error as error:
        raise SourceError(_explain(connection, mapped, wanted, columns, error)) from None
    types = {str(r[0])[2:]: str(r[1]) for r in described}
    asked = " ".join([*expressions.values(), joins, where or ""])
    if table.some_columns is not None and any(identifier(c) not in asked for c in table.types):
        table = replace(table, source=table.some_columns())
    return Mapped(origin, table, joins, constants, where, expressions, types)


def _explain(connection: duckdb.DuckDBPyConnection, mapped: Mapped, wanted: Mapping[str, str], columns: list[str], error: Exception) -> str:
    """Which expression of the mapping is at fault, and what the file has instead."""
    for name, text in wanted.items():
        one = Mapped(mapped.file, mapped.table, mapped.joins, mapped.constants, None, {name: mapped.expressions[name]}, {})
        try:
            connection.execute(f"DESCRIBE {one.select()}")
        except duckdb.Error as found:
            has = ", ".join(columns[:SHOWN_COLUMNS]) + (", ..." if len(columns) > SHOWN_COLUMNS else "")
            missing = re.search(r'column "([^"]+)" not found', str(found))
            looked = missing.group(1) if missing else text
            near = difflib.get_close_matches(looked, columns, n=1, cutoff=0.5)
            if missing or (PLAIN.fullmatch(text) and text not in columns):
                return f"{mapped.file}: there is no column {looked!r} for {name}; the file has {has}" + (
                    f"; did you mean {near[0]!r}?" if near else ""
                )
            return f"{mapped.file}: `{text}` for {name} is no valid expression ({_first(found)}); the file has {has}"
    return f"{mapped.file}: `where` does not fit the file's columns: {_first(error)}"


def _first(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


@dataclass(frozen=True, slots=True)
class Converted:
    """An expression on its way to a column: SQL over the `r_` columns, which becomes the column `c_NAME`.

    fine: a cheap condition (over `c_` and `r_` columns) that proves the value good. rejects: (condition, reason) pairs under which the
    row is rejected, in order; they are looked at only where `fine` is not TRUE."""

    sql: str
    fine: str = "TRUE"
    rejects: tuple[tuple[str, str], ...] = ()


def convert(name: str, raw_type: str, target: str, times: TimeFormat, *, required: bool, booleans: bool = False) -> Converted:
    """How the mapped expression `name` becomes a value of type `target`, a DuckDB type or `nanoseconds` (a time as BIGINT).

    booleans: whether the texts `true` and `false` are the numbers 1 and 0.
    Raises ValueError for a type that cannot become one (a list for a number)."""
    raw, done = identifier("r_" + name), identifier("c_" + name)
    absent = ((f"{raw} IS NULL", f"{name}_missing"),) if required else ()
    optional = "" if required else f"{raw} IS NULL OR "
    if target in ("TIMESTAMP", "nanoseconds"):
        if not (is_time(raw_type) or raw_type.split("(")[0] in ("VARCHAR", "JSON", *NUMERIC)):
            raise ValueError(f"{name} needs a time, and the file has {raw_type}")
        nano = target == "nanoseconds"
        sql = times.nanoseconds(raw, raw_type) if nano else times.timestamp(raw, raw_type)
        low, high = (str(FIRST_NS), str(LAST_NS)) if nano else (f"TIMESTAMP '{FIRST}'", f"TIMESTAMP '{LAST}'")
        inside = f"{done} >= {low} AND {done} < {high}"
        wrong = (f"{done} IS NULL AND {raw} IS NOT NULL", f"{name}_not_a_time"), (f"NOT ({inside})", f"{name}_out_of_range")
        return Converted(sql, f"{optional}({inside})", (*absent, *wrong))
    if target == "VARCHAR":
        text = raw if raw_type == "VARCHAR" else f"CAST({raw} AS VARCHAR)"
        nul = ((f"contains({raw}, chr(0))", f"{name}_has_nul_character"),) if raw_type == "VARCHAR" else ()
        clean = f"NOT contains({raw}, chr(0))" if raw_type == "VARCHAR" else f"{raw} IS NOT NULL"
        return Converted(text, f"{optional}{clean}", (*absent, *nul))
    if target in (*INTEGERS, "DOUBLE", "BOOLEAN") or target.startswith("DECIMAL"):
        if raw_type.split("(")[0] not in ("VARCHAR", "JSON", *NUMERIC):
            raise ValueError(f"{name} needs a {target}, and the file has {raw_type}")
        return _number(name, raw_type, target, absent, optional, booleans)
    return Converted(raw, f"{raw} IS NOT NULL" if required else "TRUE", absent)


def _number(name: str, raw_type: str, target: str, absent: tuple[tuple[str, str], ...], optional: str, booleans: bool) -> Converted:
    raw, done = identifier("r_" + name), identifier("c_" + name)
    text = f"CASE {raw} WHEN 'true' THEN '1' WHEN 'false' THEN '0' ELSE {raw} END" if booleans and raw_type == "VARCHAR" else raw
    sql = raw if raw_type == target else f"TRY_CAST({text} AS {target})"
    kind = "a_boolean" if target == "BOOLEAN" else "a_number"
    wrong = [*absent, (f"{done} IS NULL AND {raw} IS NOT NULL", f"{name}_not_{kind}")]
    fine = f"{done} IS NOT NULL"
    if target == "DOUBLE":
        fine = f"abs({done}) < {EXACT}"
        wrong.append((f"NOT isfinite({done})", f"{name}_not_finite"))
        if raw_type == "VARCHAR" or raw_type in INTEGERS:
            text = f"NOT contains(lower({raw}), 'e') AND NOT contains({raw}, '.') AND " if raw_type == "VARCHAR" else ""
            exact = f"{text}TRY_CAST({raw} AS HUGEINT) IS DISTINCT FROM TRY_CAST({done} AS HUGEINT)"
            wrong.append((f"abs({done}) >= {EXACT} AND {exact}", f"{name}_beyond_2_53_not_exact"))
    elif target in INTEGERS and raw_type not in INTEGERS:
        whole = f"TRY_CAST({raw} AS DOUBLE) = round(TRY_CAST({raw} AS DOUBLE))"
        fine = f"{done} IS NOT NULL AND {whole}"
        wrong.append((f"{raw} IS NOT NULL AND NOT ({whole})", f"{name}_not_whole"))
    return Converted(sql, f"{optional}{fine}", tuple(wrong))


def clean_labels(labels: Mapping[str, str], types: Mapping[str, str]) -> dict[str, Converted]:
    """Checks of labels, which must not hold a NUL character (no text store keeps it); by the name `label NAME`."""
    found = {}
    for name in labels:
        raw = identifier(f"r_label {name}")
        if types[f"label {name}"] == "VARCHAR":
            nul = f"contains({raw}, chr(0))"
            found[f"label {name}"] = Converted("NULL", f"{raw} IS NULL OR NOT {nul}", ((nul, f"label_{name}_has_nul_character"),))
    return found


def time_format(connection: duckdb.DuckDBPyConnection, mapped: Mapped, name: str, settings: TableSettings) -> TimeFormat:
    """How the times of a mapped expression are written; `auto` looks at the first thousand."""
    if settings.time_format != "auto":
        return TimeFormat(settings.time_format, settings.time_zone)
    if mapped.types[name].startswith("TIMESTAMP") or mapped.types[name] == "DATE":
        return TimeFormat("text", settings.time_zone)
    column = identifier("r_" + name)
    sample = f"SELECT CAST({column} AS VARCHAR) FROM ({mapped.select_glance()}) WHERE {column} IS NOT NULL LIMIT {SAMPLED_TIMES}"
    return TimeFormat(detect([str(r[0]) for r in connection.execute(sample).fetchall()]), settings.time_zone)
