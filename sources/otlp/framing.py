"""Files of the Collector's file exporter cut into messages: JSON lines, one JSON document, one protobuf message, or messages behind a
4-byte big-endian length (which may each be compressed with zstd). What a message means is not known here."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from warehouse.errors import SourceError

if TYPE_CHECKING:
    from sources.streams import Readable

    Buffered: TypeAlias = io.BufferedReader[Any]

BUFFER = 1 << 20
BOM = b"\xef\xbb\xbf"
BLANK = b" \t\r\n"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
MESSAGE_TAG = b"\x0a"
RESOURCE_TAGS = (b"\x0a", b"\x10", b"\x1a")
RECORD_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. line: its line number, None in binary files. offset: its first byte from the beginning of what was read.

    document: it is the whole file, so that it being malformed is the file's fault. too_long: payload is only its beginning."""

    payload: bytes
    is_json: bool
    line: int | None
    offset: int
    document: bool = False
    too_long: bool = False


def frames(stream: Readable, *, origin: str, first_line: int, max_bytes: int) -> Iterator[Frame]:
    """Messages of a plain stream, at most `max_bytes` each; longer lines come as `too_long`, longer binary messages are refused.

    Raises SourceError, naming the byte, when the bytes are neither JSON nor protobuf, or are cut."""
    source: Buffered = io.BufferedReader(_Raw(stream), BUFFER)
    head = source.peek(BUFFER)
    first = head.removeprefix(BOM).lstrip(BLANK)[:1]
    if first and is_message(head):
        yield _single(source, origin, max_bytes)
    elif not first or first == b"{" or 0x20 <= head[0] < 0x7F:
        yield from _lines(source, origin, first_line, max_bytes)
    else:
        yield from _prefixed(source, origin, max_bytes)


def is_message(head: bytes) -> bool:
    """Whether bytes begin like one protobuf message, and not like JSON after a line end (which is the same byte, and `{` a length)."""
    if head[:1] != MESSAGE_TAG:
        return False
    inner = _after_length(head, 1)
    if head[inner : inner + 1] != MESSAGE_TAG:
        return head[inner : inner + 1] in (b"", b"\x12", b"\x1a") and inner > 1
    resource = _after_length(head, inner + 1)
    return head[resource - 1] == 0 or head[resource : resource + 1] in RESOURCE_TAGS


def _after_length(head: bytes, position: int) -> int:
    """Position just after the variable-length number at `position`."""
    while position < len(head) and head[position] >= 0x80:
        position += 1
    return min(position + 1, len(head))


class _Raw(io.RawIOBase):
    """A Readable as the raw stream that io.BufferedReader wants."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        chunk = self._stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _lines(source: Buffered, origin: str, first_line: int, max_bytes: int) -> Iterator[Frame]:
    offset, line, begun = 0, first_line - 1, False
    while text := source.readline(max_bytes + 1):
        line += 1
        at, offset = offset, offset + len(text)
        too_long = len(text) > max_bytes and not text.endswith(b"\n")
        if too_long:
            offset += _skip_line(source, max_bytes)
            text = text[:RECORD_BYTES]
        bare = text.removeprefix(BOM).strip(BLANK) if at == 0 else text.strip(BLANK)
        if not bare:
            continue
        if not begun:
            begun = True
            document = None if too_long else _document(source, bare, text, origin, max_bytes)
            if document is not None:
                yield Frame(document, True, line, at, document=True)
                return
        yield Frame(bare, True, line, at, too_long=too_long)


def _skip_line(source: Buffered, step: int) -> int:
    skipped = 0
    while chunk := source.readline(step):
        skipped += len(chunk)
        if chunk.endswith(b"\n"):
            break
    return skipped


def _document(source: Buffered, bare: bytes, text: bytes, origin: str, max_bytes: int) -> bytes | None:
    """The whole file when its first line is the beginning of a document on several lines, else None."""
    following = source.peek(BUFFER).lstrip(BLANK)[:1]
    if bare[:1] not in (b"{", b"[") or bare[-1:] not in (b"{", b"[", b","):
        return None
    if bare not in (b"{", b"[") and following in (b"{", b""):
        return None
    rest = source.read(max_bytes + 1 - len(text))
    if len(text) + len(rest) > max_bytes:
        raise SourceError(f"{origin}: a JSON document of over {max_bytes} bytes; write one message a line, or raise max_line_bytes")
    return text.removeprefix(BOM) + rest


def _single(source: Buffered, origin: str, max_bytes: int) -> Frame:
    payload = source.read(max_bytes + 1)
    if len(payload) > max_bytes:
        raise SourceError(f"{origin}: one protobuf message of over {max_bytes} bytes; raise max_line_bytes if it is genuine")
    return Frame(payload, False, None, 0)


def _prefixed(source: Buffered, origin: str, max_bytes: int) -> Iterator[Frame]:
    offset = 0
    while prefix := source.read(4):
        size = int.from_bytes(prefix, "big")
        if len(prefix) < 4:
            raise SourceError(f"{origin}: cut at byte {offset + len(prefix)}, within the length of a message; deliver it again")
        if size > max_bytes:
            raise SourceError(
                f"{origin}: byte {offset} announces a message of {size} bytes, over max_line_bytes {max_bytes}: this is no file "
                "of length-prefixed OTLP messages, or it is damaged there"
            )
        payload = source.read(size)
        if len(payload) < size:
            raise SourceError(
                f"{origin}: the message at byte {offset} announces {size} bytes, but only {len(payload)} follow: cut at byte "
                f"{offset + 4 + len(payload)} (or not OTLP); nothing of the file was taken, deliver it again"
            )
        if payload.startswith(ZSTD_MAGIC):
            payload = _expanded(payload, origin, offset, max_bytes)
        yield Frame(payload, payload[:1] == b"{", None, offset)
        offset += 4 + size


def _expanded(payload: bytes, origin: str, offset: int, max_bytes: int) -> bytes:
    import zstandard

    try:
        found = zstandard.ZstdDecompressor().stream_reader(payload).read(max_bytes + 1)
    except zstandard.ZstdError as error:
        raise SourceError(f"{origin}: the compressed message at byte {offset} is damaged: {error}; deliver it again") from None
    if len(found) > max_bytes:
        raise SourceError(f"{origin}: the message at byte {offset} expands beyond max_line_bytes {max_bytes}")
    return bytes(found)
