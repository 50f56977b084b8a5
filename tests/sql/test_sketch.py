"""Sketches: within 2% of exact quantiles, the same whether merged or made at once, in order of value."""

from __future__ import annotations

import math
from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.model import macros

FINITE = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.lists(FINITE | st.just(0.0) | st.integers(0, 10**12).map(float), min_size=1, max_size=60)
QUANTILES = (0.0, 0.25, 0.5, 0.95, 0.99, 1.0)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute(macros())
        yield opened


def sketch(connection: duckdb.DuckDBPyConnection, values: list[float]) -> dict[int, int]:
    (found,) = connection.execute("SELECT sketch_of(x) FROM (SELECT unnest(?::DOUBLE[]) AS x)", [values]).fetchone() or (None,)
    return dict(found)


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_quantiles_are_within_two_percent(connection: duckdb.DuckDBPyConnection, values: list[float]) -> None:
    query = "SELECT " + ", ".join(f"sketch_quantile(s, {q})" for q in QUANTILES)
    found = connection.execute(f"{query} FROM (SELECT sketch_of(x) AS s FROM (SELECT unnest(?::DOUBLE[]) AS x))", [values]).fetchone()
    assert found is not None
    for q, estimate in zip(QUANTILES, found, strict=True):
        exact = sorted(values)[math.floor(q * (len(values) - 1))]
        assert math.isclose(estimate, exact, rel_tol=0.02, abs_tol=5e-322), (q, exact, estimate)


@settings(max_examples=40, deadline=None)
@given(VALUES, VALUES)
def test_merged_sketches_are_the_sketch_of_all(connection: duckdb.DuckDBPyConnection, one: list[float], two: list[float]) -> None:
    merged = connection.execute(
        """SELECT sketch_merge(list(s)), sketch_count(sketch_merge(list(s))) FROM (
             SELECT sketch_of(x) AS s FROM (SELECT unnest(?::DOUBLE[]) AS x)
             UNION ALL SELECT sketch_of(x) FROM (SELECT unnest(?::DOUBLE[]) AS x))""",
        [one, two],
    ).fetchone()
    assert merged is not None
    assert dict(merged[0]) == sketch(connection, one + two)
    assert merged[1] == len(one) + len(two)


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_keys_ascend_with_their_values(connection: duckdb.DuckDBPyConnection, values: list[float]) -> None:
    keys = list(sketch(connection, values))
    assert keys == sorted(keys)
    assert (0 in keys) == (0.0 in values)
    assert (min(keys) < 0) == (min(values) < 0)


def test_an_empty_sketch_has_no_quantile(connection: duckdb.DuckDBPyConnection) -> None:
    empty = "MAP {}::MAP (INTEGER, BIGINT)"
    assert connection.execute(f"SELECT sketch_quantile({empty}, 0.5), sketch_count({empty})").fetchone() == (None, 0)
