"""Fixtures that every test may use: the real data sets and the programs of real servers, or a reason why they are not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.integration import servers

settings.register_profile("lakebed", deadline=None)  # machines are shared: how long an example takes says nothing
settings.load_profile("lakebed")

REQUIRE_ALL = os.environ.get("LAKEBED_REQUIRE_ALL") == "1"


def unavailable(reason: str) -> None:
    """Skip with the reason, or fail where everything that can be installed is required (LAKEBED_REQUIRE_ALL=1)."""
    if REQUIRE_ALL:
        pytest.fail(f"LAKEBED_REQUIRE_ALL=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder with the real data sets."""
    given = os.environ.get("LAKEBED_REALDATA")
    folder = Path(given or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not (folder / "README.md").is_file():
        absent = unavailable if given else pytest.skip  # data is nothing that can be installed: required where it was said to be
        absent(f"the real data sets are not at {folder}; set LAKEBED_REALDATA to their folder")
    return folder


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], str]:
    """`program(name, package)` is the path of a server's program, else the test is skipped with the package to install."""

    def find(name: str, package: str) -> str:
        found = servers.find_program(name)
        if found is None:
            unavailable(f"{name} is not installed (Debian package {package})")
        assert found is not None
        return found

    return find
