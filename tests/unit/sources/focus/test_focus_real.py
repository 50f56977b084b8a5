"""The real bills, against an independent reading with csv and Decimal."""

from __future__ import annotations

import csv
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.sources.focus.conftest import Reading
from warehouse.contracts.focus import ENUMERATIONS, ISO_4217

pytestmark = pytest.mark.realdata
FOCUS, CUR = "focus/focus_1.0_sample_even_rows.csv", "cloud_billing/aws_cur_sample.csv"


def read(reading: Reading, file: Path) -> Reading:
    """One real file."""
    reading.options = {"path": str(file)}
    reading.run()
    assert reading.refused == []
    assert reading.rejects() == []
    return reading


def lines(file: Path) -> list[dict[str, str]]:
    """The file's records as the standard library reads them."""
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def sums(reading: Reading, column: str) -> dict[tuple[Any, ...], Decimal]:
    """Sums per account, currency and category."""
    found = reading.connection.execute(f"SELECT BillingAccountId, BillingCurrency, ChargeCategory, sum({column}) FROM costs GROUP BY ALL")
    return {(account, currency, category): total for account, currency, category, total in found.fetchall()}


@pytest.mark.parametrize("column", ["BilledCost", "EffectiveCost", "ListCost"])
def test_focus_sums_are_those_of_another_reader(reading: Reading, realdata: Path, column: str) -> None:
    expected: Counter[tuple[str, str, str]] = Counter()
    for line in lines(realdata / FOCUS):
        key = (line["BillingAccountId"], line["BillingCurrency"], line["ChargeCategory"])
        expected[key] += Decimal(line[column])  # type: ignore[assignment]
    assert sums(read(reading, realdata / FOCUS), column) == dict(expected)


def test_focus_rows_and_what_they_hold(reading: Reading, realdata: Path) -> None:
    read(reading, realdata / FOCUS)
    assert reading.one("count(*), count(DISTINCT charge_id), any_value(focus_version)") == (500, 500, "1.0")
    for column, allowed in ENUMERATIONS.items():
        if column in {str(r[0]) for r in reading.connection.execute("DESCRIBE costs").fetchall()}:
            assert set(reading.column(column)) <= {*allowed, None}
    assert set(reading.column("BillingCurrency")) <= set(ISO_4217)
    texts = reading.one("count(*) FILTER (ResourceId IN ('', 'NULL', 'NaN')), count(ResourceId), count(Tags)")
    given = lines(realdata / FOCUS)
    assert texts == (0, sum(r["ResourceId"] not in ("", "NULL") for r in given), sum(r["Tags"] not in ("", "NULL", "NaN") for r in given))
    assert set(reading.column("x_columns['Id']")) == {r["Id"] for r in given}


def test_the_report_of_aws_sums_to_the_last_digit(reading: Reading, realdata: Path) -> None:
    read(reading, realdata / CUR)
    given = lines(realdata / CUR)
    total = sum((Decimal(r["lineItem/UnblendedCost"]) for r in given), Decimal(0))
    assert reading.one("count(*), sum(BilledCost), round(sum(BilledCost), 6)") == (1281, total, Decimal("1.682309"))
    expected: Counter[tuple[str, str, str]] = Counter()
    for line in given:
        key = (line["bill/PayerAccountId"], line["lineItem/CurrencyCode"], line["lineItem/LineItemType"])
        expected[key] += Decimal(line["lineItem/UnblendedCost"])  # type: ignore[assignment]
    assert sums(reading, "BilledCost") == dict(expected)
    quantities = sum((Decimal(r["lineItem/UsageAmount"]) for r in given), Decimal(0))
    assert abs(reading.one("sum(PricingQuantity)") - quantities) < Decimal("1e-9")
