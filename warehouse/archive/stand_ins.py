"""Stand-ins: readable files in the place of damaged ones of the lake, because taking a file out of a table reads it.

A stand-in has as many rows, all NULL, and a footer of the same length, which the catalog knows and DuckLake compares. It is there only
while its day is blocked, until the rows are put back. The recorded hash tells one that a dying process leaves: a file without one gets an
impossible one first."""

from __future__ import annotations

from pathlib import Path

from warehouse.archive.file_hashes import LakeFile, lake_storage, record_lost
from warehouse.contracts import Contract
from warehouse.errors import ArchiveError
from warehouse.lake.connection import identifier, literal
from warehouse.lake.lake import Lake

TRIES = 4


def stand_in(lake: Lake, definition: Contract, file: LakeFile) -> None:
    """Put a stand-in in the place of a file. Raises ArchiveError when none of its footer's length can be made (a file of deletions)."""
    row = lake.connection.execute(
        "SELECT footer_size FROM __ducklake_metadata_lake.ducklake_data_file WHERE end_snapshot IS NULL AND ? LIKE '%/' || path",
        [file.path],
    ).fetchone()
    if row is None:
        raise ArchiveError(f"{file.path} is no file of rows")
    column = definition.columns[0]  # a column that a file lacks is NULL, and a dense file's footer is short
    query, padding = f"SELECT CAST(NULL AS {column.type}) AS {identifier(column.name)} FROM range({file.rows})", 0
    record_lost(lake, file)
    with lake_storage(lake).writing(file.path) as local:
        for _ in range(TRIES):
            metadata = f"KV_METADATA {{stand_in: {literal('.' * padding)}}}"
            lake.connection.execute(f"COPY ({query}) TO {literal(str(local))} (FORMAT parquet, COMPRESSION zstd, {metadata})")
            missing = int(row[0]) - _footer_size(local) if row[0] is not None else 0
            if not missing:
                return
            padding += missing
            if padding < 0:
                break
        raise ArchiveError(f"no stand-in with a footer of {row[0]} bytes can be made for {file.path}")


def _footer_size(path: Path) -> int:
    """Length of a Parquet file's footer (Parquet format, File Format: 4 bytes little-endian before the closing PAR1)."""
    return int.from_bytes(path.read_bytes()[-8:-4], "little")
