"""Units that sources write, and what they become."""

from __future__ import annotations

import pytest

from sources.ucum import UCUM, WORDS, base_unit
from warehouse.contracts import contract


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


def known_units() -> set[str]:
    """What the contract of series does not warn of."""
    (rule,) = [e for e in contract("raw.metric_series").expectations if e.name == "unit_known"]
    return {str(value) for value in rule.values}


def test_every_base_is_known_to_the_contract() -> None:
    assert {base for base, _ in (UCUM | WORDS).values()} <= known_units()


@pytest.mark.parametrize(
    "written", ["By/s", "MiBy/s", "bit/s", "Bytes/Second", "1/s", "{packet}/s", "{request}/min", "Count/Second", "m/s"]
)
def test_rates_are_known_to_the_contract(written: str) -> None:
    assert base_unit(written)[0] in known_units()


@pytest.mark.parametrize("written", ["furlong", "ms/furlong", "Cel/By"])
def test_what_is_no_usual_unit_is_warned_of(written: str) -> None:
    assert base_unit(written)[0] not in known_units()
