"""Parquet as the archive writes and reads it: by PyArrow, with a checksum on every page, and every bit pattern kept.

Dictionaries are for text only: measured numbers rarely repeat, and a dictionary that compared them by value would lose bits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.parquet.encryption import create_decryption_properties, create_encryption_properties

from warehouse.archive.manifest import BundleFile
from warehouse.archive.storage import sync
from warehouse.errors import ArchiveError
from warehouse.lake.digest import BATCH_ROWS, Digest, rows_digest
from warehouse.lake.identity import file_digest
from warehouse.lake.parquet_keys import Key

ROW_GROUP_ROWS = 524_288

Bound = datetime | date | None


def write_rows(path: Path, reader: pa.RecordBatchReader, connection: duckdb.DuckDBPyConnection, key: Key | None = None) -> Digest:
    """Write a stream of rows to a new file and return the digest of what was streamed. `connection` is free for the digest.

    key: encrypts the file (AES-GCM, footer included), so that any reader of encrypted Parquet opens it with the key alone."""
    options: dict[str, Any] = {
        "compression": "zstd",
        "compression_level": 9,
        "write_page_checksum": True,
        "use_dictionary": [leaf for field in reader.schema for leaf in _text_leaves(field.name, field.type)],
    }
    if key is not None:
        options["encryption_properties"] = create_encryption_properties(footer_key=key.secret)
    with pq.ParquetWriter(path, reader.schema, **options) as writer:

        def written() -> Iterator[pa.RecordBatch]:
            for batch in reader:
                writer.write_batch(batch, row_group_size=ROW_GROUP_ROWS)
                yield batch

        digest = rows_digest(connection, pa.RecordBatchReader.from_batches(reader.schema, written()))
    sync(path)
    return digest


def open_rows(path: Path, key: Key | None = None) -> pa.RecordBatchReader:
    """Stream the rows of a file, checking the checksum of every page. Raises ArchiveError, while streaming too, when one is wrong."""
    file = _open(path, key)
    schema = file.schema_arrow

    def batches() -> Iterator[pa.RecordBatch]:
        with file:
            try:
                yield from file.iter_batches(batch_size=BATCH_ROWS)
            except (OSError, pa.ArrowException) as error:
                raise ArchiveError(f"{path.name} is damaged: {error}") from error

    return pa.RecordBatchReader.from_batches(schema, batches())


def read_back(path: Path, connection: duckdb.DuckDBPyConnection, key: Key | None = None) -> tuple[Digest, BundleFile]:
    """Digest of the rows that can be read from a file, and what the manifest says of it."""
    digest = rows_digest(connection, open_rows(path, key))
    return digest, BundleFile(path.name, digest.rows, path.stat().st_size, file_digest(path))


def bounds(path: Path, column: str | None, key: Key | None = None) -> tuple[Bound, Bound]:
    """Least and greatest value of a column of times, from the file's statistics; None when it has none."""
    if column is None:
        return None, None
    with _open(path, key) as file:
        metadata = file.metadata
        names = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
        place = names.index(column)
        found = [metadata.row_group(i).column(place).statistics for i in range(metadata.num_row_groups)]
    known = [s for s in found if s is not None and s.has_min_max]
    return min((s.min for s in known), default=None), max((s.max for s in known), default=None)


def _open(path: Path, key: Key | None) -> pq.ParquetFile:
    decryption = create_decryption_properties(footer_key=key.secret) if key is not None else None
    try:
        return pq.ParquetFile(path, page_checksum_verification=True, decryption_properties=decryption)
    except (OSError, pa.ArrowException) as error:
        raise ArchiveError(f"{path.name} cannot be read: {error}") from error


def _text_leaves(path: str, kind: pa.DataType) -> list[str]:
    """Parquet paths of the text columns inside a column."""
    if pa.types.is_map(kind):
        return _text_leaves(f"{path}.key_value.key", kind.key_type) + _text_leaves(f"{path}.key_value.value", kind.item_type)
    if pa.types.is_list(kind):
        return _text_leaves(f"{path}.list.element", kind.value_type)
    if pa.types.is_struct(kind):
        return [leaf for i in range(kind.num_fields) for leaf in _text_leaves(f"{path}.{kind.field(i).name}", kind.field(i).type)]
    return [path] if pa.types.is_string(kind) or pa.types.is_large_string(kind) else []
