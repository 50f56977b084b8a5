"""AWS Cost and Usage Reports (legacy CUR and CUR 2.0) as FOCUS columns: which line item is which charge, and what it really cost.

Effective cost follows AWS's own formula for amortised cost (https://docs.aws.amazon.com/cur/latest/userguide/amortized-costs.html):
usage under a reservation or savings plan costs its share of the commitment, fees cost what of the commitment nothing used."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from sources.focus.names import normalised
from sources.focus.values import plain

MARK = "lineitemlineitemtype"
TAGS = "resourcetags"
TAG_PREFIX = "resourcetags"
NEEDED = {
    normalised(name): name
    for name in (
        "bill/BillingPeriodEndDate",
        "bill/BillingPeriodStartDate",
        "bill/PayerAccountId",
        "lineItem/CurrencyCode",
        "lineItem/LineItemType",
        "lineItem/UnblendedCost",
        "lineItem/UsageEndDate",
        "lineItem/UsageStartDate",
    )
}
PLAIN = {
    "AvailabilityZone": ("lineItem/AvailabilityZone",),
    "BilledCost": ("lineItem/UnblendedCost",),
    "BillingAccountId": ("bill/PayerAccountId",),
    "BillingAccountName": ("bill/PayerAccountName",),
    "BillingCurrency": ("lineItem/CurrencyCode",),
    "BillingPeriodEnd": ("bill/BillingPeriodEndDate",),
    "BillingPeriodStart": ("bill/BillingPeriodStartDate",),
    "CapacityReservationId": ("capacityReservation/CapacityReservationArn",),
    "ChargeDescription": ("lineItem/LineItemDescription",),
    "ChargePeriodEnd": ("lineItem/UsageEndDate",),
    "ChargePeriodStart": ("lineItem/UsageStartDate",),
    "CommitmentDiscountId": ("savingsPlan/SavingsPlanARN", "reservation/ReservationARN"),
    "ContractedUnitPrice": ("lineItem/UnblendedRate",),
    "InvoiceId": ("bill/InvoiceId",),
    "InvoiceIssuerName": ("bill/InvoicingEntity",),
    "ListCost": ("pricing/publicOnDemandCost",),
    "ListUnitPrice": ("pricing/publicOnDemandRate",),
    "PricingCurrency": ("pricing/currency",),
    "PricingQuantity": ("lineItem/UsageAmount",),
    "PricingUnit": ("pricing/unit",),
    "PublisherName": ("lineItem/LegalEntity", "bill/BillingEntity"),
    "RegionId": ("product/regionCode", "product/region"),
    "RegionName": ("product/location",),
    "ResourceId": ("lineItem/ResourceId",),
    "ServiceName": ("product/ProductName", "product/servicename", "lineItem/ProductCode"),
    "SkuId": ("product/sku",),
    "SkuMeter": ("lineItem/UsageType",),
    "SkuPriceId": ("pricing/RateCode", "pricing/RateId"),
    "SubAccountId": ("lineItem/UsageAccountId",),
    "SubAccountName": ("lineItem/UsageAccountName",),
}
USED = ("lineItem/LineItemType", "pricing/term", "product/ProductName")
TAKEN = {normalised(name) for name in (*chain.from_iterable(names[:1] for names in PLAIN.values()), *USED)}

USAGE = ("Usage", "DiscountedUsage", "SavingsPlanCoveredUsage", "SavingsPlanNegation")
PURCHASES = ("Fee", "RIFee", "SavingsPlanRecurringFee", "SavingsPlanUpfrontFee")
CREDITS = (
    "Credit",
    "BundledDiscount",
    "Discount",
    "DistributorDiscount",
    "EdpDiscount",
    "PrivateRateDiscount",
    "RiVolumeDiscount",
    "SppDiscount",
)


def expressions(found: Mapping[str, str]) -> dict[str, str]:
    """SQL per FOCUS column over a report's columns. found: SQL by normalised name; every value comes as text."""
    columns = {name: _first(found, *sources) for name, sources in PLAIN.items()}
    kind = _text(found, "lineItem/LineItemType")
    quantity, unit = columns["PricingQuantity"], columns["PricingUnit"]
    used = f"{kind} IN ({_listed(USAGE)}) AND {kind} <> 'SavingsPlanNegation'"
    return {
        **columns,
        "ChargeCategory": _category(kind),
        "ChargeClass": f"CASE WHEN {kind} = 'Refund' THEN 'Correction' END",
        "ChargeFrequency": f"""CASE WHEN {kind} IN ({_listed(USAGE)}) THEN 'Usage-Based'
            WHEN {kind} IN ('RIFee', 'SavingsPlanRecurringFee') THEN 'Recurring'
            WHEN {kind} IN ('Fee', 'SavingsPlanUpfrontFee', 'Refund', {_listed(CREDITS)}) THEN 'One-Time' END""",
        "CommitmentDiscountCategory": f"""CASE WHEN {kind} LIKE 'SavingsPlan%' THEN 'Spend'
            WHEN {kind} IN ('DiscountedUsage', 'RIFee') THEN 'Usage' END""",
        "CommitmentDiscountStatus": f"CASE WHEN {kind} IN ('DiscountedUsage', 'SavingsPlanCoveredUsage') THEN 'Used' END",
        "CommitmentDiscountType": f"""CASE WHEN {kind} LIKE 'SavingsPlan%' THEN 'Savings Plan'
            WHEN {kind} IN ('DiscountedUsage', 'RIFee') THEN 'Reserved Instance' END""",
        "ConsumedQuantity": f"CASE WHEN {used} THEN {quantity} END",
        "ConsumedUnit": f"CASE WHEN {used} THEN {unit} END",
        "ContractedCost": f"""CASE WHEN {kind} NOT IN ('DiscountedUsage', 'RIFee') AND {kind} NOT LIKE 'SavingsPlan%'
            THEN {columns["BilledCost"]} END""",
        "EffectiveCost": _effective(found, kind, columns["BilledCost"], columns["CommitmentDiscountId"]),
        "PricingCategory": f"""CASE WHEN {kind} IN ('DiscountedUsage', 'SavingsPlanCoveredUsage', 'SavingsPlanNegation') THEN 'Committed'
            WHEN {kind} = 'Usage' AND {columns["SkuMeter"]} LIKE '%SpotUsage%' THEN 'Dynamic'
            WHEN {kind} = 'Usage' THEN 'Standard' END""",
        "ProviderName": "'AWS'",
    }


def tag_columns(columns: Mapping[str, str]) -> dict[str, str]:
    """SQL per tag: `resourceTags/user:team` and `resource_tags_user_team` are the tag `team`; tags that AWS sets keep their prefix."""
    tags: dict[str, str] = {}
    for name, sql in columns.items():
        if not normalised(name).startswith(TAG_PREFIX) or normalised(name) == TAGS:
            continue
        key = name.partition("/")[2] or name.lower().removeprefix("resource_tags_")
        short = key.removeprefix("user:").removeprefix("user_") or key
        tags[short if short not in tags else name] = sql
    return tags


def _category(kind: str) -> str:
    return f"""CASE WHEN {kind} IN ({_listed(USAGE)}) THEN 'Usage' WHEN {kind} IN ({_listed(PURCHASES)}) THEN 'Purchase'
        WHEN {kind} IN ({_listed(CREDITS)}) THEN 'Credit' WHEN {kind} = 'Tax' THEN 'Tax' WHEN {kind} IS NOT NULL THEN 'Adjustment' END"""


def _effective(found: Mapping[str, str], kind: str, billed: str, commitment: str) -> str:
    def amount(name: str) -> str:
        text = f"lower({_text(found, name)})"
        return f"TRY_CAST(coalesce(CASE WHEN contains({text}, 'e') THEN {plain(text)} ELSE {text} END, '0') AS DECIMAL(38,12))"

    unused = f"{amount('reservation/UnusedAmortizedUpfrontFeeForBillingPeriod')} + {amount('reservation/UnusedRecurringFee')}"
    idle = f"{amount('savingsPlan/TotalCommitmentToDate')} - {amount('savingsPlan/UsedCommitment')}"
    return f"""CASE {kind}
        WHEN 'DiscountedUsage' THEN {_text(found, "reservation/EffectiveCost")}
        WHEN 'SavingsPlanCoveredUsage' THEN {_text(found, "savingsPlan/SavingsPlanEffectiveCost")}
        WHEN 'RIFee' THEN CAST({unused} AS VARCHAR)
        WHEN 'SavingsPlanRecurringFee' THEN CAST({idle} AS VARCHAR)
        WHEN 'SavingsPlanNegation' THEN '0' WHEN 'SavingsPlanUpfrontFee' THEN '0'
        WHEN 'Fee' THEN CASE WHEN {commitment} IS NULL THEN {billed} ELSE '0' END
        ELSE {billed} END"""


def _first(found: Mapping[str, str], *names: str) -> str:
    """The first of some columns that has a value, as text."""
    present = [_text(found, name) for name in names if normalised(name) in found]
    return f"coalesce({', '.join(present)})" if present else "NULL::VARCHAR"


def _text(found: Mapping[str, str], name: str) -> str:
    sql = found.get(normalised(name))
    return f"nullif(CAST({sql} AS VARCHAR), '')" if sql else "NULL::VARCHAR"


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)
