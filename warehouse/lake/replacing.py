"""The primitive under all that maintenance does to rows that are there: in one transaction files of days go out and others come in, and
nothing happens when what it was told about is not what is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb

from warehouse.contracts import CONTRACTS
from warehouse.errors import LakeError
from warehouse.lake.catalog import MAINTENANCE
from warehouse.lake.lake import Lake
from warehouse.lake.partitions import Partition, nothing, partitions
from warehouse.lake.sorted_files import days_condition
from warehouse.lake.transaction import refused, transaction


@dataclass(frozen=True, slots=True)
class Replacement:
    """A partition as it was seen, and what is to stand in its place: files of so many rows together, or nothing."""

    before: Partition
    paths: tuple[str, ...]
    rows: int


def replace_files(
    lake: Lake, replacements: Sequence[Replacement], message: str, *, within: Callable[[], None] = lambda: None
) -> list[Replacement]:
    """In one transaction: the files of partitions of one table out, one file (or none) for each in, and whatever `within` adds to it.

    Partitions whose files are not those of `before` any more are left alone; returned are the others. When this raises, the new files may
    be registered already: they must not be deleted (what is not registered is swept as an orphan).
    Raises LakeError when a partition would not hold the rows it should."""
    connection, name = lake.connection, replacements[0].before.storage_name
    definition = next((c for c in CONTRACTS.values() if c.storage_name == name and c.shape != "log"), None)
    try:
        with (
            lake.catalog.lock((definition.full_name if definition else name, MAINTENANCE)) as held,
            transaction(lake, [name], held, message),
        ):
            present = {p.day: p for p in partitions(connection, [name])}
            done = [r for r in replacements if present.get(r.before.day, nothing(name, r.before.day)) == r.before]
            if not done:
                return []
            where = days_condition(definition, [r.before.day for r in done]) if definition else "TRUE"
            connection.execute(f"DELETE FROM {name} WHERE {where}")
            lake.step("replacing")
            lake.register(name, [p for r in done for p in r.paths], hive=definition is not None and definition.has_day)
            _refuse_other_rows(connection, name, where, done, message)
            within()
    except duckdb.TransactionException as error:
        if refused(error):
            return []
        raise LakeError(f"{message}: the commit to the {lake.catalog.kind} catalog failed: {error}") from error
    lake.step("replaced")
    return done


def _refuse_other_rows(connection: duckdb.DuckDBPyConnection, name: str, where: str, done: Sequence[Replacement], message: str) -> None:
    wanted = sum(r.rows for r in done)
    found = connection.execute(f"SELECT count(*) FROM {name} WHERE {where}").fetchone() if wanted else (0,)
    if found is None or found[0] != wanted:
        raise LakeError(f"{message}: {found} rows instead of {wanted}; nothing was changed")
