"""One row per grain within a batch: equal rows collapse; of rows that differ the greatest stays and the others go to quarantine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import duckdb
import numpy as np

from warehouse.contracts import Contract
from warehouse.lake.connection import identifier
from warehouse.lake.writing import StagedFile, copy_by_day, discard, read_files

HASHES_AT_ONCE = 16_000_000


def settle_duplicates(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    files: Sequence[StagedFile],
    folder: str,
    quarantine: Callable[[str], list[StagedFile]],
    *,
    held: str | None = None,
) -> tuple[list[StagedFile], list[StagedFile]]:
    """Staged files with one row per grain, and quarantine files with the rows that lost. What is missing from both had an equal.

    Day by day, to hold one day at a time; then the days between which a row moved (its grain does not say its time).
    quarantine: writes a SELECT of rows that lost. held: a FROM clause over the same rows that is cheaper to read than the files."""
    kept, lost = list(files), list[StagedFile]()
    if not files or not contract.collapse:
        return kept, lost
    keys = ", ".join(identifier(n) for n in contract.grain if not (n == "source" and contract.has_source))
    if not _may_repeat(connection, held or read_files(kept, hive=contract.has_day), keys, sum(f.rows for f in kept)):
        return kept, lost

    def settle(chosen: list[StagedFile]) -> None:
        winners, losers = _keep_one(connection, contract, chosen, folder, quarantine)
        kept[:] = [f for f in kept if f not in chosen] + winners
        lost.extend(losers)
        discard(chosen)

    for day in sorted({f.day for f in kept}, key=str):
        chosen = [f for f in kept if f.day == day]
        if _repeats(connection, read_files(chosen, hive=contract.has_day), keys):
            settle(chosen)
    if contract.has_day and not {contract.time_column, "day"} & set(contract.grain):
        source = read_files(kept, hive=True)
        again = f"(SELECT {keys} FROM {source} GROUP BY {keys} HAVING count(*) > 1)"
        days = {r[0] for r in connection.execute(f"SELECT DISTINCT day FROM {source} SEMI JOIN {again} USING ({keys})").fetchall()}
        if days:
            settle([f for f in kept if f.day in days])
    return kept, lost


def _may_repeat(connection: duckdb.DuckDBPyConnection, source: str, keys: str, rows: int) -> bool:
    """Whether two rows have the same 64-bit hash of their keys: no repeated key hides from it, and an accident (1 in 4 million for three
    million rows) costs a closer look. Sorted hashes take a quarter of the time of a GROUP BY over the keys; memory is bounded by passes."""
    passes = -(-rows // HASHES_AT_ONCE)
    for number in range(passes):
        part = f" WHERE key % {passes} = {number}" if passes > 1 else ""
        found = connection.execute(f"SELECT key FROM (SELECT hash({keys}) AS key FROM {source}){part}").fetchnumpy()["key"]
        hashes = np.asarray(found, np.uint64)
        hashes.sort()
        if (hashes[1:] == hashes[:-1]).any():
            return True
    return False


def _repeats(connection: duckdb.DuckDBPyConnection, source: str, keys: str) -> bool:
    query = f"SELECT 1 FROM (SELECT {keys} FROM {source} GROUP BY {keys} HAVING count(*) > 1) LIMIT 1"
    return connection.execute(query).fetchone() is not None


def _keep_one(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    files: Sequence[StagedFile],
    folder: str,
    quarantine: Callable[[str], list[StagedFile]],
) -> tuple[list[StagedFile], list[StagedFile]]:
    """New files with one row per grain, and quarantine files with rows of a grain that differ from the one that stays."""
    grain = ", ".join(identifier(n) for n in contract.grain)
    everything = ", ".join(identifier(n) for n in contract.column_names)
    distinct = f"SELECT DISTINCT {everything} FROM {read_files(files, hive=contract.has_day)}"
    ranked = f"SELECT *, row_number() OVER (PARTITION BY {grain} ORDER BY {_order(contract)}) AS place FROM ({distinct})"
    winners = copy_by_day(connection, f"SELECT * EXCLUDE (place) FROM ({ranked}) WHERE place = 1", folder, contract)
    losers = quarantine(f"SELECT * EXCLUDE (place) FROM ({ranked}) WHERE place > 1")
    discard([f for f in losers if not f.rows])
    return winners, [f for f in losers if f.rows]


def _order(contract: Contract) -> str:
    """A total order over rows of one grain; nested values are compared as text."""
    rest = [c for c in contract.columns if c.name not in contract.grain]
    terms = [f"CAST({identifier(c.name)} AS VARCHAR)" if c.type.startswith("MAP") else identifier(c.name) for c in rest]
    return ", ".join(f"{t} DESC NULLS LAST" for t in terms) or "1"
