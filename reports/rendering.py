"""Which reports there are, and one call that writes one of them in the formats asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from reports import capacity, executive, tabular, trends, web, workbook, writing
from reports.page import Report
from warehouse.errors import LakebedError

if TYPE_CHECKING:
    import duckdb


class ReportError(LakebedError):
    """A report cannot be made: no such report, no such format."""


class Builder(Protocol):
    """Makes a report from what the marts hold."""

    def __call__(self, connection: duckdb.DuckDBPyConnection, *, made_at: datetime) -> Report: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """One report: which questions it answers, and what makes it."""

    answers: str
    build: Builder


REPORTS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "executive": Kind(executive.ANSWERS, executive.build),
        "capacity": Kind(capacity.ANSWERS, capacity.build),
        "trends": Kind(trends.ANSWERS, trends.build),
    }
)
"""Every report by its name; the first is the one to begin with."""


def _paper(report: Report, out_dir: Path) -> list[Path]:
    """The PDF; what sets it is loaded where one is wanted."""
    from reports import paper

    return paper.write(report, out_dir)


_WRITERS: Final[Mapping[str, Callable[[Report, Path], list[Path]]]] = MappingProxyType(
    {
        "html": web.write,
        "pdf": _paper,
        "xlsx": workbook.write,
        "md": writing.write,
        "csv": tabular.write_csv,
        "parquet": tabular.write_parquet,
    }
)
FORMATS: Final = tuple(_WRITERS)


def render(name: str, connection: duckdb.DuckDBPyConnection, out_dir: Path, formats: Sequence[str]) -> list[Path]:
    """Writes a report and returns the paths, in the order of `formats`.

    name: a key of `REPORTS`. connection: DuckDB with the schemas mart, core and meta in its search path; it is only
    read. out_dir is made where it is missing; files of the same name are replaced whole. formats: of `FORMATS`.
    `html`, `pdf`, `xlsx` and `md` are one file `<name>.<format>`; `csv` and `parquet` are a folder `<name>-<format>` with a file of
    findings and one for each table. A mart without rows, or one that is not there yet, is a sentence in the report.
    Raises ReportError for an unknown name or format, before anything is written.
    """
    if name not in REPORTS:
        raise ReportError(f"there is no report {name!r}; choose one of: {', '.join(REPORTS)}")
    if unknown := [wanted for wanted in formats if wanted not in _WRITERS]:
        raise ReportError(f"no report can be written as {', '.join(unknown)}; choose of: {', '.join(FORMATS)}")
    report = REPORTS[name].build(connection, made_at=datetime.now(UTC).replace(tzinfo=None))
    out_dir.mkdir(parents=True, exist_ok=True)
    return [path for wanted in dict.fromkeys(formats) for path in _WRITERS[wanted](report, out_dir)]
