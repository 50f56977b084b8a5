"""The data dictionary says what the contracts say."""

from __future__ import annotations

from pathlib import Path

import pytest

from warehouse.contracts import CONTRACTS, Contract
from warehouse.contracts.dictionary import SCHEMAS, render

FILE = Path(__file__).resolve().parents[3] / "docs" / "data-dictionary.md"


def test_the_page_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == render(), "run `python -m warehouse.contracts.dictionary > docs/data-dictionary.md`"


def test_every_schema_has_a_chapter() -> None:
    assert {c.schema for c in CONTRACTS.values()} == set(SCHEMAS)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=list(CONTRACTS))
def test_everything_in_a_contract_is_on_the_page(contract: Contract) -> None:
    heading = f"\n### {contract.full_name}\n"
    assert render().count(heading) == 1
    section = render().split(heading)[1].split("\n### ")[0].split("\n## ")[0]
    named = [*contract.column_names, *(r.name for r in contract.row_rules), *(e.name for e in contract.expectations)]
    assert [name for name in named if f"| `{name}` |" not in section] == []


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    cells = 0
    for line in render().splitlines():
        count = line.replace("\\|", "").count("|")
        cells = cells if count and cells else count
        assert count == cells, line
        cells = count
