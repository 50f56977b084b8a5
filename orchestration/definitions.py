"""Everything that Dagster knows of Lakebed, put together by one function that tests can give other resources."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from dagster import AssetCheckKey, AssetSelection, Definitions, define_asset_job, in_process_executor

from orchestration.analyses import ANALYSED
from orchestration.analysis_assets import analysis_assets
from orchestration.checks.asset_checks import ERRORS, WARNINGS, all_checks
from orchestration.derived_assets import sql_asset
from orchestration.metadata import key_of
from orchestration.partitions import daily
from orchestration.planning import Work
from orchestration.raw_assets import RAW_TABLES, raw_assets
from orchestration.resources import Platform
from orchestration.schedules import schedules
from orchestration.sensors import sensors
from orchestration.upkeep_assets import UPKEEP, upkeep_assets
from transforms.model import load_models
from warehouse.settings import Settings, load, parse

CONFIG_VARIABLE = "LAKEBED_CONFIG"
DEFAULT_CONFIG = "lakebed.toml"


def config_file() -> Path:
    """The configuration of this process: $LAKEBED_CONFIG, else lakebed.toml here."""
    return Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG))


def settings_of(file: Path) -> Settings:
    """The configuration, or the defaults (no sources) where there is none yet, so that the UI opens and says so."""
    return load(file) if file.is_file() or CONFIG_VARIABLE in os.environ else parse({}, file)


def first_day_file(settings: Settings) -> Path:
    """Remembers the first day that the lake holds, so that partitions begin there without opening the lake."""
    return settings.root / ".lakebed" / "first_day"


def start_day(settings: Settings) -> date | None:
    """Where partitions begin: the configuration, else the first day of the data, else None (90 days ago)."""
    file = first_day_file(settings)
    return settings.start_day or (date.fromisoformat(file.read_text().strip()) if file.is_file() else None)


def steps_of(work: Work) -> AssetSelection:
    """The assets and checks of a planned run."""
    checks = (AssetCheckKey(key_of(table), name) for table in sorted(work.checks) for name in (ERRORS, WARNINGS))
    return AssetSelection.assets(*map(key_of, sorted(work.builds))).without_checks() | AssetSelection.checks(*checks)


def build_defs(file: Path | None = None, *, resource_overrides: Mapping[str, Any] | None = None, work: Work | None = None) -> Definitions:
    """Assets, checks, jobs, schedules and sensors for a configuration.

    resource_overrides: resources by name that replace the real ones (tests, in-process runs with progress). work: what the job `derive`
    is narrowed to; by default it has the steps of every table."""
    path = (file or config_file()).absolute()
    settings = settings_of(path)
    partitions = daily(start_day(settings))
    models = load_models()
    assets = [
        raw_assets(partitions),
        *(sql_asset(m, partitions) for m in models.values()),
        *analysis_assets(),
        *upkeep_assets(),
    ]
    keys = [key_of(name) for name in RAW_TABLES]
    analysed = AssetSelection.assets(*(key_of(name) for name in ANALYSED))
    raw, raw_checks = AssetSelection.assets(*keys), AssetSelection.checks_for_assets(*keys)
    everything = AssetSelection.all() - AssetSelection.groups(*UPKEEP)
    every_step = raw_checks | (everything - raw - analysed)
    jobs = [
        define_asset_job("ingest", raw, description="Read every source and check what landed"),
        define_asset_job("derive", steps_of(work) if work else every_step, description="Check raw days; core and SQL marts"),
        define_asset_job("analyse", analysed, description="Models over the history: trends, capacity, cost, return on investment"),
        define_asset_job("daily", everything, description="Yesterday: sources, core, mart, models, publishing"),
        define_asset_job("publish", AssetSelection.groups("publish"), description="Build and swap in warehouse.duckdb"),
        define_asset_job("retention", AssetSelection.groups("retention"), description="Settle, archive, drop, tidy"),
        define_asset_job("restore_drill", AssetSelection.groups("drill"), description="Restore a sealed bundle and compare"),
        define_asset_job("executive_report", AssetSelection.groups("report"), description="The report for the month"),
    ]
    resources = {"platform": Platform(config_file=str(path)), **(resource_overrides or {})}
    return Definitions(
        executor=in_process_executor,  # one lake connection and one import of Great Expectations per run, not per step
        assets=assets,
        asset_checks=all_checks(ANALYSED),
        jobs=jobs,
        schedules=schedules(),
        sensors=sensors(settings),
        resources=resources,
    )


defs = build_defs()
