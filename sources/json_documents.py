"""JSON files of moderate size, as exports and saved bodies are: one document, or one document a line.

Meant for records that come by the thousand (incidents, alerts), not by the million."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from sources.files import is_line_file
from sources.input_file import InputFile
from sources.lines import numbered_lines
from warehouse.errors import SourceError

MAX_DOCUMENT_BYTES = 64 << 20
BLIND_LINES = 1000
"""Lines that may fail before the first good one; a file that has none in so many is not what it claims to be."""


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON value. `line` is where it stands (None when it is the whole file); `problem` says why `text` is not
    JSON."""

    value: Any = None
    line: int | None = None
    problem: str | None = None
    text: str = ""


def documents(file: InputFile) -> Iterator[Document]:
    """The documents of a file; a bad line in a file of lines comes as a Document with a `problem`.

    Raises SourceError when the file is empty (unless it is a file of lines) or holds no JSON at all."""
    with file.plain_path() as path:
        size = path.stat().st_size
        if size == 0:
            if not is_line_file(file.name):
                raise SourceError(f"{file.origin}: is empty; a JSON document was expected")
            return
        whole = "it is too large for one document"
        if size <= MAX_DOCUMENT_BYTES:
            try:
                yield Document(orjson.loads(path.read_bytes()))
                return
            except orjson.JSONDecodeError as error:
                whole = str(error)
        yield from _by_line(path, file, whole)


def _by_line(path: Path, file: InputFile, whole: str) -> Iterator[Document]:
    """Line after line; what failed before the first good line is held back until there is one."""
    held: list[Document] | None = []
    with path.open("rb") as stream:
        for batch in numbered_lines(lambda: nullcontext(stream), first_line=file.first_line, max_line_bytes=MAX_DOCUMENT_BYTES):
            for row in batch.to_pylist():
                document = _document(row)
                if document is None:
                    continue
                if held is None:
                    yield document
                elif document.problem is None and isinstance(document.value, dict | list):
                    yield from (*held, document)
                    held = None
                else:
                    held.append(document)
                    if len(held) > BLIND_LINES:
                        break
    if held is not None:
        raise SourceError(f"{file.origin}: is not JSON ({whole}), nor are its lines; nothing of it was taken")


def _document(row: dict[str, Any]) -> Document | None:
    text, line = str(row["text"]), int(row["line"])
    if not text.strip():
        return None
    if row["problem"]:
        return Document(None, line, str(row["problem"]), text)
    try:
        return Document(orjson.loads(text), line)
    except orjson.JSONDecodeError as error:
        return Document(None, line, f"not JSON: {error}", text)
