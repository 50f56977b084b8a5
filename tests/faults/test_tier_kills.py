"""kill -9 while days go through every tier and a subject is erased: afterwards every row is there, and once."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from tests.faults.tiers import kill_in_tiers, make_days

pytestmark = [pytest.mark.faults, pytest.mark.server]

KILLS = int(os.environ.get("LAKEBED_TIER_KILLS", "40"))
ROWS = 60_000


@pytest.fixture(scope="session")
def days(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[date, int], Path]:
    return make_days(tmp_path_factory.mktemp("tier_days"), ROWS)


def test_kills_in_the_tiers_lose_tear_and_double_nothing(tmp_path: Path, catalog: str, days: dict[tuple[date, int], Path]) -> None:
    toll = kill_in_tiers(tmp_path, catalog, days, KILLS)
    assert toll.kills.total() == KILLS
    assert toll.wrong == 0, toll.said
    assert len({what for what, _ in toll.kills}) > 4
