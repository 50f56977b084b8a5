"""Guides: every command in them is one that the command line takes, and their SQL runs on an empty lake."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import Result

from lakebed.cli import app
from warehouse.settings import parse

ROOT = Path(__file__).resolve().parents[3]
GUIDES = ("README.md", "docs/operations.md", "docs/bi.md", "docs/capacity.md", "docs/sources.md")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`(lakebed [a-z][^`]*)`")


def text(guide: str) -> str:
    return (ROOT / guide).read_text(encoding="utf-8")


def commands(guide: str) -> list[list[str]]:
    """Arguments of every `lakebed ...` in shell blocks and in code within the text."""
    lines = [line for kind, block in BLOCK.findall(text(guide)) if kind == "sh" for line in block.splitlines()]
    lines += INLINE.findall(BLOCK.sub("", text(guide)))
    words = [shlex.split(line.partition(" > ")[0], comments=True) for line in lines]
    return [found[1:] for found in words if found and found[0].rpartition("/")[2] == "lakebed"]


def statements(guide: str) -> list[str]:
    blocks = [block for kind, block in BLOCK.findall(text(guide)) if kind == "sql" and "ATTACH" not in block]
    return [s.strip() for block in blocks for s in re.sub(r"--.*", "", block).split(";") if s.strip()]


@pytest.mark.parametrize("arguments", [pytest.param(c, id=" ".join(c)) for guide in GUIDES for c in commands(guide)])
def test_commands_are_taken(arguments: list[str]) -> None:
    command = typer.main.get_command(app)
    while isinstance(command, TyperGroup) and arguments:
        name, *arguments = arguments
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    if arguments:  # a command that is only named, in a sentence, needs none
        command.make_context(command.name, arguments)


def test_sql_runs(project: Path, run: Callable[..., Result]) -> None:
    asked = [s for guide in GUIDES for s in statements(guide)]
    asked += [
        arguments[1]
        for guide in GUIDES
        for arguments in commands(guide)
        if arguments[0] == "sql" and arguments[1:] and arguments[1][0] != "-"
    ]
    assert len(asked) > 6
    for sql in asked:
        result = run("sql", sql)
        assert result.exit_code == 0, (sql, result.exception, result.output)


@pytest.mark.parametrize("guide", GUIDES)
def test_links_lead_somewhere(guide: str) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text(guide)):
        assert (ROOT / guide).parent.joinpath(target).exists(), target


def test_what_the_capacity_guide_configures_is_taken() -> None:
    blocks = [block for kind, block in BLOCK.findall(text("docs/capacity.md")) if kind == "toml"]
    settings = parse(tomllib.loads("\n".join(blocks)), ROOT / "lakebed.toml")
    assert [rule.kind for rule in settings.capacity] == ["pool", "quota", "licence"]
    assert (settings.models.holidays, settings.scenarios["migration"].factor) == ("US", 1.4)
