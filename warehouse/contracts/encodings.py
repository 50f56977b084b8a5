"""The dense forms in which settled files hold rows, as far as readers must know them: physical columns, and how values come out of them.

How rows are brought into these forms is `warehouse.tiers.encoding`; the form of logs is in `log_columns`."""

from __future__ import annotations

from warehouse.contracts.model import Column, Encoding

SHIFT = 1.5 * 2.0**52
"""Added to an integer below 2^51 it makes a double whose low bytes are the integer's: DuckDB reads byte streams of doubles only."""

_SHIFTED = f"{SHIFT:.0f}::DOUBLE"
_INTEGER = f"CASE WHEN value_integer IS NOT NULL THEN value_integer::DOUBLE ELSE value_shifted - {_SHIFTED} END"
_SAMPLE = f"""CASE WHEN value_divisor IS NOT NULL
          THEN CASE WHEN value_residual IS NULL THEN {_INTEGER} / value_divisor ELSE {_INTEGER} / value_divisor + value_residual END
          WHEN value_integer IS NOT NULL THEN value_integer::DOUBLE
          WHEN value_shifted IS NOT NULL THEN value_shifted - {_SHIFTED}
          ELSE value END"""
"""CASE rather than coalesce: where all rows of a vector go the same way, as in most files, DuckDB evaluates that branch alone."""

SAMPLES = Encoding(
    (
        Column("value_integer", "BIGINT", "Value * value_divisor, less the residual"),
        Column("value_shifted", "DOUBLE", f"The same, plus {SHIFT:.0f}"),
        Column("value_divisor", "DOUBLE", "NULL: the integer is the value"),
        Column("value_residual", "DOUBLE", "What the quotient lacks of the value, a few ulps; NULL is none"),
    ),
    (("value", _SAMPLE),),
)

SPANS = Encoding(
    (
        Column("trace_id_bytes", "BLOB", "Trace id of 32 hex digits, as 16 bytes"),
        Column("span_ids", "BLOB", "Span id of 16 hex digits, then its parent's (zeros: none), as 16 bytes"),
        Column("time_rest_ns", "SMALLINT", "Start after `time`", "ns"),
        Column("duration_shifted", "DOUBLE", f"End minus start, plus {SHIFT:.0f}", "ns"),
    ),
    (
        ("trace_id", "coalesce(trace_id, lower(hex(trace_id_bytes)))"),
        ("span_id", "coalesce(span_id, left(lower(hex(span_ids)), 16))"),
        (
            "parent_span_id",
            "CASE WHEN span_ids IS NULL THEN parent_span_id ELSE nullif(right(lower(hex(span_ids)), 16), repeat('0', 16)) END",
        ),
        ("time_unix_nano", "coalesce(time_unix_nano, epoch_us(time) * 1000 + time_rest_ns)"),
        ("duration_ns", f"coalesce(duration_ns, (duration_shifted - {_SHIFTED})::BIGINT)"),
    ),
)
