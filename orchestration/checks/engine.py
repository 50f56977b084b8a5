"""Great Expectations on the lake connection that is open already.

Its stock engine fails on DuckDB (fivetran/great_expectations #10738, #11579) and would open the database a second time. So SQLAlchemy gets
a connection whose close() does nothing, and the engine subclass keeps the one connection. This touches attributes that GX does not
promise; the version is pinned and tests/integration/test_checks.py watches it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import Any

import duckdb

from warehouse.contracts import Contract, Expectation
from warehouse.lake.connection import another

SAMPLE = 5
HELD, HELD_ROWS = "checked_rows", 200_000
NAMED_BATCH = re.compile(r"\{batch\} AS (\w+)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Great Expectations' verdict on one expectation: `result` is its own, shortened to what a person reads."""

    name: str
    severity: str
    success: bool
    unexpected_count: int | None
    result: dict[str, Any]


class Validator:
    """One ephemeral Great Expectations context over one lake connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._cursor = another(connection)
        self._datasource = _datasource(self._cursor)
        self._numbers = count()

    def validate(self, contract: Contract, expectations: Sequence[Expectation], days: Sequence[date]) -> list[Outcome]:
        """Run expectations on the rows of these days and no others (all rows of a table without days), so that all of them see one
        snapshot of the lake. An expectation that raises counts as failed; since it spoils their transaction, the others are then run
        one by one."""
        outcomes = self._run(contract, expectations, days)
        if len(outcomes) > 1 and any("exception" in o.result for o in outcomes):
            return [self._run(contract, [e], days)[0] for e in expectations]
        return outcomes

    def blame(self, contract: Contract, expectation: Expectation, days: Sequence[date]) -> dict[date, int]:
        """How many rows of which days violate an expectation, in one query; empty where its rows do not say their day."""
        if expectation.kind != "no_rows":
            return {}
        rows = bind_days(str(expectation.sql), days).replace("{batch}", f"({_slice_query(contract, days)})")
        try:
            return dict(self._cursor.execute(f"SELECT day, count(*) FROM ({rows}) AS violations GROUP BY day").fetchall())
        except duckdb.Error:
            return {}

    def _run(self, contract: Contract, expectations: Sequence[Expectation], days: Sequence[date]) -> list[Outcome]:
        import great_expectations as gx

        query = _slice_query(contract, days)
        held = self._prepare_to_hold(query)
        name = f"{contract.full_name} {next(self._numbers)}"
        asset = self._datasource.add_query_asset(name=name, query=f"SELECT * FROM {HELD}" if held else query)
        try:
            batch = asset.add_batch_definition_whole_table("slice").get_batch()
            suite = gx.ExpectationSuite(name=contract.full_name, expectations=[_translate(e, days) for e in expectations])
            self._cursor.execute("BEGIN")
            if held:
                self._cursor.execute(f"INSERT INTO {HELD} {query}")
            results = batch.validate(suite, result_format="SUMMARY").results
        finally:
            with suppress(duckdb.TransactionException):
                self._cursor.execute("ROLLBACK")
            self._datasource.delete_asset(name)
        by_name = {r.expectation_config.meta["name"]: r for r in results}
        return [_outcome(e, by_name[e.name]) for e in expectations]

    def _prepare_to_hold(self, query: str) -> bool:
        """Whether the rows of a query are few enough to be held in a temporary table, which is then there and empty. Every expectation is
        a query or two, and what DuckLake does to plan one grows with the files of all tables."""
        row = self._cursor.execute(f"SELECT count(*) FROM ({query})").fetchone()
        if row is None or row[0] > HELD_ROWS:
            return False
        self._cursor.execute(f"CREATE OR REPLACE TEMP TABLE {HELD} AS {query} LIMIT 0")
        return True


def _datasource(cursor: duckdb.DuckDBPyConnection) -> Any:
    from contextlib import contextmanager

    import great_expectations as gx
    import sqlalchemy as sa
    from duckdb_engine import ConnectionWrapper
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.execution_engine import SqlAlchemyExecutionEngine
    from sqlalchemy.pool import StaticPool

    class OpenConnection(ConnectionWrapper):
        """The lake connection as SQLAlchemy sees it; neither to close it nor to end a check's transaction is SQLAlchemy's to do."""

        def close(self) -> None:
            """Leave it open."""

        is_ours = False

        def begin(self) -> None:
            """Begin nothing once the transactions are ours."""
            if not self.is_ours:
                cursor.begin()

        def rollback(self) -> None:
            """Leave our transaction open."""
            if not self.is_ours:
                cursor.rollback()

        def commit(self) -> None:
            """Leave our transaction open."""
            if not self.is_ours:
                cursor.commit()

    class LakeEngine(SqlAlchemyExecutionEngine):  # type: ignore[misc]
        """Keeps one connection, as GX does for databases whose temporary objects die with it."""

        _connection: Any = None

        @contextmanager
        def get_connection(self) -> Any:
            """The one connection."""
            if self._connection is None:
                self._connection = self.engine.connect()
            yield self._connection

    wrapper = OpenConnection(cursor)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    creation = {"creator": lambda: wrapper, "poolclass": StaticPool}
    datasource = context.data_sources.add_sql("lake", connection_string="duckdb://", create_temp_table=False, kwargs=creation)
    engine = sa.create_engine("duckdb://", **creation)
    datasource._execution_engine = LakeEngine(engine=engine, create_temp_table=False)  # noqa: SLF001
    with datasource._execution_engine.get_connection() as connection:  # noqa: SLF001
        connection.exec_driver_sql("SELECT 1")  # what SQLAlchemy tries out on its first connection fails within a transaction
        connection.rollback()
    wrapper.is_ours = True
    datasource._cached_execution_engine_kwargs = datasource.dict(  # noqa: SLF001
        exclude=datasource._get_exec_engine_excludes(),  # noqa: SLF001
        config_provider=datasource._config_provider,  # noqa: SLF001
    )
    return datasource


def _slice_query(contract: Contract, days: Sequence[date]) -> str:
    return f"SELECT * FROM {contract.full_name}" + (f" WHERE day IN {_listed(days)}" if contract.has_day else "")


def _translate(expectation: Expectation, days: Sequence[date]) -> Any:
    import great_expectations.expectations as gxe

    meta = {"name": expectation.name, "description": expectation.description}
    match expectation.kind:
        case "not_null":
            return gxe.ExpectColumnValuesToNotBeNull(column=expectation.columns[0], meta=meta)
        case "unique" if len(expectation.columns) == 1:
            return gxe.ExpectColumnValuesToBeUnique(column=expectation.columns[0], meta=meta)
        case "unique":
            return gxe.UnexpectedRowsExpectation(unexpected_rows_query=bind_days(_repeats(expectation.columns), days), meta=meta)
        case "between":
            return gxe.ExpectColumnValuesToBeBetween(
                column=expectation.columns[0], min_value=expectation.minimum, max_value=expectation.maximum, meta=meta
            )
        case "in_set":
            return gxe.ExpectColumnValuesToBeInSet(column=expectation.columns[0], value_set=list(expectation.values), meta=meta)
        case "row_count":
            return gxe.ExpectTableRowCountToBeBetween(min_value=expectation.minimum, max_value=expectation.maximum, meta=meta)
        case "no_rows":
            return gxe.UnexpectedRowsExpectation(unexpected_rows_query=bind_days(str(expectation.sql), days), meta=meta)


def _repeats(columns: Sequence[str]) -> str:
    """GX's compound uniqueness drops rows with a NULL key; a grain may hold NULLs, which count as equal here."""
    names = ", ".join(f'b."{c}"' for c in columns)
    return f"SELECT {names}, count(*) AS repeats FROM {{batch}} AS b GROUP BY {names} HAVING count(*) > 1"


def bind_days(sql: str, days: Sequence[date]) -> str:
    """Put the days, and these with their neighbours, into a check's SQL. `{batch}` stays for Great Expectations, which gives it an alias
    of its own."""
    sql = NAMED_BATCH.sub(r"(SELECT * FROM {batch}) AS \1", sql)
    around = {day + timedelta(days=distance) for day in days for distance in (-1, 0, 1)}
    return sql.replace("{days}", _listed(days)).replace("{days_around}", _listed(sorted(around)))


def _listed(days: Iterable[date]) -> str:
    """A list of days in SQL; DuckLake opens only the files of partitions that it names, which it does not with ranges joined by OR."""
    return "(" + ", ".join(f"DATE '{day.isoformat()}'" for day in days) + ")"


def _outcome(expectation: Expectation, result: Any) -> Outcome:
    details = dict(result.result)
    if result.exception_info and result.exception_info.get("raised_exception"):
        details = {"exception": str(result.exception_info.get("exception_message"))[:500]}
    elif result.exception_info and "raised_exception" not in result.exception_info:
        messages = [str(i.get("exception_message")) for i in result.exception_info.values() if isinstance(i, dict)]
        details = {"exception": " | ".join(messages)[:500]} if messages else details
    for key in ("partial_unexpected_list", "partial_unexpected_counts", "unexpected_rows"):
        if isinstance(details.get(key), list):
            details[key] = details[key][:SAMPLE]
    nested = details.get("details")
    if isinstance(nested, dict) and isinstance(nested.get("unexpected_rows"), list):
        nested["unexpected_rows"] = nested["unexpected_rows"][:SAMPLE]
    unexpected = details.get("unexpected_count")
    if unexpected is None and expectation.kind == "no_rows" and isinstance(details.get("observed_value"), int):
        unexpected = details["observed_value"]
    return Outcome(expectation.name, expectation.severity, bool(result.success), unexpected, details)
