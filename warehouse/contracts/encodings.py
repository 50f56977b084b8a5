"""The dense forms in which settled files hold rows, as far as readers must know them: physical columns, and how values come out of them.

How rows are brought into these forms is `warehouse.tiers.encoding`."""

from __future__ import annotations

from warehouse.contracts.model import Column, Encoding

SHIFT = 1.5 * 2.0**52
"""Added to an integer below 2^51 it makes a double whose low bytes are the integer's: DuckDB reads byte streams of doubles only."""

_INTEGER = f"coalesce(value_integer::DOUBLE, value_shifted - {SHIFT:.0f}::DOUBLE)"

SAMPLES = Encoding(
    (
        Column("value_integer", "BIGINT", "Value * value_divisor, less the residual"),
        Column("value_shifted", "DOUBLE", f"The same, plus {SHIFT:.0f}"),
        Column("value_divisor", "DOUBLE", "NULL: the integer is the value"),
        Column("value_residual", "DOUBLE", "What the quotient lacks of the value, a few ulps; NULL is none"),
    ),
    (
        (
            "value",
            f"CASE WHEN value_divisor IS NOT NULL THEN {_INTEGER} / value_divisor + coalesce(value_residual, 0) "
            f"ELSE coalesce(value_integer::DOUBLE, value_shifted - {SHIFT:.0f}::DOUBLE, value) END",
        ),
    ),
)
