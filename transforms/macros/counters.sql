-- Counters: which series are, and how much one grows from sample to sample.

-- Points of a histogram or summary other than quantiles are the counters that Prometheus makes of it (_bucket, _sum,
-- _count).
CREATE OR REPLACE TEMP MACRO is_counter(kind, is_monotonic, labels) AS
coalesce(is_monotonic, TRUE)
AND (kind IN ('counter', 'histogram') OR (kind = 'summary' AND labels['quantile'] IS NULL));

-- As Prometheus increase() without its extrapolation: after a reset the counter has grown by what it shows.
CREATE OR REPLACE TEMP MACRO counter_step(value, previous) AS
CASE WHEN previous IS NULL THEN 0.0 WHEN value < previous THEN value ELSE value - previous END;
