"""Identity of a time series: a 64-bit hash of source, metric name and sorted labels, the same in Python and in SQL.

The text that is hashed is a sequence of netstrings (`<bytes>:<text>`), so no choice of names and labels can read as another one. The upper
12 bits depend on source and metric name alone: sorted by id, the series of a metric stand together, and a query for one metric leaves out
the row groups of the others. 52 bits are left to tell a metric's series apart (a collision is refused at ingest)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

METRIC_BITS = 12

SERIES_ID_MACRO = f"""
CREATE OR REPLACE TEMP MACRO series_id(src, metric, labels) AS (
    (md5_number_lower(strlen(src) || ':' || src || strlen(metric) || ':' || metric) >> {64 - METRIC_BITS} << {64 - METRIC_BITS})
    | (md5_number_lower(
        strlen(src) || ':' || src || strlen(metric) || ':' || metric
        || coalesce(list_aggregate(
            list_transform(list_sort(map_keys(labels)), lambda k:
                strlen(k) || ':' || k || strlen(labels[k]) || ':' || labels[k]), 'string_agg', '')
            , '')) >> {METRIC_BITS}))
"""


def series_id(source: str, metric: str, labels: Mapping[str, str]) -> int:
    """The id of a series, an unsigned 64-bit integer. Labels are sorted by the bytes of their UTF-8 keys."""
    parts = []
    for key in sorted(labels, key=str.encode):
        parts += [key, labels[key]]
    metric_text = _netstrings([source, metric])
    low_bits = 64 - METRIC_BITS
    return _hash(metric_text) >> low_bits << low_bits | _hash(metric_text + _netstrings(parts)) >> METRIC_BITS


def _netstrings(parts: list[str]) -> bytes:
    return b"".join(b"%d:%s" % (len(raw), raw) for raw in (part.encode() for part in parts))


def _hash(text: bytes) -> int:
    return int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest()[8:], "little")
