"""The F1 that change points are judged by, against the values that its authors give beside their program."""

from __future__ import annotations

import pytest

from benchmarks.changepoint_score import f1, true_positives


@pytest.mark.parametrize(
    ("marks", "found", "expected"),
    [
        ({"1": [10, 20], "2": [11, 20], "3": [10], "4": [0, 5]}, [10, 20], 1.0),
        ({"1": [], "2": [10], "3": [50]}, [10], 10 / 11),
        ({"1": [], "2": [10], "3": [50]}, [], 0.8),
        ({"1": [10]}, [15, 16], 0.8),  # 0 and 15 are right, 16 has nothing left
        ({"1": [10]}, [16], 0.5),
    ],
)
def test_f1_of_the_turing_change_point_dataset(marks: dict[str, list[int]], found: list[int], expected: float) -> None:
    assert f1(marks, found, 5) == pytest.approx(expected)


def test_a_found_place_is_right_for_one_mark_only() -> None:
    assert true_positives({1, 10, 20, 23}, {3, 8, 20}, 5) == 3
    assert true_positives({1, 10, 20, 23}, {1, 3, 5, 8, 20}, 5) == 3
    assert true_positives(set(), {1}, 5) == true_positives({1}, set(), 5) == 0
