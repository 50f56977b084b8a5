"""What people say of anomalies: false alarms, which raise what later ones of the series must exceed."""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from warehouse.errors import LakebedError
from warehouse.lake.state import next_time

if TYPE_CHECKING:
    from warehouse.lake.lake import Lake

NEWEST = "day = (SELECT max(day) FROM mart.anomalies)"


def say(lake: Lake, series_id: str, time: datetime, *, is_false_alarm: bool, reason: str | None = None, said_by: str | None = None) -> None:
    """Record what a person says of the anomaly of a series at an hour (UTC); the next analysis heeds what was said last.

    Raises LakebedError for an hour that was never found odd in that series."""
    known = "SELECT 1 FROM mart.anomalies WHERE series_id = ? AND time = ? UNION ALL SELECT 1 FROM meta.anomaly_feedback WHERE "
    if lake.connection.execute(f"{known} series_id = ? AND time = ? LIMIT 1", [series_id, time] * 2).fetchone() is None:
        raise LakebedError(f"no anomaly of {series_id!r} at {time:%Y-%m-%d %H:%M} UTC; `lakebed anomaly list` shows those there are")
    newest = lake.connection.execute("SELECT max(said_at) FROM meta.anomaly_feedback").fetchone()
    now = next_time(lake.connection, newest[0] if newest else None)
    lake.append_log("meta.anomaly_feedback", [(series_id, time, is_false_alarm, reason, said_by or getpass.getuser(), now)])


def anomalies(lake: Lake) -> list[dict[str, Any]]:
    """The anomalies of the last analysis and all that were called false alarms, the newest first, with what was said of them."""
    sql = f"""
        WITH said AS (
            FROM meta.anomaly_feedback QUALIFY row_number() OVER (PARTITION BY series_id, time ORDER BY said_at DESC) = 1
        ), found AS (SELECT * FROM mart.anomalies WHERE {NEWEST})
        SELECT series_id, time, value, expected, score, episode_id, coalesce(is_false_alarm, FALSE) AS is_false_alarm, reason, said_by
        FROM found FULL JOIN said USING (series_id, time)
        WHERE found.series_id IS NOT NULL OR is_false_alarm
        ORDER BY time DESC, series_id"""
    found: list[dict[str, Any]] = lake.query(sql).to_pylist()
    return found
