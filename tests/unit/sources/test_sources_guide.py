"""The guide to sources: its examples are valid configuration, and every kind has a chapter."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from sources import KINDS
from warehouse.settings import parse

GUIDE = (Path(__file__).resolve().parents[3] / "docs" / "sources.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_valid(example: str) -> None:
    assert parse(tomllib.loads(example), Path("lakebed.toml")).sources


def test_every_kind_has_a_chapter_with_an_example() -> None:
    chapters = dict(re.findall(r"\n## (\w+)\n(.*?)(?=\n## |\Z)", GUIDE, re.DOTALL))
    for kind in (*KINDS, "group"):
        assert f'kind = "{kind}"' in chapters[kind]
