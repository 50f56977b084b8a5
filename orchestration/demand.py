"""What drives the use of resources: requests of their service, and days that come again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from orchestration.calendars import country_of
from orchestration.capacity import limited

if TYPE_CHECKING:
    from orchestration.history import History

YEARS_BACK_DAYS = 800
"""Two years and a few weeks around the first peak."""


def find_demand_drivers(history: History) -> dict[str, pl.DataFrame]:
    """How the hourly use of each resource answers to the requests of its service."""
    from models.capacity import demand_drivers

    about = limited(history).select("resource_id", "service", "resource_kind")
    usage = history.frame("resource_usage").join(about.select("resource_id"), on="resource_id", how="semi")
    demand = about.select("resource_id", "service").join(history.frame("service_demand"), on="service", how="inner")
    found = demand_drivers(
        usage.select("resource_id", "time", pl.col("used_mean").alias("value")), demand.select("resource_id", "driver", "time", "value")
    )
    known = found.filter(pl.col("driver").is_not_null()).join(about, on="resource_id", how="left")
    return {"mart.demand_drivers": history.dated(known)}


def find_seasonal_peaks(history: History) -> dict[str, pl.DataFrame]:
    """Days of resources with a limit that stand out every year, month or holiday, from all that the lake holds of them."""
    from models.capacity import seasonal_peaks

    limits = limited(history).select("resource_id")
    days = history.frame("resource_daily", days=YEARS_BACK_DAYS).join(limits, on="resource_id", how="semi")
    about = days.select("resource_id", "service", "resource_kind", "unit").unique("resource_id", maintain_order=True)
    countries = [country_of(service, history.settings) for service in about["service"]]
    found = []
    for country in dict.fromkeys(countries):
        same = about.filter(pl.Series([c == country for c in countries])).select("resource_id")
        part = days.join(same, on="resource_id", how="semi")
        found.append(seasonal_peaks(part.select("resource_id", "time", "value"), country=country))
    schema = {"resource_id": pl.String, "occasion": pl.String}
    peaks = pl.concat(found, how="vertical_relaxed") if found else pl.DataFrame(schema=schema)
    known = peaks.filter(pl.col("occasion").is_not_null()).join(about, on="resource_id", how="left")
    return {"mart.seasonal_peaks": history.dated(known)}
