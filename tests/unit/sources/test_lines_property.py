"""Lines, prefixes and CSV records against plain oracles, on generated input."""

from __future__ import annotations

import csv
import hashlib
import io
import tempfile
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from sources.lines import numbered_lines
from sources.streams import end_of_lines, marks
from sources.table.rejects import csv_lines, located_lines

CELL = st.text(alphabet='ab",\n ', max_size=4)
ROWS = st.lists(st.lists(CELL, min_size=2, max_size=2).filter(lambda row: any(row)), min_size=1, max_size=12)


@given(st.binary(max_size=200).map(lambda b: b.replace(b"\r", b"")), st.integers(1, 40))
def test_every_line_comes_once_with_its_number(content: bytes, chunk: int) -> None:
    with patch("sources.lines.CHUNK", chunk):
        rows = numbered_lines(lambda: io.BytesIO(content), first_line=7, max_line_bytes=50).read_all().to_pylist()
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    assert [r["line"] for r in rows] == list(range(7, 7 + len(lines)))
    for row, line in zip(rows, lines, strict=True):
        if len(line) > 50:
            assert row["problem"] == "line_too_long"
        elif row["problem"] is None:
            assert row["text"].encode() == line
        else:
            assert row["problem"] == "invalid_utf8"
            assert line.decode(errors="replace") == row["text"]


@given(st.binary(max_size=300), st.lists(st.integers(0, 320), max_size=4))
def test_marks_are_digests_and_line_counts_of_prefixes(content: bytes, offsets: list[int]) -> None:
    found = marks(io.BytesIO(content), offsets)
    assert set(found) == {o for o in offsets if o <= len(content)}
    for offset, mark in found.items():
        assert mark.digest == hashlib.sha256(content[:offset]).hexdigest()
        assert mark.lines == content[:offset].count(b"\n")


@given(st.binary(max_size=300))
def test_the_end_of_lines_is_after_the_last_line_end(content: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        assert end_of_lines(Path(file.name), len(content)) == content.rfind(b"\n") + 1


@settings(max_examples=60)
@given(ROWS)
def test_records_are_found_at_the_lines_where_the_csv_module_begins_them(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["h1", "h2"], *rows])
    reader = csv.reader(io.StringIO(text.getvalue()))
    begins = []
    before = 0
    for _ in reader:
        begins.append(before + 1)
        before = reader.line_num
    with tempfile.NamedTemporaryFile() as file:
        file.write(text.getvalue().encode())
        file.flush()
        found = csv_lines(Path(file.name), range(1, len(rows) + 1), skip=1, first_line=1, damaged=[])
    assert found == begins[1:]


@given(st.lists(st.binary(max_size=8).map(lambda b: b.replace(b"\n", b"").replace(b"\r", b"")), min_size=1, max_size=10), st.data())
def test_places_are_on_the_line_that_holds_them(lines: list[bytes], data: st.DataObject) -> None:
    content = b"\n".join(lines) + b"\n"
    places = sorted(data.draw(st.sets(st.integers(0, len(content) - 1), min_size=1, max_size=5)))
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        found = located_lines(Path(file.name), places, 3).read_all().to_pylist()
    assert [(r["place"], r["line"]) for r in found] == [(p, 3 + content[:p].count(b"\n")) for p in places]
    assert [r["record"] for r in found] == [lines[r["line"] - 3].decode(errors="replace") for r in found]
