"""Lines of a text file as numbered Arrow rows, whatever is in them: bad UTF-8 and over-long lines come marked, not lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from sources.streams import Readable

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 8 << 20
KEPT_BYTES = 10_000


def numbered_lines(
    opened: Callable[[], AbstractContextManager[Readable]], *, first_line: int = 1, max_line_bytes: int = 64 << 20, encoding: str = "utf-8"
) -> pa.RecordBatchReader:
    """Rows `line BIGINT, text VARCHAR, problem VARCHAR`, in order, without line ends (LF or CRLF).

    problem: NULL, `invalid_utf8` (the text has U+FFFD for what cannot be read) or `line_too_long` (the text is its first 10,000
    bytes). opened: opens the stream when the first row is asked for. Memory is bounded by `max_line_bytes` and a chunk.
    Raises what opening and reading raise."""
    import pyarrow as pa

    schema = pa.schema([("line", pa.int64()), ("text", pa.string()), ("problem", pa.string())])

    def batches() -> Iterator[pa.RecordBatch]:
        number = first_line
        with opened() as stream:
            for lines in _split(stream, max_line_bytes):
                numbers = pa.array(range(number, number + len(lines)), pa.int64())
                number += len(lines)
                problems: list[str | None] | None = None
                if any(len(line) > max_line_bytes for line in lines):
                    problems = ["line_too_long" if len(line) > max_line_bytes else None for line in lines]
                    lines = [line[:KEPT_BYTES] if len(line) > max_line_bytes else line for line in lines]
                texts, problems = _decoded(lines, problems, encoding)
                marks = pa.nulls(len(lines), pa.string()) if problems is None else pa.array(problems, pa.string())
                yield pa.RecordBatch.from_arrays([numbers, texts, marks], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _split(stream: Readable, max_line_bytes: int) -> Iterator[list[bytes]]:
    """Lists of whole lines; of an over-long line only the beginning is kept, one byte longer than allowed."""
    rest = b""
    while chunk := stream.read(CHUNK):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        if len(rest) > max_line_bytes:
            rest = rest[: max_line_bytes + 1]
        if lines:
            yield lines
    if rest:
        yield [rest]


def _decoded(lines: list[bytes], problems: list[str | None] | None, encoding: str) -> tuple[pa.Array, list[str | None] | None]:
    """Texts of the lines without CR, and their problems. The common case, valid UTF-8, is one vectorised cast."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if encoding.lower().replace("_", "-") in ("utf-8", "utf8", "ascii"):
        try:
            texts = pa.array(lines, pa.binary()).cast(pa.string())
        except pa.ArrowInvalid:
            problems = problems or [None] * len(lines)
            decoded = [line.decode("utf-8", errors="replace") for line in lines]
            problems = [
                problem or ("invalid_utf8" if "\ufffd" in text and not _is_utf8(line) else None)
                for line, text, problem in zip(lines, decoded, problems, strict=True)
            ]
            texts = pa.array(decoded, pa.string())
    else:
        texts = pa.array([line.decode(encoding, errors="replace") for line in lines], pa.string())
    return pc.utf8_rtrim(texts, "\r"), problems


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
