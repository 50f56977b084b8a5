"""A PostgreSQL catalog is backed up with pg_dump, and what was dumped brings the lake back."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.lakes import at, points_unit, stored
from warehouse.archive.backup import backup_catalog, list_backups, opened
from warehouse.archive.drilling import drill
from warehouse.archive.storage import storage_of
from warehouse.archive.verifying import verify
from warehouse.errors import ArchiveError
from warehouse.lake.lake import Lake
from warehouse.settings import Settings, parse

pytestmark = pytest.mark.server


def settings_of(dsn: str, folder: Path) -> Settings:
    """A lake whose catalog is in PostgreSQL."""
    return parse({"lake": {"catalog": f"postgres:{dsn}", "memory_limit": "512MiB", "threads": 2}}, folder / "lakebed.toml")


def test_a_dump_brings_the_lake_back(postgres_dsn: str, tmp_path: Path, program: Callable[[str, str], str]) -> None:
    settings = settings_of(postgres_dsn, tmp_path)
    with Lake.open(settings) as lake:
        lake.land(points_unit("b1", [(n, at(f"2026-03-01 10:0{n}"), n / 7) for n in range(5)]))
        expected = stored(lake)
        backup = backup_catalog(lake)
        assert (backup.kind, list_backups(storage_of(lake))) == ("postgres", [backup])
        assert verify(lake).problems == []
        assert [d.equal for d in drill(lake)] == [True]
        with opened(storage_of(lake), backup) as copy:
            dump = tmp_path / "dump"
            dump.write_bytes(copy.read_bytes())
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    command = [program("pg_restore", "postgresql"), f"--dbname={postgres_dsn}", "--no-owner", "--clean", "--if-exists", str(dump)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    with Lake.open(settings) as lake:
        assert stored(lake) == expected


def test_a_dump_that_fails_says_why_without_the_password(postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Lake.open(settings_of(postgres_dsn, tmp_path)) as lake:
        monkeypatch.setenv("PATH", "")
        with pytest.raises(ArchiveError, match="pg_dump is not installed"):
            backup_catalog(lake)
