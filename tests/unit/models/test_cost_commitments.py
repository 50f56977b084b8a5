"""Unused commitments from FOCUS rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from models.cost import commitment_waste

RESULT = ["commitment_id", "committed", "used", "unused", "utilisation", "saving_per_month", "status"]


def charge(day: int, status: str | None, cost: str | float | None, commitment: str | None = "sp-1", currency: str = "USD"):
    """One FOCUS row; `day` counts from 2026-10-01."""
    return {
        "CommitmentDiscountId": commitment,
        "CommitmentDiscountStatus": status,
        "EffectiveCost": None if cost is None else Decimal(str(cost)),
        "ChargePeriodStart": datetime.fromisoformat("2026-10-01") + timedelta(days=day),
        "BillingCurrency": currency,
    }


def frame(rows) -> pl.DataFrame:
    """Rows with the money as DECIMAL(38, 12), as the lake holds it."""
    schema = {
        "CommitmentDiscountId": pl.String,
        "CommitmentDiscountStatus": pl.String,
        "EffectiveCost": pl.Decimal(38, 12),
        "ChargePeriodStart": pl.Datetime("us"),
        "BillingCurrency": pl.String,
    }
    return pl.DataFrame(rows, schema=schema)


def test_used_and_unused_by_hand():
    rows = [charge(day, "Used", 6) for day in range(10)] + [charge(day, "unused ", "4") for day in range(10)]
    row = commitment_waste(frame(rows)).row(0, named=True)
    assert list(row) == RESULT
    assert (row["committed"], row["used"], row["unused"]) == (100, 60, 40)
    assert row["utilisation"] == pytest.approx(0.6)
    assert row["saving_per_month"] == pytest.approx(4 * 30)
    assert row["status"] == "ok"


def test_purchases_and_other_charges_do_not_count():
    rows = [charge(day, "Used", 6) for day in range(10)]
    rows += [charge(0, None, 500), charge(1, None, 7, commitment=None), charge(2, "Used", None)]
    row = commitment_waste(frame(rows)).row(0, named=True)
    assert (row["committed"], row["unused"], row["utilisation"]) == (60, 0, 1)


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([charge(0, "Used", 5), charge(5, "Unused", 1)], "not_enough_data"),
        ([charge(0, "Used", 5), charge(9, "Unused", -5)], "failed:the charges do not add up to a cost"),
        ([charge(0, "Used", 5), charge(9, "Unused", 5, currency="EUR")], "failed:charges in more than one currency"),
    ],
)
def test_no_answer_without_grounds(rows, status):
    row = commitment_waste(frame(rows)).row(0, named=True)
    assert row["status"] == status
    assert all(row[name] is None for name in RESULT[1:-1])


def test_commitments_are_sorted_and_none_gives_an_empty_frame():
    rows = [charge(day, "Used", 1, commitment=name) for day in range(8) for name in ("b", "a")]
    assert commitment_waste(frame(rows))["commitment_id"].to_list() == ["a", "b"]
    assert commitment_waste(frame([])).columns == RESULT


def test_missing_column_is_named():
    with pytest.raises(ValueError, match="CommitmentDiscountStatus"):
        commitment_waste(frame([]).drop("CommitmentDiscountStatus"))
