"""A report's findings and tables as CSV and Parquet, for those who reckon on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl

from reports.files import write_whole
from reports.page import Report

_FORMULA_STARTS: Final = r"^[\s\x00]*[=+\-@\t\r\n|%＝＋－＠]"


def write_csv(report: Report, out_dir: Path) -> list[Path]:
    """A folder of CSV files, UTF-8 with a byte order mark so that spreadsheets read it, text cells neutralised."""
    return _write(report, out_dir, "csv", lambda frame, path: neutral(frame).write_csv(path, include_bom=True))


def write_parquet(report: Report, out_dir: Path) -> list[Path]:
    """A folder of Parquet files with the values as they are."""
    return _write(report, out_dir, "parquet", lambda frame, path: frame.write_parquet(path, compression="zstd"))


def neutral(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with an apostrophe before every text that a spreadsheet would run as a formula.

    After OWASP, CSV Injection: text that begins, leading blanks aside, with = + - @, a tab or a line end, or with the
    full-width twins of the signs; also | and %, with which older spreadsheets start other programs. Numbers stay.
    """
    risky = pl.selectors.string()
    return frame.with_columns(pl.when(risky.str.contains(_FORMULA_STARTS)).then(pl.lit("'") + risky).otherwise(risky).name.keep())


def findings(report: Report) -> pl.DataFrame:
    """section, tone, finding, sql: every sentence of the report with the query that shows it."""
    rows: list[tuple[str, str, str, str | None]] = [("notice", n.tone, n.text, None) for n in report.notices]
    for section in report.sections:
        rows.append((section.key, section.tone, section.lead, None))
        rows += [(section.key, f.tone, f.text, report.queries.get(f.query)) for f in section.findings]
    columns = ("section", "tone", "finding", "sql")
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def _write(report: Report, out_dir: Path, extension: str, write: Callable[[pl.DataFrame, Path], object]) -> list[Path]:
    """Writes the findings and each table into the folder of the format."""
    folder = out_dir / f"{report.name}-{extension}"
    folder.mkdir(parents=True, exist_ok=True)
    frames = {"findings": findings(report)}
    frames |= {table.key: table.data for section in report.sections for table in section.tables}
    paths = []
    for key, frame in frames.items():
        paths.append(write_whole(folder / f"{key}.{extension}", lambda path, frame=frame: write(frame, path)))  # type: ignore[misc]
    return paths
