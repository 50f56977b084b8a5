"""A small project: a configuration, and a lake that holds a few samples."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lakebed.cli import app, console
from tests.lakes import at, open_lake, points_unit

CONFIG = '[lake]\nmemory_limit = "1GiB"\nthreads = 2\n'
Run = Callable[..., Result]


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a lake with four samples of two days."""
    folder = tmp_path_factory.mktemp("filled")
    (folder / "lakebed.toml").write_text(CONFIG)
    times = ("2026-03-01 01:00", "2026-03-01 02:00", "2026-03-02 03:00", "2026-03-02 04:00")
    with open_lake(folder) as lake:
        lake.land(points_unit("b1", [(i, at(t), i * 1.5) for i, t in enumerate(times)]))
    return folder


@pytest.fixture
def project(tmp_path: Path, filled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the working directory."""
    folder = tmp_path / "project"
    shutil.copytree(filled, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(console.out, "width", 200)
    monkeypatch.delenv("LAKEBED_CONFIG", raising=False)
    return folder


@pytest.fixture
def run() -> Run:
    """`run(*arguments, stdin="")` runs a command in this process; what it raises is in `.exception`."""
    return lambda *arguments, stdin="": CliRunner().invoke(app, list(arguments), input=stdin)
