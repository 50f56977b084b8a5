"""Figures and names as people read them."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1, "1"),
        (-1.5, "−1.5"),
        (1234567.8, "1,234,568"),
        (0.00123456, "0.00123"),
        (12.3456, "12.3"),
        (1e-9, "0"),
        (-1e-9, "0"),
        (100, "100"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_number(value, text):
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        (1234.5, "USD", "USD 1,234"),
        (99.994, "EUR", "EUR 99.99"),
        (99.996, "EUR", "EUR 100"),
        (-5, "USD", "−USD 5.00"),
        (0, "USD", "USD 0.00"),
    ],
)
def test_money(value, currency, text):
    assert wording.money(value, currency) == text.replace(" ", wording.NBSP)


def test_money_without_currency_or_value():
    assert wording.money(12, None) == "12.00"
    assert wording.money(None, "USD") == "–"


def test_estimates_keep_three_digits():
    assert wording.estimate(100_484, "USD") == "USD\u00a0100,000"
    assert wording.estimate(-5_548.2, "USD") == "−USD\u00a05,550"
    assert wording.estimate(0, "USD") == "USD\u00a00.00"


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (0.0712, False, "7.1%"),
        (0.35, True, "+35%"),
        (-0.18, True, "−18%"),
        (0, True, "0%"),
        (-0.0001, True, "0.0%"),
        (12.0, False, "1,200%"),
    ],
)
def test_percent(value, signed, text):
    assert wording.percent(value, signed=signed) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (500 * 2.0**30, "By", "500 GiB"),
        (-3 * 2.0**20, "By", "−3 MiB"),
        (12, "By", "12 B"),
        (20.8e9, "Hz", "20.8 GHz"),
        (0.2, "Hz", "0.2 Hz"),
        (40, "{connection}", "40 connections"),
        (1, "{core}", "1 core"),
        (5400, "s", "1 h 30 min"),
        (17, "1", "17"),
        (890, "USD", "USD 890"),
        (3, "ms", "3 ms"),
        (None, "By", "–"),
    ],
)
def test_quantity(value, unit, text):
    assert wording.quantity(value, unit) == text.replace(" ", wording.NBSP)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.34, "12.3 s"), (59.9, "59.9 s"), (60, "1 min"), (3599, "1 h 00 min"), (4860, "1 h 21 min"), (90_000, "1 d 1 h"), (-120, "−2 min")],
)
def test_duration(seconds, text):
    assert wording.duration(seconds) == text.replace(" ", wording.NBSP)


def test_days_and_instants():
    assert wording.day(date(2026, 11, 3)) == "3\u00a0Nov\u00a02026"
    assert wording.instant(datetime(2026, 11, 3, 4, 5, tzinfo=UTC)) == "3\u00a0Nov\u00a02026, 04:05\u00a0UTC"
    assert wording.day(None) == wording.instant(None) == "–"


@given(texts=st.lists(st.text("ab(2)", max_size=30), max_size=12), longest=st.integers(8, 12))
def test_labels_differ_where_texts_do_and_bars_never_stack(texts, longest):
    found = wording.labels(texts, longest=longest)
    assert len(set(found)) == len(found)
    visible = [name.rstrip("\u200b") for name in found]
    assert all(len(name) <= longest for name in visible)
    shown = dict(zip(texts, visible, strict=True))
    assert [shown[text] for text in texts] == visible
    assert len(set(visible)) == len(shown)


def test_labels_lose_control_and_direction_characters_and_their_middle():
    assert wording.label("a\x00b\u202egnp\n\tc") == "a b gnp c"
    assert wording.label("") == wording.label(None) == "–"
    long = wording.label("x" * 50 + "y" * 50, longest=21)
    assert long == "x" * 9 + "…" + "y" * 11


@given(st.text(max_size=400), st.integers(8, 60))
def test_every_label_is_one_short_visible_line(text, longest):
    shown = wording.label(text, longest=longest)
    assert 0 < len(shown) <= longest
    assert shown.isprintable()


@given(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(["By", "s", "1", "USD", "{x}", None]))
def test_any_float_can_be_worded(value, unit):
    assert wording.quantity(value, unit)
    assert wording.percent(value)
    assert wording.estimate(value, "USD")
