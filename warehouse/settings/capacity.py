"""What can run out, what it costs, when people are away, and what might happen: `[[capacity]]`, `[[price]]`, holidays, `[scenarios]`."""

from __future__ import annotations

import difflib
import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from warehouse.settings.section import Section

SCENARIO_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
GROWTH = "growth"


def _country(code: str) -> str:
    """An ISO 3166 code (of a part of a country: ISO 3166-2) that the package `holidays` knows. Raises ValueError that names the nearest."""
    import holidays

    countries = holidays.list_supported_countries(include_aliases=False)
    country, dash, part = code.partition("-")
    if country in countries and (part in countries[country] if dash else True):
        return code
    known = [f"{country}-{name}" for name in countries[country]] if country in countries else list(countries)
    near = difflib.get_close_matches(code.upper(), known, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"no holidays are known of {code!r}; write an ISO 3166 code of a country or a part of it, such as US or DE-BY{hint}")


def _pattern(text: str) -> str:
    """A regular expression. Raises ValueError for one that is none."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


def _sql_pattern(text: str) -> str:
    """A regular expression that SQL reads, too. Raises ValueError for one that is none, or that looks ahead or back."""
    import duckdb

    with duckdb.connect() as connection:
        try:
            connection.execute("SELECT regexp_matches('', ?)", [_pattern(text)])
        except duckdb.Error as error:
            raise ValueError(f"{text!r} is no regular expression in the syntax of RE2, which SQL uses: {error}") from None
    return text


Country = Annotated[str, AfterValidator(_country)]
"""ISO 3166 code of a country, or a part of one, whose public holidays are known."""
RegularExpression = Annotated[str, AfterValidator(_pattern)]
SqlPattern = Annotated[str, AfterValidator(_sql_pattern)]


class CapacityRule(Section):
    """A resource with a limit: which metric shows its use, and what the limit is."""

    kind: str = Field(min_length=1, description="disk, cpu, memory, pool, or any other: licence, quota, ...")
    usage_metric: str
    usage_labels: dict[str, str] = {}
    limit_metric: str | None = None
    limit_label: str | None = None
    limit_value: float | None = Field(default=None, allow_inf_nan=False)
    unit: str | None = None
    lead_time_days: float = Field(default=14, gt=0, le=730, allow_inf_nan=False)
    resource_label: str | None = None

    @model_validator(mode="after")
    def _one_limit(self) -> CapacityRule:
        if sum(x is not None for x in (self.limit_metric, self.limit_label, self.limit_value)) != 1:
            raise ValueError("give exactly one of limit_metric, limit_label, limit_value")
        return self


class PriceRule(Section):
    """Price of one unit of a resource kind for 30 days, where no bill gives one."""

    kind: str
    pattern: SqlPattern | None = None
    unit_price: float = Field(ge=0, allow_inf_nan=False)
    unit: str | None = None
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")


class ScenarioSettings(Section):
    """An event that may happen, `[scenarios.NAME]`: from its date on, use is what it would be times `factor`, plus `add`.

    It touches the resources that fit all of `resources`, `service` and `kind` that are given."""

    resources: RegularExpression | None = Field(default=None, description="Found in the resource_id")
    service: str | None = None
    kind: str | None = None
    factor: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    add: float = Field(default=0.0, allow_inf_nan=False, description="In the unit of the resource")

    @model_validator(mode="after")
    def _does_something(self) -> ScenarioSettings:
        if self.resources is None and self.service is None and self.kind is None:
            raise ValueError('say what it touches: resources, service or kind (resources = "." touches all)')
        if self.factor == 1.0 and self.add == 0.0:
            raise ValueError("give factor or add: what it does to use")
        return self
