"""Raw samples over the HTTP API of Prometheus, Thanos, Mimir and VictoriaMetrics, as units of one day (or of the open
day so far).

`days` decides what to ask for, `windows` asks in pieces that the server can answer, `matrix` and `lines` read the two
forms of answer, `metadata` tells kinds and units, `spool` holds a unit's rows on disk until the lake takes them."""

from __future__ import annotations

from sources.prometheus.days import units

__all__ = ["units"]
