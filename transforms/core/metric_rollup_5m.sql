/*
---
name: core.metric_rollup_5m
description: >-
  Five-minute rollup of every sample series. What is not finite counts as such and stays out of the rest. Growth of a
  counter between two samples belongs to the bucket of the later one, so the buckets of a series add up to its whole
  growth; the earlier sample is looked for until one day before the later one's day begins.
grain: [source, series_id, time]
time_column: time
inputs:
  raw.metric_points: 1
  raw.metric_series: 0
---
*/
WITH series AS (
    SELECT
        source,
        series_id,
        is_counter(kind, is_monotonic, labels) AS is_counter,
        is_counter(kind, is_monotonic, labels) AND coalesce(temporality <> 'delta', TRUE) AS is_cumulative
    FROM raw.metric_series
),

before AS (
    SELECT
        p.source,
        p.series_id,
        max(p.time) AS time,
        max_by(p.value, p.time) AS value
    FROM raw.metric_points AS p
    INNER JOIN series AS s ON p.source = s.source AND p.series_id = s.series_id
    WHERE
        s.is_cumulative AND isfinite(p.value)
        AND p.day >= $window_start::DATE - 1 AND p.day < $window_start::DATE
    GROUP BY p.source, p.series_id
),

readings AS (
    SELECT
        p.source,
        p.series_id,
        p.time,
        p.value
    FROM raw.metric_points AS p
    INNER JOIN series AS s ON p.source = s.source AND p.series_id = s.series_id
    WHERE s.is_cumulative AND p.day >= $window_start::DATE AND p.day < $window_end::DATE
    UNION ALL
    SELECT
        source,
        series_id,
        time,
        value
    FROM before
),

-- What is no number stands in a partition of its own, so that it is nobody's predecessor.
neighbours AS (
    SELECT
        *,
        lag(value) OVER in_order AS last_value_before,
        lag(time) OVER in_order AS last_time_before
    FROM readings
    WINDOW in_order AS (PARTITION BY source, series_id, isfinite(value) ORDER BY time)
),

steps AS (
    SELECT
        source,
        series_id,
        time,
        value,
        CASE WHEN last_time_before >= date_trunc('day', time) - INTERVAL 1 DAY THEN last_value_before END AS previous
    FROM neighbours
    WHERE time >= $window_start
),

cumulative AS (
    SELECT
        source,
        series_id,
        time_bucket(INTERVAL 5 MINUTE, time) AS bucket,
        count(*) FILTER (WHERE isfinite(value)) AS finite_count,
        count(*) FILTER (WHERE NOT isfinite(value)) AS nonfinite_count,
        stable_sum(if(isfinite(value), value, NULL)) AS total,
        min(value) FILTER (WHERE isfinite(value)) AS smallest,
        max(value) FILTER (WHERE isfinite(value)) AS largest,
        min_by(value, time) FILTER (WHERE isfinite(value)) AS earliest,
        max_by(value, time) FILTER (WHERE isfinite(value)) AS latest,
        coalesce(stable_sum(if(isfinite(value), counter_step(value, previous), NULL)), 0) AS increase,
        count(*) FILTER (WHERE isfinite(value) AND value < previous) AS resets,
        NULL AS sketch
    FROM steps
    GROUP BY ALL
),

others AS (
    SELECT
        p.source,
        p.series_id,
        time_bucket(INTERVAL 5 MINUTE, p.time) AS bucket,
        count(*) FILTER (WHERE isfinite(p.value)) AS finite_count,
        count(*) FILTER (WHERE NOT isfinite(p.value)) AS nonfinite_count,
        stable_sum(if(isfinite(p.value), p.value, NULL)) AS total,
        min(p.value) FILTER (WHERE isfinite(p.value)) AS smallest,
        max(p.value) FILTER (WHERE isfinite(p.value)) AS largest,
        min_by(p.value, p.time) FILTER (WHERE isfinite(p.value)) AS earliest,
        max_by(p.value, p.time) FILTER (WHERE isfinite(p.value)) AS latest,
        CASE WHEN bool_or(s.is_counter) THEN coalesce(total, 0) END AS increase,
        CASE WHEN bool_or(s.is_counter) THEN 0 END AS resets,
        sketch_of(if(isfinite(p.value) AND s.is_counter IS NOT TRUE, p.value, NULL)) AS sketch
    FROM raw.metric_points AS p
    LEFT JOIN series AS s ON p.source = s.source AND p.series_id = s.series_id
    WHERE s.is_cumulative IS NOT TRUE AND p.day >= $window_start::DATE AND p.day < $window_end::DATE
    GROUP BY p.source, p.series_id, bucket
),

buckets AS (
    SELECT * FROM cumulative
    UNION ALL
    SELECT * FROM others
)

SELECT
    source,
    series_id,
    bucket AS time,
    finite_count AS count,
    nonfinite_count,
    total AS sum,
    smallest AS min,
    largest AS max,
    earliest AS first,
    latest AS last,
    increase,
    resets,
    sketch AS value_sketch,
    bucket::DATE AS day
FROM buckets
ORDER BY source, series_id, bucket
