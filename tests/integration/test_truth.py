"""The whole platform over a simulated company: what it finds is what was hidden there.

`make truth` runs one seed, because each takes minutes, and `make truth SEEDS=0,1,2,3` others; `python -m benchmarks.truth`
runs all of them at full scale."""

from __future__ import annotations

import os

import pytest

from benchmarks.truth import demo, missed

pytestmark = pytest.mark.truth

SEEDS = [int(seed) for seed in os.environ.get("LAKEBED_TRUTH_SEEDS", "1").split(",")]
SCALE = 0.5
"""Half of the spans. At 0.15 a service has eight requests a day, too few to place its deploy to the day."""
END = "2026-11-22"
QUESTIONS = 14


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_hidden_is_found(seed: int) -> None:
    found = demo(seed, SCALE, end=END)
    assert len(found["findings"]) == QUESTIONS
    assert missed(found) == []
    assert found["blocked"] == []
