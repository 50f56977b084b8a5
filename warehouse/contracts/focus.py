"""The FOCUS columns that `raw.costs` carries, their types and allowed values.

Source: FinOps Open Cost and Usage Specification (FOCUS) 1.0 to 1.4, column library (1.4 took ProviderName and PublisherName away; the
newer names fill them). Columns of a file that are not listed here, among them those of split allocation and contracts of 1.3,
land in `x_columns`."""

from __future__ import annotations

from warehouse.contracts.model import Column

MONEY = "DECIMAL(38,12)"
TAGS = "MAP(VARCHAR, VARCHAR)"


def _text(name: str, description: str, *, required: bool = False) -> Column:
    return Column(name, "VARCHAR", description, required=required)


def _money(name: str, description: str, *, required: bool = False) -> Column:
    return Column(name, MONEY, description, "BillingCurrency", required=required)


def _number(name: str, description: str) -> Column:
    return Column(name, MONEY, description)


def _time(name: str, description: str) -> Column:
    return Column(name, "TIMESTAMP", description, "UTC", required=True)


FOCUS_COLUMNS: tuple[Column, ...] = (
    _text("AvailabilityZone", "Isolated location within a region"),
    _money("BilledCost", "Charge on the invoice", required=True),
    _text("BillingAccountId", "Account that is invoiced", required=True),
    _text("BillingAccountName", "Display name of the billing account"),
    _text("BillingAccountType", "Type of the billing account"),
    _text("BillingCurrency", "ISO 4217 currency of the costs", required=True),
    _time("BillingPeriodEnd", "Exclusive end of the billing period"),
    _time("BillingPeriodStart", "Inclusive start of the billing period"),
    _text("CapacityReservationId", "Capacity reservation"),
    _text("CapacityReservationStatus", "Used or Unused"),
    _text("ChargeCategory", "Usage, Purchase, Tax, Credit or Adjustment", required=True),
    _text("ChargeClass", "Correction, or NULL"),
    _text("ChargeDescription", "Text of the charge"),
    _text("ChargeFrequency", "One-Time, Recurring or Usage-Based"),
    _time("ChargePeriodEnd", "Exclusive end of the charge period"),
    _time("ChargePeriodStart", "Inclusive start of the charge period; decides the day"),
    _text("CommitmentDiscountCategory", "Spend or Usage"),
    _text("CommitmentDiscountId", "Commitment discount that the charge belongs to"),
    _text("CommitmentDiscountName", "Display name of the commitment discount"),
    _number("CommitmentDiscountQuantity", "Quantity in CommitmentDiscountUnit"),
    _text("CommitmentDiscountStatus", "Used or Unused"),
    _text("CommitmentDiscountType", "Provider's type of commitment"),
    _text("CommitmentDiscountUnit", "Unit of CommitmentDiscountQuantity"),
    _number("ConsumedQuantity", "Volume consumed in ConsumedUnit"),
    _text("ConsumedUnit", "Unit of ConsumedQuantity"),
    _money("ContractedCost", "Cost at the negotiated unit price"),
    _number("ContractedUnitPrice", "Negotiated unit price"),
    _money("EffectiveCost", "Amortised cost after all discounts", required=True),
    _text("HostProviderName", "Provider that hosts the resource (1.3)"),
    _text("InvoiceId", "Invoice (1.2)"),
    _text("InvoiceIssuerName", "Entity that issues the invoice"),
    _money("ListCost", "Cost at list price"),
    _number("ListUnitPrice", "Published unit price"),
    _text("PricingCategory", "Standard, Dynamic, Committed or Other"),
    _text("PricingCurrency", "Currency of the price list (1.2)"),
    _number("PricingCurrencyContractedUnitPrice", "Negotiated unit price in the pricing currency (1.2)"),
    _money("PricingCurrencyEffectiveCost", "Effective cost in the pricing currency (1.2)"),
    _number("PricingCurrencyListUnitPrice", "List unit price in the pricing currency (1.2)"),
    _number("PricingQuantity", "Volume in PricingUnit"),
    _text("PricingUnit", "Unit of PricingQuantity"),
    _text("ProviderName", "Provider of the resource or service"),
    _text("PublisherName", "Producer of the resource or service"),
    _text("RegionId", "Region id"),
    _text("RegionName", "Region name"),
    _text("ResourceId", "Provider's id of the resource"),
    _text("ResourceName", "Display name of the resource"),
    _text("ResourceType", "Kind of the resource"),
    _text("ServiceCategory", "FOCUS category of the service"),
    _text("ServiceName", "Offering that was bought"),
    _text("ServiceProviderName", "Provider of the service (1.3)"),
    _text("ServiceSubcategory", "FOCUS subcategory of the service (1.1)"),
    _text("SkuId", "SKU"),
    _text("SkuMeter", "Function metered by the SKU (1.1)"),
    _text("SkuPriceDetails", "Properties of the SKU price as JSON (1.1)"),
    _text("SkuPriceId", "SKU price"),
    _text("SubAccountId", "Account, subscription or project under the billing account"),
    _text("SubAccountName", "Display name of the sub account"),
    _text("SubAccountType", "Type of the sub account"),
    Column("Tags", TAGS, "Tags of the resource"),
    Column("x_columns", TAGS, "Columns of the file that FOCUS does not define or that are newer than this list"),
)

ENUMERATIONS: dict[str, tuple[str, ...]] = {
    "ChargeCategory": ("Usage", "Purchase", "Tax", "Credit", "Adjustment"),
    "ChargeClass": ("Correction",),
    "ChargeFrequency": ("One-Time", "Recurring", "Usage-Based"),
    "CommitmentDiscountCategory": ("Spend", "Usage"),
    "CommitmentDiscountStatus": ("Used", "Unused"),
    "CapacityReservationStatus": ("Used", "Unused"),
    "PricingCategory": ("Standard", "Dynamic", "Committed", "Other"),
}

ISO_4217: tuple[str, ...] = tuple(
    """AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF
    CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL
    HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD
    MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF
    SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU
    UYW UZS VED VES VND VUV WST XAF XCD XDR XOF XPF XSU XUA YER ZAR ZMW ZWG""".split()  # noqa: SIM905 - 180 codes read better as text
)
