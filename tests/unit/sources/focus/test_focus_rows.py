"""Charges of FOCUS files: exact money, absent values, letter case, tags, versions, and what is no charge."""

from __future__ import annotations

import gzip
import json
import os
import time
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example
from hypothesis import given as examples
from hypothesis import strategies as st

from sources.focus.dialects import version
from sources.focus.values import number, present, tags
from tests.unit.sources.focus.conftest import ROW, Bills, Reading
from warehouse.contracts.focus import MONEY

NAMES_1_0 = list(ROW)
CONNECTION = duckdb.connect()


@pytest.mark.parametrize(
    ("written", "held"),
    [
        ("0.1", "0.1"),
        ("1.5E-7", "0.00000015"),
        ("-12.34", "-12.34"),
        ("8.5E-14", "0"),
        ("-.25e+2", "-25"),
        ("0E999", "0"),
        ("12345678901234567.123456789012", "12345678901234567.123456789012"),
        ("9007199254740993.1", "9007199254740993.1"),
        ("0.0000000000005", "0.000000000001"),
        (" 2.5 ", "2.5"),
    ],
)
def test_money_is_exact(reading: Reading, row: dict[str, str], written: str, held: str) -> None:
    reading.write("a.csv", [row | {"BilledCost": written}])
    reading.run()
    assert reading.one("BilledCost") == Decimal(held)


@examples(st.integers(-(10**20), 10**20), st.integers(-30, 5), st.sampled_from(["{}E{}", "{}e{:+03d}", "{}.0E{}"]))
@example(85, -15, "{}E{}")
@example(999999999999999999, -12, "{}E{}")
@example(1000000, 0, "{}E{}")
def test_money_survives_any_way_of_writing_it(digits: int, exponent: int, form: str) -> None:
    value = Decimal(digits).scaleb(exponent)
    exact = value.quantize(Decimal("1e-12"), ROUND_HALF_UP, Context(prec=60))
    sql = number("n", required=True).sql
    text = present("x", "VARCHAR", (), MONEY)
    for written in (f"{value:f}", form.format(digits, exponent), str(value)):
        found = CONNECTION.execute(f"SELECT {sql} FROM (SELECT {text} AS r_n FROM (SELECT ?::VARCHAR AS x))", [written]).fetchone()
        assert found == (exact,), written


@pytest.mark.parametrize("nothing", ["", "NULL", "NaN", "null", "nan", " "])
def test_absent_values_are_null_in_every_column(reading: Reading, row: dict[str, str], nothing: str) -> None:
    reading.write("a.csv", [row | {"ListCost": nothing, "ResourceId": nothing, "Tags": nothing, "x_note": nothing}])
    reading.run()
    assert reading.one("ListCost, ResourceId, Tags, x_columns") == (None, None, None, {})


def test_credits_and_refunds_are_negative(reading: Reading, row: dict[str, str]) -> None:
    reading.write("a.csv", [row, row | {"ChargeCategory": "Credit", "BilledCost": "-4.00"}])
    reading.run()
    assert reading.column("BilledCost") == [Decimal("-4.00"), Decimal("1.50")]


def test_letter_case_of_enumerations_currency_and_columns(reading: Reading, row: dict[str, str]) -> None:
    lower = {name.lower(): value for name, value in row.items()}
    reading.write("a.csv", [lower | {"chargefrequency": "Usage-based", "billingcurrency": "usd", "chargecategory": "USAGE"}])
    reading.run()
    assert reading.one("ChargeFrequency, BillingCurrency, ChargeCategory") == ("Usage-Based", "USD", "Usage")


def test_unknown_currency_goes_to_quarantine_alone(bills: Bills, row: dict[str, str]) -> None:
    bills.write("a.csv", [row, row | {"BillingCurrency": "DOUBLOON"}, row | {"ChargeCategory": "Bribe"}])
    bills.run()
    assert bills.rejects() == [("ChargeCategory_allowed", None), ("currency_iso_4217", None)]
    assert bills.query("SELECT BillingCurrency FROM raw.costs") == [("USD",)]
    assert bills.query("SELECT rows_read, rows_landed, rows_quarantined FROM meta.ingest_log") == [(3, 1, 2)]


def test_what_is_no_charge_is_rejected_with_its_line(reading: Reading, row: dict[str, str]) -> None:
    bad = [
        row | {"BilledCost": "1,50"},
        row | {"EffectiveCost": "e5"},
        row | {"BilledCost": ""},
        row | {"ChargePeriodStart": "soon"},
        row | {"BilledCost": "1e40"},
        row | {"ChargePeriodStart": "1900-01-01T00:00:00Z"},
    ]
    reading.write("a.csv", [row, *bad, row])
    reading.run()
    assert reading.rejects() == [
        ("BilledCost_not_a_number", 3),
        ("EffectiveCost_not_a_number", 4),
        ("BilledCost_missing", 5),
        ("ChargePeriodStart_not_a_time", 6),
        ("BilledCost_not_a_number", 7),
        ("ChargePeriodStart_out_of_range", 8),
    ]
    assert len(reading.column("ResourceId")) == 2


def test_broken_lines_are_rejected_and_the_others_land(reading: Reading, row: dict[str, str]) -> None:
    good = ",".join('"' + value.replace('"', '""') + '"' for value in row.values()).encode()
    lines = [",".join(row).encode(), good, b"too,few", good.replace(b"vm-1", b"\xff\xfe"), good]
    reading.write("a.csv", b"\n".join(lines) + b"\n")
    reading.run()
    assert [line for _, line in reading.rejects()] == [3, 4]
    assert reading.column("ResourceId") == ["vm-1", "vm-1"]


@pytest.mark.parametrize(
    ("written", "tags", "kept"),
    [
        ('{"a": "b", "n": 1, "t": true, "z": null}', {"a": "b", "n": "1", "t": "true", "z": None}, None),
        ('"a": "b","c": "d"', {"a": "b", "c": "d"}, None),
        ('{"a": "first", "a": "second"}', {"a": "first"}, None),
        ('{"a/b~c": "x", "$.y": "z"}', {"a/b~c": "x", "$.y": "z"}, None),
        ("{'; DROP TABLE raw.costs", None, "{'; DROP TABLE raw.costs"),
        ("[1, 2]", None, "[1, 2]"),
    ],
)
def test_tags(reading: Reading, row: dict[str, str], written: str, tags: dict[str, str] | None, kept: str | None) -> None:
    reading.write("a.csv", [row | {"Tags": written}])
    reading.run()
    assert reading.one("Tags, x_columns['Tags']") == (tags, kept)


@examples(
    st.dictionaries(st.text(st.characters(blacklist_categories=["Cs", "Cc"])), st.text(st.characters(blacklist_categories=["Cs", "Cc"])))
)
def test_any_tags_come_back(given: dict[str, str]) -> None:
    found = CONNECTION.execute(f"SELECT {tags('x', 'VARCHAR')[0]} FROM (SELECT ?::VARCHAR AS x)", [json.dumps(given)]).fetchone()
    assert found == (given,)


def test_columns_that_focus_does_not_define_are_kept(reading: Reading, row: dict[str, str]) -> None:
    reading.write("a.csv", [row | {"x_Cost Centre'": "7", "Id": "11472", "AllocatedMethodId": "m"}])
    reading.run()
    assert reading.one("x_columns") == {"x_Cost Centre'": "7", "Id": "11472", "AllocatedMethodId": "m"}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (NAMES_1_0, "1.0"),
        ([*NAMES_1_0, "SkuMeter"], "1.1"),
        ([*NAMES_1_0, "SkuMeter", "InvoiceId"], "1.2"),
        ([*NAMES_1_0, "InvoiceId", "ServiceProviderName"], "1.3"),
        ([n for n in NAMES_1_0 if n not in ("ProviderName", "PublisherName")] + ["ServiceProviderName", "HostProviderName"], "1.4"),
        ([*NAMES_1_0, "x_InvoiceId"], "1.0"),
    ],
)
def test_version_is_that_of_the_columns(names: list[str], found: str) -> None:
    assert version(names) == found


def test_newer_names_of_providers_fill_the_older(reading: Reading, row: dict[str, str]) -> None:
    del row["ProviderName"], row["PublisherName"]
    reading.write("a.csv", [row | {"ServiceProviderName": "Databricks", "HostProviderName": "Azure"}])
    reading.run()
    assert reading.one("ProviderName, PublisherName, ServiceProviderName, HostProviderName, focus_version") == (
        "Databricks",
        "Azure",
        "Databricks",
        "Azure",
        "1.4",
    )


@pytest.mark.parametrize(
    "written", ["2026-10-05T00:00Z", "2026-10-05", "2026-10-05 00:00:00", "2026-10-05T02:00:00+02:00", "2026-10-05T02:00+02:00"]
)
def test_times_with_and_without_seconds_and_zone(reading: Reading, row: dict[str, str], written: str) -> None:
    reading.write("a.csv", [row | {"ChargePeriodStart": written}])
    reading.run()
    assert reading.one("ChargePeriodStart") == datetime.fromisoformat("2026-10-05")


def typed(row: dict[str, str], **changed: Any) -> pa.Table:
    values: dict[str, Any] = {**row, **changed}
    for name in row:
        if name.endswith(("PeriodStart", "PeriodEnd")):
            values[name] = datetime.fromisoformat(row[name])
    return pa.table({name: value if isinstance(value, pa.Array) else [value] for name, value in values.items()})


def test_parquet_with_binary_floats_maps_and_zoned_times(reading: Reading, row: dict[str, str]) -> None:
    tags = pa.array([[("service", "checkout")]], pa.map_(pa.string(), pa.string()))
    sheet = typed(
        row,
        BilledCost=0.1,
        EffectiveCost=1.5e-7,
        ListCost=float("nan"),
        Tags=tags,
        x_Discounts=pa.array([[("edp", 0.5)]], pa.map_(pa.string(), pa.float64())),
    )
    sink = pa.BufferOutputStream()
    pq.write_table(sheet, sink)
    reading.write("a.snappy.parquet", sink.getvalue().to_pybytes())
    reading.run()
    assert reading.one("BilledCost, EffectiveCost, ListCost, Tags['service'], x_columns['x_Discounts']") == (
        Decimal("0.1"),
        Decimal("0.00000015"),
        None,
        "checkout",
        "{edp=0.5}",
    )


def test_parquet_with_decimals_and_lower_case(reading: Reading, row: dict[str, str]) -> None:
    sheet = typed(row, BilledCost=pa.array([Decimal("12345678901234567890.12345")], pa.decimal128(30, 5)), ListCost="NULL")
    sink = pa.BufferOutputStream()
    pq.write_table(sheet.rename_columns([n.lower() for n in sheet.column_names]), sink)
    reading.write("export.bin", sink.getvalue().to_pybytes())
    reading.run()
    assert reading.one("BilledCost, ListCost") == (Decimal("12345678901234567890.12345"), None)


def test_missing_cost_columns_are_named(reading: Reading, row: dict[str, str]) -> None:
    del row["EffectiveCost"], row["BilledCost"]
    reading.write("in.csv", [row])
    reading.run()
    [message] = reading.refused
    assert message.startswith(
        "in.csv: a FOCUS file needs the columns BilledCost, EffectiveCost, which are missing; it has BillingAccountId,"
    )


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("zero.csv", b"", "is empty"),
        ("cut.csv.gz", gzip.compress(b"a,b\n" * 5000, mtime=0)[:60], "cut or damaged"),
        ("cut.parquet", b"PAR1 and then nothing", "no whole Parquet file"),
        ("random.csv", bytes(range(128, 256)) * 9, "no CSV text"),
        ("other.csv", b"a,b\n1,2\n", "needs the columns BilledCost"),
    ],
)
def test_files_that_are_no_bill(reading: Reading, row: dict[str, str], name: str, content: bytes, says: str) -> None:
    reading.write(name, content)
    reading.write("zz-good.csv", [row])
    reading.run()
    assert reading.column("ResourceId") == ["vm-1"]
    [message] = reading.refused
    assert message.startswith(name)
    assert says in message


def test_bad_text_in_one_charge_costs_that_charge_only(reading: Reading, row: dict[str, str]) -> None:
    reading.write("a.csv", [row, {**row, "ResourceId": "vm-X"}, {**row, "ResourceId": "vm-3"}])
    path = next(reading.folder.glob("**/a.csv"))
    path.write_bytes(path.read_bytes().replace(b"vm-X", b"vm-\x80"))
    os.utime(path, (time.time() - 3600,) * 2)
    reading.run()
    assert reading.column("ResourceId") == ["vm-1", "vm-3"]
    assert reading.rejects() == [("csv_invalid_encoding", 3)]


def test_a_header_alone_is_a_bill_without_charges(bills: Bills, row: dict[str, str]) -> None:
    bills.write("a.csv", [], columns=list(row))
    assert bills.run() == ["a.csv"]
    assert bills.run() == []


def test_equal_charges_are_separate_facts_with_stable_ids(reading: Reading, row: dict[str, str]) -> None:
    reading.write("a.csv", [row, row])
    reading.run()
    before = reading.column("charge_id")
    assert len(set(before)) == 2
    reading.run()
    assert reading.column("charge_id") == before
