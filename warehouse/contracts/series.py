"""Identity of a time series: a 64-bit hash of source, metric name and sorted labels, the same in Python and in SQL.

The text that is hashed is a sequence of netstrings (`<bytes>:<text>`), so no choice of names and labels can read as another one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

SERIES_ID_MACRO = """
CREATE OR REPLACE TEMP MACRO series_id(src, metric, labels) AS md5_number_lower(
    strlen(src) || ':' || src || strlen(metric) || ':' || metric
    || coalesce(list_aggregate(
        list_transform(list_sort(map_keys(labels)), lambda k:
            strlen(k) || ':' || k || strlen(labels[k]) || ':' || labels[k]), 'string_agg', ''), ''))
"""


def series_id(source: str, metric: str, labels: Mapping[str, str]) -> int:
    """The id of a series, an unsigned 64-bit integer. Labels are sorted by the bytes of their UTF-8 keys."""
    parts = [source, metric]
    for key in sorted(labels, key=str.encode):
        parts += [key, labels[key]]
    text = b"".join(b"%d:%s" % (len(raw), raw) for raw in (part.encode() for part in parts))
    return int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest()[8:], "little")
