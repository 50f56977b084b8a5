"""From a contract to the expectations of its suite. Knows nothing of Great Expectations or Dagster."""

from __future__ import annotations

from dataclasses import dataclass, replace

from warehouse.contracts import Contract, Expectation
from warehouse.contracts.ddl import quarantine_name

QUARANTINE_LIMIT = 0.05


@dataclass(frozen=True, slots=True)
class Suite:
    """All expectations of a table, in the order in which they are reported."""

    table: str
    expectations: tuple[Expectation, ...]


def suite_of(contract: Contract) -> Suite:
    """Required columns (but the day, without which a row is in no slice), grain, row count, the row rules again (on what is really in the
    lake), then the contract's own expectations."""
    parts: list[Expectation] = [_row_count(contract)]
    parts += [
        Expectation(f"required_{c.name}", "not_null", "error", f"{c.name} is present", (c.name,))
        for c in contract.columns
        if c.required and c.name != "day"
    ]
    parts.append(_grain_unique(contract))
    if contract.has_day and contract.time_column not in (None, "day"):
        parts.append(
            _rule(
                "time_in_day",
                f"CAST({contract.time_column} AS DATE) = day",
                "the partition is the day of the row's time",
            )
        )
    parts += [_rule(r.name, r.condition, r.description) for r in contract.row_rules if "$slice" not in r.condition]
    if contract.has_day and not contract.may_be_empty:
        parts.append(_not_empty(contract))
    if contract.has_source and contract.shape == "event":
        parts.append(_quarantined_share(contract))
    parts += contract.expectations
    return Suite(contract.full_name, tuple(replace(p) for p in parts))


def _grain_unique(contract: Contract) -> Expectation:
    """Of entities that stand on a day: in the whole table. Of events whose grain does not say their time: on each day, so that the verdict
    on a day does not hang on which others are looked at."""
    description = f"one row per {', '.join(contract.grain)}"
    if contract.shape == "snapshot":
        keys = ", ".join(contract.grain)
        repeated = f"SELECT {keys} FROM {contract.full_name} GROUP BY {keys} HAVING count(*) > 1"
        sql = f"SELECT b.* FROM {{batch}} AS b SEMI JOIN ({repeated}) AS r USING ({keys})"
        return Expectation("grain_unique", "no_rows", "error", description, sql=sql)
    timed = not contract.has_day or {contract.time_column, "day"} & set(contract.grain)
    columns = contract.grain if timed else (*contract.grain, "day")
    return Expectation("grain_unique", "unique", "error", description, columns)


def _rule(name: str, condition: str, description: str) -> Expectation:
    return Expectation(
        name,
        "no_rows",
        "error",
        description,
        sql=f"SELECT * FROM {{batch}} AS b WHERE NOT coalesce({condition}, FALSE)",
    )


def _row_count(contract: Contract) -> Expectation:
    day = "day" if contract.has_day else "DATE '1970-01-01'"
    return Expectation(
        "row_count_as_committed",
        "no_rows",
        "error",
        "every day holds exactly the rows that its commits recorded",
        sql=f"""
            SELECT s.day, s.row_count AS committed, coalesce(b.found, 0) AS found
            FROM (FROM meta.day_state WHERE table_name = '{contract.full_name}' AND day IN {{days}}) AS s
            FULL JOIN (SELECT {day} AS day, count(*) AS found FROM {{batch}} AS x GROUP BY ALL) AS b ON b.day = s.day
            WHERE coalesce(s.row_count, 0) <> coalesce(b.found, 0)""",
    )


def _not_empty(contract: Contract) -> Expectation:
    return Expectation(
        "not_empty",
        "no_rows",
        "warn",
        "a day that was written holds rows",
        sql=f"""
            SELECT s.day FROM meta.day_state AS s
            WHERE s.table_name = '{contract.full_name}' AND s.day IN {{days}} AND s.row_count = 0
              AND NOT EXISTS (SELECT 1 FROM {{batch}} AS b WHERE b.day = s.day)""",
    )


def _quarantined_share(contract: Contract) -> Expectation:
    """Of batches that brought rows to a day, and of those whose rows of that day are in quarantine until they are replaced."""
    return Expectation(
        "quarantined_share",
        "no_rows",
        "error",
        f"no batch of the day lost over {QUARANTINE_LIMIT:.0%} of its rows to quarantine",
        sql=f"""
            SELECT DISTINCT b.day, l.origin, l.rows_quarantined, l.rows_read
            FROM (SELECT DISTINCT day, source, batch_id FROM {{batch}} AS x
                  UNION SELECT day, source, batch_id FROM {quarantine_name(contract)}
                  WHERE day IN {{days}} AND reason <> 'superseded_by_later_ingest') AS b
            JOIN meta.ingest_log AS l ON l.batch_id = b.batch_id AND l.source = b.source AND l.table_name = '{contract.full_name}'
            WHERE l.rows_quarantined > {QUARANTINE_LIMIT} * l.rows_read AND NOT EXISTS (
                SELECT 1 FROM meta.ingest_log AS n
                WHERE n.source = l.source AND n.table_name = l.table_name AND n.committed_at > l.committed_at
                  AND (n.slice = l.slice OR list_contains(string_split(n.supersedes, ' '), l.batch_id)))""",
    )
