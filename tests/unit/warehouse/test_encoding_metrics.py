"""Dense samples: every bit pattern comes back, whatever the mix, and the forms are chosen by what they cost."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.contracts import contract
from warehouse.contracts.ddl import decoded
from warehouse.tiers.encoding import metrics, writing
from warehouse.tiers.encoding.metrics import INTEGER, RAW, choose, encode
from warehouse.tiers.encoding.numbers import scaled

POINTS = contract("raw.metric_points")
START_US = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1e6)
STALE = 0x7FF0000000000002

BITS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, -(2**63), STALE, 0x7FF8000000000001, 0x7FF0000000000000, -0x10000000000000, 1, 2**52 - 1]),
    st.floats(width=64).map(lambda x: int(np.float64(x).view(np.int64))),
    st.integers(-(10**15), 10**15).map(lambda n: int(np.float64(n).view(np.int64))),
    st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 9)).map(lambda p: int(np.float64(p[0] / 10.0 ** p[1]).view(np.int64))),
    st.tuples(st.integers(0, 10**6), st.integers(1, 99)).map(lambda p: int(np.float64(p[0] * 0.1 / p[1]).view(np.int64))),
)


def table(series: list[npt.NDArray[np.float64]], *, step_us: int = 15_000_000) -> pa.Table:
    """One day of series, numbered from 1, in order."""
    counts = [len(v) for v in series]
    rows = sum(counts)
    return pa.table(
        {
            "source": pa.array(["plant"] * rows),
            "series_id": pa.array(np.repeat(np.arange(1, len(series) + 1, dtype=np.uint64), counts)),
            "time": pa.array(np.concatenate([START_US + np.arange(n) * step_us for n in counts])).cast(pa.timestamp("us")),
            "value": pa.array(np.concatenate(series)),
            "batch_id": pa.array(["batch"] * rows),
        }
    )


def written(rows: pa.Table, folder: Path, *, batch_rows: int = 1000) -> list[Path]:
    """Encode into a folder."""
    numbers = iter(range(1000))
    return encode(rows.to_reader(max_chunksize=batch_rows), lambda: folder / f"{next(numbers)}.parquet")


def read_back(files: list[Path]) -> pa.Table:
    """What the view makes of the files, in order."""
    columns = ", ".join(f"NULL::{c.type} AS {c.name}" for c in POINTS.stored_columns)
    names = ", ".join(f"'{f}'" for f in files)
    stored = f"(SELECT {columns} WHERE FALSE UNION ALL BY NAME FROM read_parquet([{names}], union_by_name = true))"
    with duckdb.connect() as connection:
        query = f"SELECT source, series_id, time, value, batch_id FROM ({decoded(POINTS, stored)}) ORDER BY source, series_id, time"
        return connection.execute(query).to_arrow_table()


def bits(rows: pa.Table) -> list[int]:
    """The values' bits."""
    values: list[int] = rows["value"].to_numpy().view(np.int64).tolist()
    return values


@settings(deadline=None)
@given(st.lists(st.lists(BITS, min_size=1, max_size=40), min_size=1, max_size=6), st.sampled_from([1, 500, 1000, 15_000_000]))
def test_every_bit_pattern_comes_back(patterns: list[list[int]], step_us: int) -> None:
    rows = table([np.array(p, np.int64).view(np.float64) for p in patterns], step_us=step_us)
    with tempfile.TemporaryDirectory() as folder:
        back = read_back(written(rows, Path(folder)))
    assert bits(back) == bits(rows)
    assert back.drop(["value"]).equals(rows.drop(["value"]))


def test_a_series_with_a_few_odd_values_is_still_integers(tmp_path: Path) -> None:
    values = np.round(np.random.default_rng(0).normal(20, 3, 5000), 2)
    values[[7, 99, 4000]] = [np.nan, -0.0, np.inf]
    rows = table([values])
    files = written(rows, tmp_path)
    assert bits(read_back(files)) == bits(rows)
    names = set(pq.ParquetFile(files[0]).schema_arrow.names)
    assert names & {"value_integer", "value_shifted"}
    assert "value_divisor" in names


@pytest.mark.parametrize(
    ("values", "divisor"),
    [
        (np.arange(100.0), 1.0),
        (np.arange(100) / 1000.0, 1000.0),
        (np.arange(100) * 4096.0, 1 / 4096),
        (np.arange(1, 100) / 60.0, 60.0),
        (np.arange(1, 1000) * 0.1 * 3, 10.0),
        (np.arange(1, 1000) * 700.0 / 9.0, 9.0 / 700.0),
    ],
)
def test_divisors_are_found(values: npt.NDArray[np.float64], divisor: float) -> None:
    found = scaled(values)
    assert found is not None
    assert found.divisor == pytest.approx(divisor)
    assert found.fits.all()
    assert ((found.integers / found.divisor + found.residual).view(np.int64) == values.view(np.int64)).all()


def test_full_fractions_stay_doubles() -> None:
    assert scaled(np.random.default_rng(0).normal(size=500)) is None
    assert scaled(np.array([np.nan, np.inf, -0.0])) is None


def test_a_dictionary_is_not_tried_where_it_would_change_a_bit() -> None:
    odd = np.random.default_rng(0).normal(size=50)
    odd[3] = -0.0
    assert {f.encoding for f in metrics._tried(odd, 0, 50).costs} == {"PLAIN", "BYTE_STREAM_SPLIT"}


def test_a_form_is_given_up_unless_it_saves_a_file() -> None:
    delta, split = INTEGER[0], INTEGER[1]
    costs = [{delta: 1000, split: 1100}, {delta: 1100, split: 1000}]
    assert set(choose(costs, set(), file_cost=2500)) in ({delta}, {split})
    assert choose(costs, set(), file_cost=50) == [delta, split]
    assert choose(costs, {split}, file_cost=2500) == [split, split]


def test_a_form_that_only_one_run_knows_is_kept() -> None:
    assert choose([{RAW[0]: 10}, {INTEGER[0]: 1}], set(), file_cost=10**9) == [RAW[0], INTEGER[0]]


def test_rows_are_written_as_they_come_and_files_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "CHUNK_ROWS", 500)
    rng = np.random.default_rng(1)
    rows = table([np.cumsum(rng.poisson(30, 400)).astype(float) if i % 2 else rng.normal(size=400) for i in range(20)])
    files = written(rows, tmp_path, batch_rows=64)
    assert len(files) <= 4
    assert bits(read_back(files)) == bits(rows)
    assert sum(f.stat().st_size for f in files) < rows["value"].nbytes
    for file in files:
        times = pq.ParquetFile(file).read(columns=["series_id", "time"]).to_pylist()
        assert times == sorted(times, key=lambda r: (r["series_id"], r["time"]))


def test_a_large_day_is_several_files_of_each_form_sorted_on_from_one_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "CHUNK_ROWS", 8000)
    monkeypatch.setattr(metrics, "FEW_ROWS", 0)
    monkeypatch.setattr(writing, "ROW_GROUP_ROWS", 1000)
    monkeypatch.setattr(writing, "FILE_BYTES", 30_000)
    rng = np.random.default_rng(3)
    rows = table([rng.integers(0, 2**20, 2000).astype(float) if i % 2 else rng.normal(size=2000) for i in range(16)])
    by_form: dict[tuple[str, ...], list[tuple[tuple[int, datetime], tuple[int, datetime]]]] = {}
    files = written(rows, tmp_path)
    for file in files:
        content = pq.ParquetFile(file).read()
        keys = list(zip(content["series_id"].to_pylist(), content["time"].to_pylist(), strict=True))
        assert keys == sorted(keys)
        assert file.stat().st_size < 30_000 + 8000 * 2, "full, and what came at once"
        by_form.setdefault(tuple(content.column_names), []).append((keys[0], keys[-1]))
    assert [len(found) >= 2 for found in by_form.values()] == [True, True]
    for found in by_form.values():
        assert all(before[1] < after[0] for before, after in pairwise(sorted(found)))
    assert bits(read_back(files)) == bits(rows)


def test_a_column_that_some_row_groups_lack_begins_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "ROW_GROUP_ROWS", 2)
    numbers = iter(range(10))
    file = writing.DenseFile(lambda: tmp_path / f"{next(numbers)}.parquet")
    for rest in ([1.0, 2.0], [None, None], [None, 3.0]):
        file.write(pa.table({"a": [1, 2], "rest": pa.array(rest, pa.float64())}), {})
    (path,) = file.close()
    assert pq.ParquetFile(path).read()["rest"].to_pylist() == [1.0, 2.0, None, None, None, 3.0]


def test_pages_carry_checksums_and_row_groups_can_be_left_out(tmp_path: Path) -> None:
    (file,) = written(table([np.random.default_rng(2).normal(size=1000)]), tmp_path)
    column = pq.ParquetFile(file).metadata.row_group(0)
    statistics = {column.column(i).path_in_schema: column.column(i).statistics for i in range(column.num_columns)}
    assert statistics["series_id"].max == 1
    assert statistics["time"].has_min_max
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(OSError, match=r"(?i)crc|checksum"):
        pq.ParquetFile(file, page_checksum_verification=True).read()
