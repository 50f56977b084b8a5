"""Public holidays of those who use a service: `[models] holidays`, and `[[service_map]] holidays` where a service has its own."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from warehouse.settings import Settings

SCHEMA = {"date": pl.Date, "series_id": pl.String}


def country_of(service: str | None, settings: Settings) -> str | None:
    """ISO 3166 code of the country whose holidays a conformed service keeps: of the first rule that has one and gives this service, or
    keeps names and is found in this one; else the general one."""
    for rule in settings.service_map:
        fits = rule.service == service if rule.service is not None else re.search(rule.pattern, service or "")
        if rule.holidays is not None and fits:
            return rule.holidays
    return settings.models.holidays


def holidays_of(series: pl.DataFrame, settings: Settings, first: date, horizon_days: int) -> pl.DataFrame | None:
    """date, series_id of every holiday from the year of `first` to that of the last forecast; None where no country is configured.

    series: series_id, service."""
    import holidays

    years = range(first.year, (first + timedelta(days=horizon_days)).year + 1)
    days: dict[str, list[date]] = {}
    rows = []
    for series_id, service in series.select("series_id", "service").unique("series_id", maintain_order=True).iter_rows():
        country = country_of(service, settings)
        if country is not None:
            if country not in days:
                days[country] = sorted(holidays.country_holidays(country, years=years))
            rows += [(day, series_id) for day in days[country]]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row") if rows else None
