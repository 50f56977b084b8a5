/*
---
name: core.rollup_error
description: >-
  How far the rollups are from the samples of a day of which both are held: percentiles, mean and increase of a series'
  whole day, worst series of each metric. Of a metric with more than eight series the eight with the smallest series_id
  are compared; the id is a hash, so these are the same every day and no choice of anybody's.
grain: [day, source, metric_name, tier]
time_column: day
inputs:
  raw.metric_points: 1
  raw.metric_series: 0
  core.metric_rollup_5m: 0
  core.metric_rollup_1h: 0
---
*/
WITH present AS (
    SELECT DISTINCT
        source,
        series_id,
        day
    FROM core.metric_rollup_1h
    WHERE day >= $window_start::DATE AND day < $window_end::DATE
),

ranked AS (
    SELECT
        p.source,
        p.series_id,
        p.day,
        s.metric_name,
        is_counter(s.kind, s.is_monotonic, s.labels) AS is_counter,
        coalesce(s.temporality = 'delta', FALSE) AS is_delta,
        count(*) OVER of_metric AS series_count,
        row_number() OVER (of_metric ORDER BY p.series_id) AS place
    FROM present AS p
    INNER JOIN raw.metric_series AS s ON p.source = s.source AND p.series_id = s.series_id
    WINDOW of_metric AS (PARTITION BY p.source, s.metric_name, p.day)
),

chosen AS (
    SELECT *
    FROM ranked
    WHERE place <= 8
),

compared AS (
    SELECT
        source,
        series_id,
        bool_or(is_counter) AS is_counter,
        bool_or(is_delta) AS is_delta
    FROM chosen
    GROUP BY source, series_id
),

samples AS (
    SELECT
        p.source,
        p.series_id,
        p.day,
        p.time,
        p.value,
        c.is_counter,
        c.is_delta
    FROM raw.metric_points AS p
    INNER JOIN compared AS c ON p.source = c.source AND p.series_id = c.series_id
    WHERE p.day >= $window_start::DATE - 1 AND p.day < $window_end::DATE AND isfinite(p.value)
),

-- The predecessor of a day's first sample is looked for in the day before, as the rollups do.
steps AS (
    SELECT
        *,
        if(
            is_counter AND NOT is_delta,
            counter_step(value, if(lag(day) OVER in_order >= day - 1, lag(value) OVER in_order, NULL)),
            value
        ) AS step
    FROM samples
    WINDOW in_order AS (PARTITION BY source, series_id ORDER BY time)
),

exact AS (
    SELECT
        source,
        series_id,
        day,
        is_counter,
        count(*) AS samples,
        list_sort(list(value)) AS ordered,
        if(is_counter, stable_sum(step), NULL) AS increase
    FROM steps
    WHERE day >= $window_start::DATE
    GROUP BY source, series_id, day, is_counter
),

rollups AS (
    SELECT
        '5m' AS tier,
        r.*
    FROM core.metric_rollup_5m AS r
    WHERE r.day >= $window_start::DATE AND r.day < $window_end::DATE
    UNION ALL
    SELECT
        '1h' AS tier,
        r.*
    FROM core.metric_rollup_1h AS r
    WHERE r.day >= $window_start::DATE AND r.day < $window_end::DATE
),

kept AS (
    SELECT
        r.tier,
        r.source,
        r.series_id,
        r.day,
        r.count,
        r.sum,
        r.increase,
        r.value_sketch
    FROM rollups AS r
    INNER JOIN chosen AS c ON r.source = c.source AND r.series_id = c.series_id AND r.day = c.day
),

entries AS (
    SELECT
        tier,
        source,
        series_id,
        day,
        unnest(sketch_buckets(value_sketch)) AS bucket,
        unnest(sketch_counts(value_sketch)) AS observations
    FROM kept
    WHERE value_sketch IS NOT NULL
),

merged AS (
    SELECT
        tier,
        source,
        series_id,
        day,
        bucket,
        sum(observations)::BIGINT AS observations
    FROM entries
    WHERE observations > 0
    GROUP BY ALL
),

passed AS (
    SELECT
        tier,
        source,
        series_id,
        day,
        bucket,
        sum(observations) OVER so_far AS upto,
        sum(observations) OVER whole - 1 AS last_rank
    FROM merged
    WINDOW
        whole AS (PARTITION BY tier, source, series_id, day),
        so_far AS (PARTITION BY tier, source, series_id, day ORDER BY bucket ROWS UNBOUNDED PRECEDING)
),

percentiles AS (
    SELECT
        tier,
        source,
        series_id,
        day,
        sketch_value(min(bucket) FILTER (WHERE upto > 0.5 * last_rank)) AS p50,
        sketch_value(min(bucket) FILTER (WHERE upto > 0.95 * last_rank)) AS p95,
        sketch_value(min(bucket) FILTER (WHERE upto > 0.99 * last_rank)) AS p99
    FROM passed
    GROUP BY tier, source, series_id, day
),

days AS (
    SELECT
        tier,
        source,
        series_id,
        day,
        stable_sum(sum) / nullif(sum(count), 0) AS mean,
        stable_sum(increase) AS increase
    FROM kept
    GROUP BY tier, source, series_id, day
),

errors AS (
    SELECT
        c.source,
        c.metric_name,
        d.tier,
        c.day,
        c.series_count,
        e.samples,
        relative_error(p.p50, ranked_value(e.ordered, 0.5)) AS p50_error,
        relative_error(p.p95, ranked_value(e.ordered, 0.95)) AS p95_error,
        relative_error(p.p99, ranked_value(e.ordered, 0.99)) AS p99_error,
        relative_error(d.mean, list_sum(e.ordered) / e.samples) AS avg_error,
        relative_error(d.increase, e.increase) AS increase_error
    FROM chosen AS c
    INNER JOIN exact AS e ON c.source = e.source AND c.series_id = e.series_id AND c.day = e.day
    INNER JOIN days AS d ON c.source = d.source AND c.series_id = d.series_id AND c.day = d.day
    LEFT JOIN percentiles AS p
        ON d.tier = p.tier AND d.source = p.source AND d.series_id = p.series_id AND d.day = p.day
)

SELECT
    source,
    metric_name,
    tier,
    any_value(series_count) AS series_count,
    count(*) AS series_compared,
    sum(samples)::BIGINT AS samples,
    max(p50_error) AS p50_error,
    max(p95_error) AS p95_error,
    max(p99_error) AS p99_error,
    max(avg_error) AS avg_error,
    max(increase_error) AS increase_error,
    day
FROM errors
GROUP BY source, metric_name, tier, day
ORDER BY day, source, metric_name, tier
