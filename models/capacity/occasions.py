"""Days with a name: public holidays of a country, the shopping days after Thanksgiving, and month ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from models.series import ANY_TYPE, ensure_columns

MONTH_END: Final = "Month end"
_DAY: Final = timedelta(days=1)


def occasions(first: date, last: date, country: str | None) -> dict[str, list[date]]:
    """Dates from `first` to the end of the year after `last`'s, by name, ascending.

    country: an ISO 3166 code, optionally with a subdivision (`US`, `US-CA`); None: the days known everywhere.
    Raises ValueError for a country that the package `holidays` does not know.
    """
    years = range(first.year, last.year + 2)
    named = [(day, name) for year in years for day, name in _everywhere(year)] + _public(years, country)
    found: dict[str, set[date]] = {}
    for day, name in named:
        if day >= first:
            found.setdefault(name, set()).add(day)
    return {name: sorted(days) for name, days in found.items()}


def given_occasions(holidays: pl.DataFrame | Sequence[date] | None) -> dict[Any, dict[str, list[date]]]:
    """By series (None: all) and name, from dates or a frame with date and optionally occasion and series_id."""
    if holidays is None:
        return {}
    if not isinstance(holidays, pl.DataFrame):
        holidays = pl.DataFrame({"date": pl.Series(list(holidays), dtype=pl.Date)})
    frame = ensure_columns(holidays, {"date": ANY_TYPE}).with_columns(pl.col("date").cast(pl.Date)).drop_nulls("date")
    missing = [pl.lit(value).alias(name) for name, value in (("occasion", "Holiday"), ("series_id", None)) if name not in frame.columns]
    found: dict[Any, dict[str, set[date]]] = {}
    for key, name, day in frame.with_columns(missing).select("series_id", "occasion", "date").iter_rows():
        found.setdefault(key, {}).setdefault(name or "Holiday", set()).add(day)
    return {key: {name: sorted(days) for name, days in parts.items()} for key, parts in found.items()}


def _everywhere(year: int) -> list[tuple[date, str]]:
    """The days after Thanksgiving (the fourth Thursday of November), and the ends of months."""
    first = date(year, 11, 1)
    thanksgiving = first + _DAY * ((3 - first.weekday()) % 7 + 21)
    named = [(thanksgiving + _DAY, "Black Friday"), (thanksgiving + 4 * _DAY, "Cyber Monday")]
    return named + [(date(year + month // 12, month % 12 + 1, 1) - _DAY, MONTH_END) for month in range(1, 13)]


def _public(years: Sequence[int], country: str | None) -> list[tuple[date, str]]:
    """Public holidays on their own day, in English where the package has it."""
    if country is None:
        return []
    from holidays import country_holidays

    code, _, part = country.upper().partition("-")
    try:
        found = country_holidays(code, subdiv=part or None, years=years, observed=False, language="en_US")
    except NotImplementedError as error:
        raise ValueError(f"country {country!r} is not known: {error}; give an ISO 3166 code such as US, DE or US-CA") from error
    return [(day, name) for day, names in found.items() for name in names.split("; ")]
