"""A lake per test: a copy of one empty lake, because creating the tables takes longer than most tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lakes import open_lake
from warehouse.lake.lake import Lake


@pytest.fixture(scope="session")
def empty_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty lake."""
    folder = tmp_path_factory.mktemp("empty")
    open_lake(folder).close()
    return folder


@pytest.fixture
def lake(tmp_path: Path, empty_lake: Path) -> Iterator[Lake]:
    """An empty lake in a temporary folder."""
    shutil.copytree(empty_lake, tmp_path, dirs_exist_ok=True)
    with open_lake(tmp_path) as opened:
        yield opened
