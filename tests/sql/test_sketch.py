"""Sketches: within 2% of exact quantiles, the same whether merged or made at once, in order of value."""

from __future__ import annotations

import itertools
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


def sketch(connection: duckdb.DuckDBPyConnection, values: list[float]) -> dict[int, list[int]]:
    (found,) = connection.execute("SELECT sketch_of(x) FROM (SELECT unnest(?::DOUBLE[]) AS x)", [values]).fetchone() or (None,)
    return dict(found)


@settings(max_examples=60)
@given(VALUES)
def test_quantiles_are_within_two_percent(connection: duckdb.DuckDBPyConnection, values: list[float]) -> None:
    query = "SELECT " + ", ".join(f"sketch_quantile(s, {q})" for q in QUANTILES)
    found = connection.execute(f"{query} FROM (SELECT sketch_of(x) AS s FROM (SELECT unnest(?::DOUBLE[]) AS x))", [values]).fetchone()
    assert found is not None
    for q, estimate in zip(QUANTILES, found, strict=True):
        exact = sorted(values)[math.floor(q * (len(values) - 1))]
        assert math.isclose(estimate, exact, rel_tol=0.02, abs_tol=5e-322), (q, exact, estimate)


@settings(max_examples=40)
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


@settings(max_examples=60)
@given(VALUES)
def test_keys_ascend_with_their_values(connection: duckdb.DuckDBPyConnection, values: list[float]) -> None:
    runs = sketch(connection, values)
    buckets = [first + i for first, counts in runs.items() for i, n in enumerate(counts) if n]
    assert buckets == sorted(set(buckets))
    assert (0 in buckets) == (0.0 in values)
    assert (min(buckets) < 0) == (min(values) < 0)


@settings(max_examples=60)
@given(VALUES)
def test_runs_are_as_long_as_gaps_allow(connection: duckdb.DuckDBPyConnection, values: list[float]) -> None:
    runs = list(sketch(connection, values).items())
    assert all(counts[0] and counts[-1] for _, counts in runs)
    assert all(later - (first + len(counts) - 1) > 5 for (first, counts), (later, _) in itertools.pairwise(runs))
    assert all("0,0,0,0,0" not in ",".join(str(min(n, 1)) for n in counts) for _, counts in runs)


@pytest.mark.parametrize(("apart", "runs"), [(1, {32768: [1, 1]}), (5, {32768: [1, 0, 0, 0, 0, 1]}), (6, {32768: [1], 32774: [1]})])
def test_a_run_goes_on_over_four_empty_buckets(connection: duckdb.DuckDBPyConnection, apart: int, runs: dict[int, list[int]]) -> None:
    assert sketch(connection, [1.0, 1.04 ** (apart - 0.5)]) == runs


def test_a_sketch_is_merged_by_adding_up(connection: duckdb.DuckDBPyConnection) -> None:
    """The way for many sketches, in plain SQL: the same as sketch_merge."""
    found = connection.execute(
        """WITH numbers AS (SELECT i % 7 AS g, (i % 50) - 10.5 AS x FROM range(700) AS t (i)),
        sketches AS (SELECT g, sketch_of(x) AS s FROM numbers GROUP BY g),
        merged AS (SELECT bucket, sum(n)::BIGINT AS n FROM (SELECT unnest(sketch_buckets(s)) AS bucket, unnest(sketch_counts(s)) AS n
                   FROM sketches) WHERE n > 0 GROUP BY bucket)
        SELECT (SELECT sketch_runs(h) FROM (SELECT map_from_entries(list((bucket, n) ORDER BY bucket)) AS h FROM merged)),
               (SELECT sketch_merge(list(s)) FROM sketches)"""
    ).fetchone()
    assert found is not None
    assert found[0] == found[1]
    assert sum(map(sum, found[0].values())) == 700


def test_names_of_a_query_do_not_reach_into_the_macros(connection: duckdb.DuckDBPyConnection) -> None:
    names = ("bucket", "n", "key", "i", "run", "sketch", "counts", "x", "acc")
    listed = ", ".join(f"TIMESTAMP '2026-01-01' AS {name}" for name in names)
    asked = f"SELECT {listed}, sketch_quantile(s, 0.5) AS median FROM (SELECT sketch_of(v) AS s FROM (SELECT unnest([1.0, 2.0]) AS v))"
    (*_, median) = connection.execute(asked).fetchone() or (None,)
    assert median == pytest.approx(1.0, rel=0.02)


def test_an_empty_sketch_has_no_quantile(connection: duckdb.DuckDBPyConnection) -> None:
    empty = "MAP {}::MAP (INTEGER, BIGINT[])"
    assert connection.execute(f"SELECT sketch_quantile({empty}, 0.5), sketch_count({empty})").fetchone() == (None, 0)
