"""AWS Cost and Usage Reports: line items as FOCUS charges, amortised cost, tags, both ways of naming columns."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.sources.focus.conftest import Reading

Row = dict[str, str]


@pytest.fixture
def line() -> Row:
    """A usual line item of the legacy report."""
    return {
        "identity/LineItemId": "abc",
        "bill/PayerAccountId": "111122223333",
        "bill/BillingPeriodStartDate": "2023-11-01T00:00:00.000Z",
        "bill/BillingPeriodEndDate": "2023-12-01T00:00:00.000Z",
        "bill/InvoicingEntity": "Amazon Web Services, Inc.",
        "lineItem/LineItemType": "Usage",
        "lineItem/UsageAccountId": "444455556666",
        "lineItem/UsageStartDate": "2023-11-02T00:00:00.000Z",
        "lineItem/UsageEndDate": "2023-11-02T01:00:00.000Z",
        "lineItem/ProductCode": "AmazonEC2",
        "lineItem/UsageType": "BoxUsage:m5.large",
        "lineItem/UsageAmount": "1.0",
        "lineItem/CurrencyCode": "USD",
        "lineItem/UnblendedRate": "0.096",
        "lineItem/UnblendedCost": "9.6E-2",
        "lineItem/ResourceId": "i-1",
        "product/ProductName": "",
        "product/region": "us-east-1",
        "pricing/publicOnDemandCost": "0.096",
        "pricing/unit": "Hrs",
        "resourceTags/user:team": "web",
        "resourceTags/aws:createdBy": "root",
        "reservation/EffectiveCost": "0.061",
        "reservation/ReservationARN": "",
        "reservation/UnusedAmortizedUpfrontFeeForBillingPeriod": "3.5",
        "reservation/UnusedRecurringFee": "1E-1",
        "savingsPlan/SavingsPlanARN": "",
        "savingsPlan/SavingsPlanEffectiveCost": "0.07",
        "savingsPlan/TotalCommitmentToDate": "10",
        "savingsPlan/UsedCommitment": "7.25",
    }


def test_usage_under_focus_names(reading: Reading, line: Row) -> None:
    reading.write("cur.csv", [line])
    reading.run()
    names = (
        "BilledCost, EffectiveCost, ListCost, ContractedCost, ChargeCategory, ChargeFrequency, PricingCategory, ServiceName, RegionId, "
        "BillingAccountId, SubAccountId, ResourceId, ConsumedQuantity, ConsumedUnit, ProviderName, focus_version"
    )
    cost = Decimal("0.096")
    assert reading.one(names) == (
        *(cost, cost, cost, cost, "Usage", "Usage-Based", "Standard", "AmazonEC2", "us-east-1"),
        *("111122223333", "444455556666", "i-1", Decimal(1), "Hrs", "AWS", "aws_cur"),
    )
    assert reading.one("Tags") == {"team": "web", "aws:createdBy": "root"}
    assert reading.one("x_columns['identity/LineItemId'], x_columns['lineItem/UnblendedCost']") == ("abc", None)


LINE_ITEM_TYPES = {
    "Usage": ("Usage", "0.096", None),
    "DiscountedUsage": ("Usage", "0.061", "Used"),
    "SavingsPlanCoveredUsage": ("Usage", "0.07", "Used"),
    "SavingsPlanNegation": ("Usage", "0", None),
    "SavingsPlanUpfrontFee": ("Purchase", "0", None),
    "SavingsPlanRecurringFee": ("Purchase", "2.75", None),
    "RIFee": ("Purchase", "3.6", None),
    "Fee": ("Purchase", "0.096", None),
    "Tax": ("Tax", "0.096", None),
    "Credit": ("Credit", "0.096", None),
    "EdpDiscount": ("Credit", "0.096", None),
    "Refund": ("Adjustment", "0.096", None),
    "SomethingNew": ("Adjustment", "0.096", None),
}
"""Category, effective cost, and status of the commitment discount."""


def test_line_item_types(reading: Reading, line: Row) -> None:
    reading.write("cur.csv", [line | {"identity/LineItemId": kind, "lineItem/LineItemType": kind} for kind in LINE_ITEM_TYPES])
    reading.run()
    rows = reading.rows("x_columns['identity/LineItemId'], ChargeCategory, EffectiveCost, CommitmentDiscountStatus, BilledCost")
    assert {kind: found for kind, *found in rows} == {
        kind: [category, Decimal(effective), status, Decimal("0.096")] for kind, (category, effective, status) in LINE_ITEM_TYPES.items()
    }


def test_an_upfront_fee_of_a_reservation_costs_nothing_more(reading: Reading, line: Row) -> None:
    reading.write("cur.csv", [line | {"lineItem/LineItemType": "Fee", "reservation/ReservationARN": "arn:ri"}])
    reading.run()
    assert reading.one("EffectiveCost, CommitmentDiscountId") == (Decimal(0), "arn:ri")


def test_a_covered_line_without_its_effective_cost_is_rejected(reading: Reading, line: Row) -> None:
    reading.write("cur.csv", [line, line | {"lineItem/LineItemType": "DiscountedUsage", "reservation/EffectiveCost": ""}])
    reading.run()
    assert reading.rejects() == [("EffectiveCost_missing", 3)]


def test_columns_in_snake_case_and_tags_in_one_column(reading: Reading, line: Row) -> None:
    import re

    def snake(name: str) -> str:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.replace("/", "_")).lower()

    lines = {snake(name): value for name, value in line.items() if not name.startswith("resourceTags")}
    reading.write("cur.csv", [lines | {"resource_tags": '{"user_team": "web"}'}])
    reading.run()
    assert reading.one("BilledCost, ResourceId, Tags['user_team'], focus_version") == (Decimal("0.096"), "i-1", "web", "aws_cur")


def test_missing_columns_are_named(reading: Reading, line: Row) -> None:
    del line["lineItem/UnblendedCost"]
    reading.write("cur.csv", [line])
    reading.run()
    assert "an AWS Cost and Usage Report needs the columns lineItem/UnblendedCost, which are missing" in reading.refused[0]
