"""Contracts of the rollups of samples, and of how far they are from the samples."""

from __future__ import annotations

from warehouse.contracts.core import SKETCH_NOTE, SKETCH_TYPE, count_of, number, text
from warehouse.contracts.model import Column, Contract, Encoding, Expectation, RowRule
from warehouse.contracts.raw import DAY, SERIES_ID, SOURCE, in_slice, time_column

SKETCH_ERROR = 0.02
ROUNDING = 1e-6
"""Relative difference that rounding alone makes between two ways to add up."""


def metric_rollup(name: str, adjective: str, bucket: str) -> Contract:
    """The contract of a rollup of samples into buckets; `adjective` and `bucket` name them in descriptions."""
    return Contract(
        "core",
        name,
        f"{adjective} rollup of every sample series; counters carry their increase with resets",
        (
            SOURCE,
            SERIES_ID,
            time_column(f"Start of the {bucket}"),
            count_of("count", f"Samples in the {bucket} with a finite value: sum / count is their mean", "1", required=True),
            count_of("nonfinite_count", "Samples that are NaN or infinite; they enter nothing else", "1", required=True),
            number("sum", "Sum of the values"),
            number("min", "Smallest value"),
            number("max", "Largest value"),
            number("first", "Value of the first sample"),
            number("last", "Value of the last sample"),
            number(
                "increase",
                "Counters: growth since the sample before, resets handled (the sum, for delta temporality); NULL for other kinds",
            ),
            count_of("resets", f"Counters: resets in the {bucket}"),
            Column("value_sketch", SKETCH_TYPE, f"All but counters: sketch of the values. {SKETCH_NOTE}"),
            DAY,
        ),
        grain=("source", "series_id", "time"),
        time_column="time",
        sort_key=("source", "series_id", "time"),
        may_be_empty=True,
        row_rules=(in_slice(), RowRule("count_positive", "count + nonfinite_count > 0", "a bucket holds at least one sample")),
        expectations=(
            Expectation("min_not_above_max", "no_rows", "error", "min <= max", sql="SELECT * FROM {batch} AS b WHERE min > max"),
            Expectation("increase_not_negative", "between", "error", "a counter never shrinks", ("increase",), minimum=0),
        ),
        encoding=Encoding(),
        tags=("metrics",),
    )


METRIC_ROLLUP_5M = metric_rollup("metric_rollup_5m", "Five-minute", "five minutes")
METRIC_ROLLUP_1H = metric_rollup("metric_rollup_1h", "Hourly", "hour")


def error_of(name: str, what: str) -> Column:
    """A relative error, 0.02 being 2%."""
    return number(f"{name}_error", f"{what}: largest relative error over the series compared; 1 where only the samples give zero", "1")


ROLLUP_ERROR = Contract(
    "core",
    "rollup_error",
    "How far rollups are from the samples that they were made of: per metric, tier and day of which both are held",
    (
        SOURCE,
        text("metric_name", "Name of the metric", required=True),
        text("tier", "5m or 1h: core.metric_rollup_5m or core.metric_rollup_1h", required=True),
        count_of("series_count", "Series of the metric that the rollup holds on the day", "1", required=True),
        count_of(
            "series_compared",
            "Of these, the ones compared: all up to eight, else the eight with the smallest series_id, which is a hash",
            "1",
            required=True,
        ),
        count_of("samples", "Finite samples of the day in the series compared", "1", required=True),
        error_of("p50", "Median of a series' day from its sketches"),
        error_of("p95", "95th percentile of a series' day from its sketches"),
        error_of("p99", "99th percentile of a series' day from its sketches"),
        error_of("avg", "Mean of a series' day"),
        error_of("increase", "Counters: increase over the day"),
        DAY,
    ),
    grain=("day", "source", "metric_name", "tier"),
    time_column="day",
    sort_key=("source", "metric_name", "tier"),
    may_be_empty=True,
    row_rules=(in_slice(),),
    expectations=(
        *(
            Expectation(
                f"{name}_within_sketch_error", "between", "error", "sketches keep 2%", (f"{name}_error",), minimum=0, maximum=SKETCH_ERROR
            )
            for name in ("p50", "p95", "p99")
        ),
        *(
            Expectation(f"{name}_exact", "between", "error", "differs by rounding only", (f"{name}_error",), minimum=0, maximum=ROUNDING)
            for name in ("avg", "increase")
        ),
    ),
    tags=("metrics",),
)

ROLLUPS = (METRIC_ROLLUP_5M, METRIC_ROLLUP_1H, ROLLUP_ERROR)
