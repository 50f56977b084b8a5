"""F1 of change points as in the Turing Change Point Dataset.

A found place is right when it lies within the margin of a marked one that no other has taken. The start of a series counts as marked and as
found. Precision is taken against what any annotator marked, recall is the mean of the recalls against each annotator.
Source: van den Burg and Williams, "An evaluation of change point detection algorithms", arXiv:2003.06222 (2020), section 4. Their program
takes the marks in the order of a Python set; here they are taken in order of place.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping


def true_positives(marks: Collection[int], found: Collection[int], margin: int) -> int:
    """How many marked places have a found one of their own within the margin; each takes the nearest that is left, in order of place."""
    left, hits = set(found), 0
    for mark in sorted(marks):
        near = min(left, key=lambda place: (abs(place - mark), place), default=None)
        if near is not None and abs(near - mark) <= margin:
            left.remove(near)
            hits += 1
    return hits


def f1(marks: Mapping[str, Collection[int]], found: Collection[int], margin: int) -> float:
    """F1 of one series: places that each annotator marked, places found (first index after a change)."""
    answers = [{0, *places} for places in marks.values()]
    places = {0, *found}
    precision = true_positives(set().union(*answers), places, margin) / len(places)
    recall = statistics.fmean(true_positives(answer, places, margin) / len(answer) for answer in answers)
    return 2 * precision * recall / (precision + recall)
