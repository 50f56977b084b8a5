"""The whole platform over a simulated company: what it finds is what was hidden there.

One seed by default, because each takes minutes; LAKEBED_TRUTH_SEEDS names others (`LAKEBED_TRUTH_SEEDS=0,1,2,3`), and
`python -m benchmarks.truth` runs all of them at full scale."""

from __future__ import annotations

import os

import pytest

from benchmarks.truth import demo, missed

SEEDS = [int(seed) for seed in os.environ.get("LAKEBED_TRUTH_SEEDS", "1").split(",")]
SCALE = 0.15
"""The smallest that leaves metrics hourly, which is what the analyses work on."""
END = "2026-08-30"
QUESTIONS = 11


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_hidden_is_found(seed: int) -> None:
    found = demo(seed, SCALE, end=END)
    assert len(found["findings"]) == QUESTIONS
    assert missed(found) == []
    assert found["blocked"] == []
