"""Ids and times of log records in columns that compress: halves of log_id, trace and span ids as numbers, nanoseconds as what is left."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from warehouse.tiers.encoding.masking import Ints
from warehouse.tiers.encoding.writing import smallest

HEX_32, HEX_16 = "^[0-9a-f]{32}$", "^[0-9a-f]{16}$"
FAR = 2**61


def halves(ids: Any) -> tuple[pa.Array, pa.Array]:
    """UUIDs (Arrow's own type, 16 bytes, or text) as two unsigned 64-bit numbers."""
    if isinstance(ids, pa.ExtensionArray):
        ids = ids.storage
    data = ids if pa.types.is_fixed_size_binary(ids.type) else uuid_storage(pl.Series(pl.from_arrow(ids)))
    absent = data.is_null().to_numpy(zero_copy_only=False)
    joined = b"".join(bytes(16) if value is None else value for value in data.to_pylist()) if data.null_count else _bytes(data)
    numbers = np.frombuffer(joined, ">u8").astype(np.uint64).reshape(-1, 2)
    return pa.array(numbers[:, 0], mask=absent), pa.array(numbers[:, 1], mask=absent)


def _bytes(data: Any) -> bytes:
    content: bytes = data.buffers()[1].slice(data.offset * 16, len(data) * 16).to_pybytes()
    return content


def uuid_storage(texts: pl.Series) -> pa.Array:
    """Texts of 32 hex digits, with or without dashes, as 16 bytes."""
    return texts.str.replace_all("-", "", literal=True).str.decode("hex").to_arrow().cast(pa.binary(16))


def uuid_array(texts: pl.Series) -> pa.Array:
    """Texts of 32 hex digits, with or without dashes, as Arrow UUIDs, which Parquet knows too."""
    return pa.ExtensionArray.from_storage(pa.uuid(), uuid_storage(texts))


def log_id_columns(log_id: Any) -> dict[str, pa.Array]:
    """log_id in two halves."""
    high, low = halves(log_id)
    return {"log_id": pa.nulls(len(log_id), pa.string()), "log_id_high": high, "log_id_low": low}


def time_columns(time: Any, nanos: Ints, observed: Any) -> dict[str, pa.Array]:
    """`time` (in ms where that is all of it: Parquet's readers give TIMESTAMP for both), and what `time_unix_nano` has beyond it; the
    latter as it is where it is another time."""
    micros = time.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy(zero_copy_only=False)
    rest = nanos - micros * 1000
    other = (rest < 0) | (rest > 999)
    seen = pl.Series(pl.from_arrow(observed.cast(pa.int64())), dtype=pl.Int64)
    far = ~seen.fill_null(0).is_between(-FAR, FAR) | ~pl.Series(nanos).is_between(-FAR, FAR)  # the difference could wrap
    split = pl.DataFrame({"seen": seen, "delay": seen - pl.Series(nanos), "far": far}).select(
        pl.when("far").then("seen").alias("seen"), pl.when(~pl.col("far")).then("delay").alias("delay")
    )
    forms = [pa.array(micros, pa.timestamp("us"))]
    if (micros % 1000 == 0).all():
        forms.append(pa.array(micros // 1000, pa.timestamp("ms")))
    return {
        "time": forms[smallest(*forms)],
        "time_unix_nano": pa.array(nanos, mask=~other),
        "time_remainder_ns": pa.array(rest.astype(np.int32), mask=other),
        "observed_time_unix_nano": split["seen"].to_arrow(),
        "observed_delay_ns": split["delay"].to_arrow(),
    }


def trace_columns(trace_id: Any) -> dict[str, pa.Array]:
    """trace_id as a UUID where it is 32 lower-case hex digits, else as it is."""
    texts = pl.Series(pl.from_arrow(trace_id), dtype=pl.String)
    fits = texts.str.contains(HEX_32).fill_null(False)
    number = texts.to_frame("t").select(pl.when(fits).then(pl.col("t")))["t"]
    return {"trace_id": _where(texts, ~fits), "trace_uuid": uuid_array(number)}


def span_columns(span_id: Any) -> dict[str, pa.Array]:
    """span_id as a number where it is 16 lower-case hex digits, else as it is."""
    texts = pl.Series(pl.from_arrow(span_id), dtype=pl.String)
    fits = texts.str.contains(HEX_16).fill_null(False)
    raw = texts.to_frame("t").select(pl.when(fits).then(pl.col("t")))["t"].str.decode("hex").fill_null(bytes(8))
    numbers = np.frombuffer(b"".join(raw.to_list()), ">u8").astype(np.uint64)
    return {"span_id": _where(texts, ~fits), "span_number": pa.array(numbers, mask=~fits.to_numpy())}


def _where(texts: pl.Series, keep: pl.Series) -> pa.Array:
    return texts.to_frame("t").select(pl.when(keep).then(pl.col("t")))["t"].to_arrow().cast(pa.string())
