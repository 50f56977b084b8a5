"""SQL files as models: the header's facts, the one SELECT, and the tables that the query really reads.

A file is a YAML front matter between `---` lines inside a comment, followed by one SELECT with the parameters `$window_start` and
`$window_end` (midnights in UTC, half-open). Nothing here runs SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

from warehouse.errors import LakebedError

LAYERS = ("core", "mart")
PARAMETERS = ("window_start", "window_end")
OPENING, CLOSING = "/*\n---\n", "---\n*/\n"
KEYS = {"name", "description", "grain", "time_column", "inputs"}


class ModelError(LakebedError):
    """A SQL model's file does not have the form that it must have."""


@dataclass(frozen=True, slots=True)
class Model:
    """One SELECT that builds the days of a table, or the input frame of a statistical model.

    name: `schema.table` (`frames.<name>` for frames). sql: the query, to be run after `macros()`, with `PARAMETERS` bound.
    grain, time_column: as in the table's contract. inputs: tables that it reads. lookback: how many days before the window it
    reads of each input; lookback_days: the most of them."""

    name: str
    sql: str
    grain: tuple[str, ...]
    time_column: str
    inputs: tuple[str, ...]
    lookback: Mapping[str, int]
    description: str

    @property
    def lookback_days(self) -> int:
        """Days before the window that any input is read from."""
        return max(self.lookback.values(), default=0)


@cache
def load_models() -> Mapping[str, Model]:
    """Every model of the layers core and mart, by the name of the table that it builds, inputs before what reads them.

    Raises ModelError when a file's header is missing, incomplete or not about this file."""
    models = {model.name: model for layer in LAYERS for model in _load(layer)}
    ordered: dict[str, Model] = {}

    def place(model: Model, above: tuple[str, ...]) -> None:
        if model.name in above:
            raise ModelError(f"models read each other in a circle: {' -> '.join((*above, model.name))}")
        for name in model.inputs:
            if name in models and name not in ordered:
                place(models[name], (*above, model.name))
        ordered.setdefault(model.name, model)

    for model in models.values():
        place(model, ())
    return MappingProxyType(ordered)


@cache
def load_frames() -> Mapping[str, Model]:
    """The queries that build the inputs of statistical models, by their name without `frames.`.

    Their window is the history that the model is to see. Raises ModelError as `load_models` does."""
    return MappingProxyType({model.name.removeprefix("frames."): model for model in _load("frames")})


@cache
def macros() -> str:
    """DDL of the macros that the queries use, to be run once on a connection: temporary, and independent of any table."""
    return "\n".join(file.read_text(encoding="utf-8") for file in _files("macros"))


@cache
def table_macros() -> str:
    """DDL of the temporary table macros that people ask with, to be run after `macros()` on a connection that has the lake's tables."""
    return "\n".join(file.read_text(encoding="utf-8") for file in _files("windows"))


def parse(text: str, name: str) -> Model:
    """The model in the text of a file. Raises ModelError that says what is wrong with the header of `name`."""
    import yaml  # type: ignore[import-untyped,unused-ignore]

    head, closing, query = text.partition(CLOSING)
    if not closing or not head.startswith(OPENING):
        raise ModelError(f"{name}: the file must begin with a comment that holds front matter between two lines of ---")
    try:
        header: Any = yaml.safe_load(head.removeprefix(OPENING))
    except yaml.YAMLError as error:
        raise ModelError(f"{name}: the front matter is not valid YAML: {error}") from None
    if not isinstance(header, dict) or set(header) != KEYS:
        found = sorted(header) if isinstance(header, dict) else header
        raise ModelError(f"{name}: the front matter must have the keys {sorted(KEYS)}, and has {found}")
    if header["name"] != name:
        raise ModelError(f"{name}: the front matter calls it {header['name']!r}; a model is named after its folder and file")
    lookback = {str(table): int(days) for table, days in header["inputs"].items()}
    return Model(
        name=name,
        sql=query.strip() + "\n",
        grain=tuple(header["grain"]),
        time_column=header["time_column"],
        inputs=tuple(lookback),
        lookback=MappingProxyType(lookback),
        description=" ".join(header["description"].split()),
    )


def tables_read(sql: str) -> set[str]:
    """The tables `schema.table` that a query names; its own CTEs are not among them."""
    import sqlglot
    from sqlglot import exp

    return {f"{table.db}.{table.name}" for table in sqlglot.parse_one(sql, dialect="duckdb").find_all(exp.Table) if table.db}


def _load(folder: str) -> Iterator[Model]:
    for file in _files(folder):
        yield parse(file.read_text(encoding="utf-8"), f"{folder}.{file.name.removesuffix('.sql')}")


def _files(folder: str) -> list[Traversable]:
    """The .sql files of a folder of this package, in order of name."""
    found = [file for file in resources.files("transforms").joinpath(folder).iterdir() if file.name.endswith(".sql")]
    return sorted(found, key=lambda file: file.name)
