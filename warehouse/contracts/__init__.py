"""Every table once: columns, types, units, grain, rules and expectations. DDL, Arrow schemas and checks are derived from here."""

from __future__ import annotations

import difflib

from warehouse.contracts.capacity import CAPACITY
from warehouse.contracts.core import CORE
from warehouse.contracts.mart import MART
from warehouse.contracts.meta import META
from warehouse.contracts.model import Column, Contract, Expectation, RowRule, Severity
from warehouse.contracts.raw import RAW
from warehouse.contracts.rollups import ROLLUPS
from warehouse.contracts.series import series_id
from warehouse.errors import ContractError

CONTRACTS: dict[str, Contract] = {c.full_name: c for c in (*RAW, *ROLLUPS, *CORE, *MART, *CAPACITY, *META)}


def contract(full_name: str) -> Contract:
    """The contract of `schema.name`. Raises ContractError that names the nearest table when there is none."""
    try:
        return CONTRACTS[full_name]
    except KeyError:
        near = difflib.get_close_matches(full_name, CONTRACTS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ContractError(f"there is no table {full_name!r}{hint}") from None


__all__ = ["CONTRACTS", "Column", "Contract", "Expectation", "RowRule", "Severity", "contract", "series_id"]
