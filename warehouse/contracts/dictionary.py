"""The data dictionary: every contract as Markdown. `python -m warehouse.contracts.dictionary > docs/data-dictionary.md` writes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from warehouse.contracts import CONTRACTS
from warehouse.contracts.model import Contract, Expectation, RowRule

SCHEMAS = {
    "raw": "as it came, typed; every row names its source and the batch that brought it",
    "core": "conformed: one name per service and resource, counters as rates, roll-ups",
    "mart": "answers, one table per question that people ask",
    "meta": "what the platform knows about itself",
}
SHAPES = {
    "event": "Rows belong to a day, are appended or replaced, and do not change.",
    "entity": "Rows change in place under their key and belong to no day.",
    "snapshot": "Rows change in place under their key, and belong to a day.",
    "log": "Append-only record.",
}
LONGEST_CONDITION = 160
HEAD = """\
# Data dictionary

Generated from the contracts in `warehouse/contracts` by `python -m warehouse.contracts.dictionary`; a test keeps the two equal.
Times are UTC. Units are UCUM; a money column's unit is the column that names its currency. **Required** columns are never NULL.
A row that breaks a *row rule* goes to `quarantine.<table>` under the rule's name and the others land. An *expectation* is checked on the
days that were written: `error` keeps a day out of everything downstream until it is mended or waved through, `warn` is recorded.
"""


def render() -> str:
    """All contracts as one Markdown document: an index, then columns, grain, rules and expectations of each table."""
    parts = [HEAD]
    for schema, meaning in SCHEMAS.items():
        tables = [c for c in CONTRACTS.values() if c.schema == schema]
        parts.append(f"## {schema}\n\n`{schema}.*`: {meaning}.\n")
        parts.append(_table(("table", "holds"), ((f"[{c.full_name}](#{_anchor(c.full_name)})", c.description) for c in tables)))
        parts += [_contract(c) for c in tables]
    return "\n".join(parts)


def _contract(contract: Contract) -> str:
    facts = [SHAPES[contract.shape], f"One row per {_names(contract.grain)}."]
    if contract.time_column:
        facts.append(f"Time: `{contract.time_column}`.")
    if contract.sort_key:
        facts.append(f"Sorted by {_names(contract.sort_key)} once settled.")
    if contract.collapse and contract.shape == "event":
        facts.append("Equal rows of one grain become one.")
    if contract.immutable:
        facts.append(f"{_names(contract.immutable)} may never differ under one key.")
    if contract.may_be_empty:
        facts.append("A day without rows is no fault.")
    facts.append(f"Owner: {contract.owner}.")
    columns = ((f"`{c.name}`", f"`{c.type}`", _unit(c.unit), "yes" if c.required else "", c.description) for c in contract.columns)
    parts = [
        f"### {contract.full_name}\n",
        f"{contract.description}.\n",
        f"{' '.join(facts)}\n",
        _table(("column", "type", "unit", "required", "meaning"), columns),
    ]
    if contract.row_rules:
        parts.append(_table(("row rule", "what must hold", "as SQL"), map(_rule, contract.row_rules)))
    if contract.expectations:
        parts.append(_table(("expectation", "severity", "what is expected"), map(_expectation, contract.expectations)))
    return "\n".join(parts)


def _rule(rule: RowRule) -> tuple[str, str, str]:
    condition = " ".join(rule.condition.split())
    return f"`{rule.name}`", rule.description, f"`{condition}`" if len(condition) <= LONGEST_CONDITION else ""


def _expectation(expectation: Expectation) -> tuple[str, str, str]:
    text = expectation.description
    if expectation.columns:
        text += f" ({_names(expectation.columns)})"
    if expectation.minimum is not None or expectation.maximum is not None:
        text += f"; from {_bound(expectation.minimum)} to {_bound(expectation.maximum)}"
    if expectation.values:
        text += f"; one of {_names(expectation.values)}"
    return f"`{expectation.name}`", expectation.severity, text


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def _unit(unit: str | None) -> str:
    return f"`{unit}`" if unit else ""


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _anchor(name: str) -> str:
    """The fragment that GitHub makes of a heading."""
    return name.lower().replace(".", "")


if __name__ == "__main__":
    print(render(), end="")  # noqa: T201 - the document is this module's output
