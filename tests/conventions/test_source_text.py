"""What holds for the text of every file: docstrings, no address of a package index, no path of one machine, names that agree."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from transforms.model import load_models
from warehouse.contracts import CONTRACTS

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("sources", "warehouse", "transforms", "models", "reports", "orchestration", "lakebed")
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc"}
HOSTS = "|".join(("py" + "pi", "python" + "hosted", "artifactory", "nexus", "devpi"))  # put together, so that this file does not name one
INDEX = re.compile(rf"https?://[\w.-]*({HOSTS})|(?<!no-emit-)(extra-)?index-url", re.IGNORECASE)
MACHINE = re.compile(r"(?<![\w.$}/-])/(work|root|home/\w+)/")
DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def tracked() -> list[Path]:
    """Text files of the project: those that git knows, or all where there is no git."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.splitlines() if listed.returncode == 0 else []
    files = [ROOT / n for n in names] or [p for p in ROOT.rglob("*") if ".venv" not in p.parts]
    return [p for p in files if p.is_file() and not p.is_symlink()]


def modules() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))


def public(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, DEFINITIONS]]:
    """Public functions, classes and their public methods."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, DEFINITIONS) and not child.name.startswith("_"):
            yield f"{prefix}{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{child.name}.")


@pytest.mark.parametrize("room", ROOMS)
def test_modules_and_what_is_public_in_them_have_docstrings(room: str) -> None:
    missing = []
    for file in sorted((ROOT / room).rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        name = file.relative_to(ROOT)
        if not ast.get_docstring(tree):
            missing.append(str(name))
        missing += [f"{name}: {label}" for label, node in public(tree) if not ast.get_docstring(node) and not overrides(node)]
    assert missing == []


def overrides(node: DEFINITIONS) -> bool:
    """Methods that a base class documents."""
    return any(isinstance(d, ast.Name) and d.id in ("override", "overload") for d in node.decorator_list)


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [str(m.relative_to(ROOT)) for m in modules() if m.stem in VAGUE or m.parent.name in VAGUE] == []


@pytest.mark.parametrize("pattern", [INDEX, MACHINE], ids=["package index", "path of a machine"])
def test_no_file_names(pattern: re.Pattern[str]) -> None:
    found = []
    for file in tracked():
        if file == Path(__file__):
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{file.relative_to(ROOT)}: {match.group()}" for match in pattern.finditer(text)]
    assert found == []


def test_a_table_is_called_as_the_file_that_builds_it() -> None:
    for name, model in load_models().items():
        schema, _, table = name.partition(".")
        assert (ROOT / "transforms" / schema / f"{table}.sql").is_file()
        assert (model.name, CONTRACTS[name].full_name) == (name, name)


def test_contracts_hold_no_type_that_the_lake_rounds_or_refuses() -> None:
    refused = re.compile(r"HUGEINT|ENUM|TIMESTAMPTZ|WITH TIME ZONE|BIT|UNION|\[\d+\]")
    assert [f"{t.full_name}.{c.name}" for t in CONTRACTS.values() for c in t.columns if refused.search(c.type)] == []
