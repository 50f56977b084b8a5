"""Classes of rows: every row in exactly one, SQL and the words of a rule agree, and a class survives being stored."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from warehouse.contracts import CONTRACTS
from warehouse.retention.rows import RowClass, RowFilter, can_tell, class_condition, classes_of, conformed, filter_condition
from warehouse.settings import ServiceRule
from warehouse.settings.retention import RetentionRule

LOGS, POINTS = CONTRACTS["raw.logs"], CONTRACTS["raw.metric_points"]
NAMES = ("shop", "shop-eu", "cart", "a.b", "x'y", "ß", "")
MAP = (ServiceRule(pattern="^shop", service="storefront"), ServiceRule(pattern="^host-1$", service="by-host"), ServiceRule(pattern="cart"))
PATTERNS = st.sampled_from(("shop", "shop*", "?art", "a.b", "x'y", "*", "storefront", "unknown", "by-host"))
FILTERS = st.builds(
    RowFilter,
    st.lists(PATTERNS, max_size=2).map(tuple),
    st.lists(st.sampled_from(("DEBUG", "info", "ERR*")), max_size=2).map(tuple),
    st.lists(st.tuples(st.sampled_from(("tenant", "k8s.ns")), st.lists(PATTERNS, min_size=1, max_size=2).map(tuple)), max_size=2).map(
        tuple
    ),
)
LABELS = st.dictionaries(st.sampled_from(("tenant", "k8s_ns", "k8s.ns", "host.id")), st.sampled_from((*NAMES, "host-1")), max_size=3)
ROWS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(("DEBUG", "INFO", "ERROR")), LABELS, LABELS), min_size=1, max_size=8)


def log_rows(rows: list[tuple[str, str, dict[str, str], dict[str, str]]]) -> duckdb.DuckDBPyConnection:
    """Rows of raw.logs, as far as filters read them."""
    kind = pa.map_(pa.string(), pa.string())
    columns = list(zip(*rows, strict=True))
    maps = [pa.array([list(m.items()) for m in columns[i]], kind) for i in (2, 3)]
    connection = duckdb.connect()
    connection.register("arriving", pa.table([pa.array(columns[0]), pa.array(columns[1]), *maps], names=["service", "severity", "r", "a"]))
    connection.execute(
        "CREATE TABLE logs AS SELECT service, severity, r AS resource_attributes, a AS attributes, row_number() OVER () AS n FROM arriving"
    )
    return connection


def taken(connection: duckdb.DuckDBPyConnection, condition: str, values: tuple[str | None, ...]) -> set[int]:
    """Numbers of the rows for which a condition is TRUE."""
    return {r[0] - 1 for r in connection.execute(f"SELECT n FROM logs WHERE {condition}", list(values)).fetchall()}


def takes(rows: RowFilter, service: str, severity: str, resource: dict[str, str], attributes: dict[str, str]) -> bool:
    """The oracle: what a filter says of a row of raw.logs, in Python."""

    def label(*names: str) -> str | None:
        return next((m[s] for n in names for s in (n, n.replace(".", "_")) for m in (resource, attributes) if m.get(s)), None)

    def any_of(value: str | None, patterns: tuple[str, ...]) -> bool:
        return value is not None and any(fnmatchcase(value, p) for p in patterns)

    host, name = label("host.id") or "", service or "unknown"
    mapped = "storefront" if service.startswith("shop") or host.startswith("shop") else "by-host" if host == "host-1" else name
    return (
        (not rows.services or any_of(name, rows.services) or any_of(mapped, rows.services))
        and (not rows.severities or any_of(severity, tuple(s.upper() for s in rows.severities)))
        and all(any_of(label(n), values) for n, values in rows.labels)
    )


@settings(max_examples=25)
@given(ROWS, FILTERS)
def test_sql_takes_what_the_filter_says(rows: list[Any], wanted: RowFilter) -> None:
    with log_rows(rows) as connection:
        found = taken(connection, *filter_condition(LOGS, wanted, MAP))
    assert found == {n for n, row in enumerate(rows) if takes(wanted, *row)}


@settings(max_examples=25)
@given(ROWS, st.lists(FILTERS, max_size=4))
def test_every_row_is_in_exactly_one_class(rows: list[Any], filters: list[RowFilter]) -> None:
    with log_rows(rows) as connection:
        found = [taken(connection, *class_condition(LOGS, c, MAP)) for c in classes_of(filters, MAP)]
    assert sorted(n for part in found for n in part) == list(range(len(rows)))
    for part, wanted in zip(found, filters, strict=False):
        assert all(takes(wanted, *rows[n]) for n in part)


@given(st.lists(FILTERS, max_size=3))
def test_a_stored_class_is_the_same_class(filters: list[RowFilter]) -> None:
    for one in classes_of(filters, MAP):
        assert RowClass.decode(one.encode()) == one


def test_a_class_over_services_remembers_the_service_map() -> None:
    (first, _), (other, _) = (classes_of([RowFilter(services=("a",))], m) for m in (MAP, ()))
    assert first.service_map != other.service_map
    assert classes_of([RowFilter(severities=("DEBUG",))], MAP)[0].service_map is None


@pytest.mark.parametrize(
    ("table", "rows", "known"),
    [
        ("raw.logs", RowFilter(("a",), ("DEBUG",), (("tenant", ("b",)),)), True),
        ("raw.metric_points", RowFilter(("a",), (), (("tenant", ("b",)),)), True),
        ("raw.metric_points", RowFilter(severities=("DEBUG",)), False),
        ("raw.costs", RowFilter(services=("a",)), False),
        ("core.span_rollup_5m", RowFilter(services=("a",)), True),
        ("core.span_rollup_5m", RowFilter(labels=(("tenant", ("b",)),)), False),
        ("quarantine.logs", RowFilter(services=("a",)), False),
    ],
)
def test_tables_know_what_their_rows_can_tell(table: str, rows: RowFilter, known: bool) -> None:
    assert can_tell(CONTRACTS.get(table), rows) is known


def test_points_are_told_apart_by_the_labels_of_their_series() -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE SCHEMA raw; CREATE TABLE raw.metric_series (source VARCHAR, series_id INT, labels MAP(VARCHAR, VARCHAR))"
        )
        connection.execute(
            """INSERT INTO raw.metric_series VALUES ('s', 1, MAP {'resource.service.name': 'shop', 'tenant': 'acme'}),
               ('t', 1, MAP {'job': 'cart', 'tenant': 'acme'})"""
        )
        connection.execute("CREATE TABLE points AS SELECT * FROM (VALUES ('s', 1), ('t', 1), ('s', 2)) AS p (source, series_id)")
        for wanted, found in (
            (RowFilter(services=("storefront",)), [("s", 1)]),
            (RowFilter(services=("cart",)), [("t", 1)]),
            (RowFilter(labels=(("tenant", ("ac*",)),)), [("s", 1), ("t", 1)]),
            (RowFilter(services=("shop",), labels=(("tenant", ("b",)),)), []),
        ):
            condition, values = filter_condition(POINTS, wanted, MAP)
            assert connection.execute(f"FROM points WHERE {condition} ORDER BY ALL", list(values)).fetchall() == found


def test_the_service_map_is_read_as_the_transforms_read_it() -> None:
    from transforms.model import macros

    with duckdb.connect() as connection:
        connection.execute(macros())
        expression, values = conformed("service", "resource", MAP)
        rules = "[" + ", ".join(f"{{'pattern': '{r.pattern}', 'service': {r.service!r}, 'team': NULL}}" for r in MAP) + "]"
        query = f"""SELECT {expression}, service_of({rules.replace("None", "NULL::VARCHAR")}, service, resource)
                    FROM (SELECT unnest(['shop', 'cart', 'host-1', '', NULL, 'b']) AS service),
                         (SELECT unnest(['host-1', 'shop', NULL, '']) AS resource)"""
        assert all(ours == theirs for ours, theirs in connection.execute(query, list(values)).fetchall())


def test_a_rule_is_named_by_what_it_covers() -> None:
    rule = RetentionRule(signal="logs", services=("shop",), severities=("DEBUG",), labels={"tenant": ("a", "b")}, keep_days=3)
    assert rule.scope == "logs of shop severity DEBUG tenant = a, b"
    assert RetentionRule(tables="raw.*").scope == "raw.*"
    assert RetentionRule(tables="*").scope == "*"


def test_a_rule_that_names_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="say what the rule covers"):
        RetentionRule(keep_days=1, archive=False)
    with pytest.raises(ValidationError, match="give label 'tenant' a value"):
        RetentionRule(labels={"tenant": ()}, keep_days=1)
