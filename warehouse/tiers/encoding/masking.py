"""Lines cut into what varies and what stays: a pattern finds the variable tokens, the rest is the line's shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MARK = "\x01"
"""Stands for a token in a shape. Lines that hold it, or NUL (which ends a format string in DuckDB), are never masked."""

TIME = (
    r"[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
    r"|[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"|[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
)
UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
ADDRESS = r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}"
FINE = f"{TIME}|{UUID}|{ADDRESS}|[A-Za-z]*[0-9][A-Za-z0-9]*"
"""Words with a digit in them, and times, uuids and addresses as one token each."""
COARSE = rf'{TIME}|"(?:[^"\\]|\\.)*"|[^\s"\[\](){{}},;=]+'
"""Every word, and what is quoted as one token: for lines that hardly repeat, such as access logs."""


@dataclass(frozen=True, slots=True)
class Masked:
    """n lines. shape: number of each line's shape in `shapes`; tokens of line i are `tokens[code[start[i]:start[i + 1]]]`.

    shapes: the distinct texts between tokens, with MARK for each token. tokens: the distinct tokens."""

    shape: Ints
    shapes: list[str]
    start: Ints
    code: Ints
    tokens: pl.Series


def mask(lines: pl.Series, pattern: str) -> Masked:
    """Cut lines (text, no NULL, none with MARK) into shapes and tokens by a regular expression; joined again they are the lines."""
    encoded = _dictionary(lines.str.replace_all(pattern, MARK).to_arrow())
    found: Any = lines.str.extract_all(pattern).to_arrow()
    start = found.offsets.to_numpy().astype(np.int64)
    words = _dictionary(found.values.slice(start[0], start[-1] - start[0]))
    return Masked(
        _codes(encoded), encoded.dictionary.to_pylist(), start - start[0], _codes(words), pl.Series("tokens", words.dictionary, pl.String)
    )


def maskable(lines: pl.Series) -> Flags:
    """Which lines (NULL: not) hold neither MARK nor NUL."""
    clean = lines.is_not_null() & ~lines.fill_null("").str.contains(r"[\x00\x01]")
    return clean.to_numpy()


def _dictionary(array: Any) -> Any:
    return pa.array(array).dictionary_encode()


def _codes(encoded: Any) -> Ints:
    codes: Ints = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes
