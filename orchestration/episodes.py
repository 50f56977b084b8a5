"""Anomalies of an hour become episodes: what was odd together, where it may have begun, and which incident and change lie by it."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from models.anomaly import corroborated, episodes, together
from models.trend import nearest_changes

HOUR = timedelta(hours=1)
GAP = timedelta(hours=2)
"""Odd hours of services that call each other are one episode with no more than this between them: over one quiet hour."""
CAUSE = timedelta(days=1)
"""A change so long before an episode may be behind it."""


def find_episodes(scored: pl.DataFrame, dependencies: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The episodes in hourly scores, and which alarm is part of which.

    scored: series_id, service, time, score, is_anomaly; dependencies: parent_service, child_service. Returns the episodes with alarms in
    two series, or in the only one that its services have (episode_id, start_time, end_time, rank, service, probability, evidence,
    anomaly_count; end_time is the end of the last odd hour) and series_id, time, episode_id of their alarms. The id is the first odd hour
    of the likely origin, and its name."""
    calls = dependencies.select(caller="parent_service", callee="child_service")
    evidence = corroborated(scored, calls, gap=GAP)
    ranked = episodes(evidence, calls, gap=GAP)
    name = pl.format("{}/{}", pl.col("first_time").dt.strftime("%Y-%m-%dT%H"), "service").alias("episode_id")
    names = ranked.filter(pl.col("rank") == 1).select("episode", name)
    alarms = together(evidence, calls, gap=GAP).join(evidence.filter("is_anomaly"), on=["series_id", "time"], how="semi")
    known = scored.group_by("service").agg(series=pl.col("series_id").n_unique())
    several = ranked.join(known, on="service").group_by("episode").agg(needed=pl.col("series").sum().clip(upper_bound=2))
    alarmed = alarms.group_by("episode").agg(alarmed=pl.col("series_id").n_unique())
    agreed = several.join(alarmed, on="episode").filter(pl.col("alarmed") >= pl.col("needed"))
    told = ranked.join(names, on="episode", how="left").join(agreed, on="episode", how="semi")
    columns = ["episode_id", "start_time", pl.col("end_time") + HOUR, "rank", "service", "probability", "evidence", "anomaly_count"]
    return told.select(columns), alarms.join(agreed, on="episode", how="semi").join(names, on="episode", how="left").select(
        "series_id", "time", "episode_id"
    )


def explained(found: pl.DataFrame, incidents: pl.DataFrame, changes: pl.DataFrame, dependencies: pl.DataFrame) -> pl.DataFrame:
    """Episodes with incident_id, incident_title, and change_id, change_kind, change_title, change_service, change_distance_h; or nulls.

    The incident overlaps the episode in one of its services, the likelier origin first, then the nearest start. The change is the nearest
    that the likely origin, or what that depends on, had up to `CAUSE` before, or in the first hour itself.
    incidents: incident_id, title, service, start_time, end_time; changes, dependencies: as `nearest_changes` takes them."""
    apart = (pl.col("start_time") - pl.col("incident_start")).abs()
    felt = incidents.select("incident_id", "service", incident_title="title", incident_start="start_time", incident_end="end_time")
    beside = (
        found.join(felt, on="service", how="inner")
        .filter((pl.col("incident_start") < pl.col("end_time")) & (pl.col("incident_end") > pl.col("start_time")))
        .sort("rank", apart, "incident_id")
        .unique("episode_id", keep="first", maintain_order=True)
        .select("episode_id", "incident_id", "incident_title")
    )
    origins = found.filter(pl.col("rank") == 1).select("service", series_id="episode_id", time="start_time")
    behind = nearest_changes(origins, changes, dependencies, within=CAUSE, late=HOUR).drop("service", "time")
    return found.join(beside, on="episode_id", how="left").join(behind, left_on="episode_id", right_on="series_id", how="left")
