/*
---
name: core.metric_rollup_1h
description: >-
  Hourly rollup of every sample series. What is not finite counts as such and stays out of the rest. Growth of a counter
  between two samples belongs to the hour of the later one, so the hours of a series add up to its whole growth; the
  earlier sample is looked for until one day before the later one's day begins.
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
        coalesce(temporality = 'delta', FALSE) AS is_delta
    FROM raw.metric_series
),

points AS (
    SELECT
        p.source,
        p.series_id,
        p.time,
        p.value,
        coalesce(s.is_counter, FALSE) AS is_counter,
        coalesce(s.is_delta, FALSE) AS is_delta
    FROM raw.metric_points AS p
    LEFT JOIN series AS s ON p.source = s.source AND p.series_id = s.series_id
    WHERE
        p.day >= $window_start::DATE AND p.day < $window_end::DATE
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
        s.is_counter AND NOT s.is_delta AND isfinite(p.value)
        AND p.day >= $window_start::DATE - 1 AND p.day < $window_start::DATE
    GROUP BY p.source, p.series_id
),

readings AS (
    SELECT
        source,
        series_id,
        time,
        value
    FROM points
    WHERE is_counter AND NOT is_delta AND isfinite(value)
    UNION ALL
    SELECT
        source,
        series_id,
        time,
        value
    FROM before
),

neighbours AS (
    SELECT
        *,
        lag(value) OVER in_order AS last_value_before,
        lag(time) OVER in_order AS last_time_before
    FROM readings
    WINDOW in_order AS (PARTITION BY source, series_id ORDER BY time)
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

increases AS (
    SELECT
        source,
        series_id,
        date_trunc('hour', time) AS hour,
        stable_sum(counter_step(value, previous)) AS increase,
        count(*) FILTER (WHERE value < previous) AS resets
    FROM steps
    GROUP BY ALL
),

buckets AS (
    SELECT
        source,
        series_id,
        is_counter,
        is_delta,
        date_trunc('hour', time) AS hour,
        count(*) FILTER (WHERE isfinite(value)) AS finite_count,
        count(*) FILTER (WHERE NOT isfinite(value)) AS nonfinite_count,
        stable_sum(if(isfinite(value), value, NULL)) AS total,
        min(value) FILTER (WHERE isfinite(value)) AS smallest,
        max(value) FILTER (WHERE isfinite(value)) AS largest,
        min_by(value, time) FILTER (WHERE isfinite(value)) AS earliest,
        max_by(value, time) FILTER (WHERE isfinite(value)) AS latest,
        sketch_of(if(isfinite(value) AND NOT is_counter, value, NULL)) AS sketch
    FROM points
    GROUP BY ALL
)

SELECT
    b.source,
    b.series_id,
    b.hour AS time,
    b.finite_count AS count,
    b.nonfinite_count,
    b.total AS sum,
    b.smallest AS min,
    b.largest AS max,
    b.earliest AS first,
    b.latest AS last,
    CASE WHEN b.is_counter THEN coalesce(if(b.is_delta, b.total, i.increase), 0) END AS increase,
    CASE WHEN b.is_counter THEN coalesce(i.resets, 0) END AS resets,
    b.sketch AS value_sketch,
    b.hour::DATE AS day
FROM buckets AS b
LEFT JOIN increases AS i ON b.source = i.source AND b.series_id = i.series_id AND b.hour = i.hour
ORDER BY b.source, b.series_id, b.hour
