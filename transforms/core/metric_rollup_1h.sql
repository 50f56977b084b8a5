/*
---
name: core.metric_rollup_1h
description: >-
  Hourly rollup of every sample series, merged from its five-minute buckets: hours of counters add up to their whole
  growth as those do, and the sketch of an hour is that of its samples.
grain: [source, series_id, time]
time_column: time
inputs:
  core.metric_rollup_5m: 0
---
*/
WITH fine AS (
    SELECT
        *,
        date_trunc('hour', time) AS hour
    FROM core.metric_rollup_5m
    WHERE day >= $window_start::DATE AND day < $window_end::DATE
),

entries AS (
    SELECT
        source,
        series_id,
        hour,
        unnest(sketch_buckets(value_sketch)) AS bucket,
        unnest(sketch_counts(value_sketch)) AS observations
    FROM fine
    WHERE value_sketch IS NOT NULL
),

merged AS (
    SELECT
        source,
        series_id,
        hour,
        bucket,
        sum(observations)::BIGINT AS observations
    FROM entries
    WHERE observations > 0
    GROUP BY source, series_id, hour, bucket
),

sketches AS (
    SELECT
        source,
        series_id,
        hour,
        map_from_entries(list(struct_pack(bucket := bucket, n := observations) ORDER BY bucket)) AS counts
    FROM merged
    GROUP BY source, series_id, hour
),

hours AS (
    SELECT
        source,
        series_id,
        hour,
        sum(count)::BIGINT AS finite_count,
        sum(nonfinite_count)::BIGINT AS nonfinite_count,
        stable_sum(sum) AS total,
        min(min) AS smallest,
        max(max) AS largest,
        min_by(first, time) AS earliest,
        max_by(last, time) AS latest,
        stable_sum(increase) AS increase,
        sum(resets)::BIGINT AS resets
    FROM fine
    GROUP BY source, series_id, hour
)

SELECT
    h.source,
    h.series_id,
    h.hour AS time,
    h.finite_count AS count,
    h.nonfinite_count,
    h.total AS sum,
    h.smallest AS min,
    h.largest AS max,
    h.earliest AS first,
    h.latest AS last,
    h.increase,
    h.resets,
    sketch_runs(s.counts) AS value_sketch,
    h.hour::DATE AS day
FROM hours AS h
LEFT JOIN sketches AS s ON h.source = s.source AND h.series_id = s.series_id AND h.hour = s.hour
ORDER BY h.source, h.series_id, h.hour
