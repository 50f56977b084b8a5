"""Units that sources write, and what they become."""

from __future__ import annotations

import pytest

from sources.ucum import base_unit


@pytest.mark.parametrize(
    ("written", "base", "scale"),
    [
        ("ms", "s", 0.001),
        ("us", "s", 1e-6),
        ("ns", "s", 1e-9),
        ("s", "s", 1.0),
        ("min", "s", 60.0),
        ("KiBy", "By", 1024.0),
        ("MiBy", "By", 1048576.0),
        ("MBy", "By", 1e6),
        ("kbit", "By", 125.0),
        ("1", "1", 1.0),
        ("%", "%", 1.0),
        ("{request}", "1", 1.0),
        ("{packet}/s", "1/s", 1.0),
        ("By/s", "By/s", 1.0),
        ("MiBy/min", "By/s", 1048576.0 / 60),
        ("1/ms", "1/s", 1000.0),
        ("s/s", "1", 1.0),
        ("seconds", "s", 1.0),
        ("Percent", "%", 1.0),
        ("Count/Second", "1/s", 1.0),
        ("Cel", "Cel", 1.0),
        ("celsius", "Cel", 1.0),
        ("kWh", "J", 3.6e6),
        ("furlong", "furlong", 1.0),
        ("ms/furlong", "ms/furlong", 1.0),
        ("S", "S", 1.0),
    ],
)
def test_base_unit(written: str, base: str, scale: float) -> None:
    assert base_unit(written) == (base, scale)


@pytest.mark.parametrize("written", [None, "", "  ", "None", "unknown"])
def test_no_unit(written: str | None) -> None:
    assert base_unit(written) == (None, 1.0)
