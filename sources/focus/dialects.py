"""What a bill is written in: FOCUS and which version of it, or an AWS Cost and Usage Report; found from the names of its columns.

Source of the versions: FOCUS column library and changelog (https://focus.finops.org/focus-specification/changelog/)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sources.focus import aws_cur
from sources.focus.names import normalised
from warehouse.contracts.focus import FOCUS_COLUMNS
from warehouse.errors import SourceError
from warehouse.lake.connection import identifier

MAPS = ("Tags", "x_columns")
PLAIN = tuple(c for c in FOCUS_COLUMNS if c.name not in MAPS)
REQUIRED = tuple(c.name for c in PLAIN if c.required)
SINCE: Mapping[str, tuple[str, ...]] = {
    "1.1": (
        "CapacityReservationId",
        "CapacityReservationStatus",
        "CommitmentDiscountQuantity",
        "CommitmentDiscountUnit",
        "ServiceSubcategory",
        "SkuMeter",
        "SkuPriceDetails",
    ),
    "1.2": (
        "BillingAccountType",
        "InvoiceId",
        "PricingCurrency",
        "PricingCurrencyContractedUnitPrice",
        "PricingCurrencyEffectiveCost",
        "PricingCurrencyListUnitPrice",
        "SubAccountType",
    ),
    "1.3": (
        "AllocatedMethodDetails",
        "AllocatedMethodId",
        "AllocatedResourceId",
        "AllocatedResourceName",
        "AllocatedTags",
        "ContractApplied",
        "HostProviderName",
        "ServiceProviderName",
    ),
}
FALLBACKS = {"ProviderName": "ServiceProviderName", "PublisherName": "HostProviderName"}
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file's columns become FOCUS columns.

    version: 1.0 to 1.4, or aws_cur. expressions: SQL over the file's columns (`t`) per FOCUS column, still as the file writes it.
    tags: SQL of one column with all tags, or None; tag_columns: SQL per tag that has a column of its own.
    others: SQL of each column that no FOCUS column was taken from, by its name in the file."""

    version: str
    expressions: Mapping[str, str]
    tags: str | None
    tag_columns: Mapping[str, str]
    others: Mapping[str, str]


def detect(origin: str, names: Mapping[str, str], wanted: str = "auto") -> Dialect:
    """The dialect of a file. names: its columns, as in the file to as in SQL. wanted: auto, focus or aws_cur.

    Raises SourceError that names the required columns that are missing."""
    found = {normalised(name): "t." + identifier(sql) for name, sql in names.items()}
    is_cur = aws_cur.MARK in found if wanted == "auto" else wanted == "aws_cur"
    if is_cur:
        _demand(origin, "an AWS Cost and Usage Report", aws_cur.NEEDED, found, names)
        others = {n: "t." + identifier(sql) for n, sql in names.items() if normalised(n) not in aws_cur.TAKEN}
        tags = aws_cur.tag_columns(others)
        kept = {n: sql for n, sql in others.items() if sql not in tags.values() and normalised(n) != aws_cur.TAGS}
        return Dialect("aws_cur", aws_cur.expressions(found), found.get(aws_cur.TAGS), tags, kept)
    _demand(origin, "a FOCUS file", {normalised(n): n for n in REQUIRED}, found, names)
    expressions = {c.name: found[normalised(c.name)] for c in PLAIN if normalised(c.name) in found}
    others = {n: "t." + identifier(sql) for n, sql in names.items() if normalised(n) not in {*map(normalised, expressions), "tags"}}
    return Dialect(version(names), expressions, found.get("tags"), {}, others)


def version(names: Iterable[str]) -> str:
    """The FOCUS version whose columns a file has: the newest that any of its columns came with. 1.4 is 1.3 without the names
    ProviderName and PublisherName, which it removed."""
    present = {normalised(n) for n in names}
    found = "1.0"
    for since, added in SINCE.items():
        if any(normalised(n) in present for n in added):
            found = since
    return "1.4" if found == "1.3" and not present & {"providername", "publishername"} else found


def _demand(origin: str, what: str, needed: Mapping[str, str], found: Mapping[str, str], names: Mapping[str, str]) -> None:
    missing = [name for key, name in needed.items() if key not in found]
    if missing:
        has = ", ".join(list(names)[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        raise SourceError(f"{origin}: {what} needs the columns {', '.join(missing)}, which are missing; it has {has}. Export it again")
