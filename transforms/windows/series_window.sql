-- Windows of samples from the coarsest tier that answers within a stated error.

-- Whether buckets of so many microseconds can be put together to every step of [starts, ends), with no other samples.
CREATE OR REPLACE TEMP MACRO buckets_fit(starts, ends, step, bucket_us) AS
epoch_us(step) % bucket_us = 0
AND epoch_us(starts::TIMESTAMP) % bucket_us = 0
AND epoch_us(ends::TIMESTAMP) % bucket_us = 0;

-- Tiers by preference: rollups if their sketches are exact enough and their buckets fit; then the finest that is left.
CREATE OR REPLACE TEMP MACRO tiers_for(starts, ends, step, max_error) AS
CASE
    WHEN max_error >= 0.02 AND buckets_fit(starts, ends, step, 3600000000) THEN ['1h', '5m', 'raw']
    WHEN max_error >= 0.02 AND buckets_fit(starts, ends, step, 300000000) THEN ['5m', 'raw', '1h']
    ELSE ['raw', '5m', '1h']
END;

-- series_window('cpu_usage', TIMESTAMP '2026-11-01', TIMESTAMP '2026-11-08', step := INTERVAL 1 DAY): for every series
-- of a metric and every step of [starts, ends) count, sum, mean, extremes, increase (counters) and percentiles (all
-- others). `tier` says what was read: a day of which the wanted tier is gone is answered by the finest that is left,
-- whose buckets count where they start.
CREATE OR REPLACE TEMP MACRO series_window(
    metric, starts, ends, step := INTERVAL 1 HOUR, max_error := 0.02
) AS TABLE
    WITH held AS (
        SELECT
            day,
            CASE table_name
                WHEN 'raw.metric_points' THEN 'raw' WHEN 'core.metric_rollup_5m' THEN '5m' ELSE '1h'
            END AS tier
        FROM meta.day_state
        WHERE
            table_name IN ('raw.metric_points', 'core.metric_rollup_5m', 'core.metric_rollup_1h')
            AND day >= starts::DATE - 1 AND day <= ends::DATE
            AND row_count > 0 AND (state <> 'dropped') AND (table_name = 'raw.metric_points' OR state <> 'blocked')
    ),

    days AS (
        SELECT
            day,
            min_by(tier, list_position(tiers_for(starts, ends, step, max_error), tier)) AS tier
        FROM held
        GROUP BY day
    ),

    series AS (
        SELECT
            source,
            series_id,
            labels,
            is_counter(kind, is_monotonic, labels) AS is_counter,
            coalesce(temporality = 'delta', FALSE) AS is_delta
        FROM raw.metric_series
        WHERE metric_name = metric
    ),

    -- A day before the window is read, too: the first sample of a counter grew since the last one there.
    samples AS (
        SELECT
            p.source,
            p.series_id,
            p.time,
            p.value,
            p.day,
            s.is_counter,
            if(
                s.is_counter AND NOT s.is_delta,
                counter_step(p.value, if(lag(p.day) OVER in_order >= p.day - 1, lag(p.value) OVER in_order, NULL)),
                p.value
            ) AS growth
        FROM raw.metric_points AS p
        INNER JOIN series AS s ON p.source = s.source AND p.series_id = s.series_id
        WHERE
            p.day >= starts::DATE - 1 AND p.day <= ends::DATE AND isfinite(p.value)
            AND p.day IN (
                SELECT unnest([d.day - 1, d.day])
                FROM days AS d
                WHERE d.tier = 'raw'
            )
        WINDOW in_order AS (PARTITION BY p.source, p.series_id ORDER BY p.time)
    ),

    rollups AS (
        SELECT
            '5m' AS tier,
            f.*
        FROM core.metric_rollup_5m AS f
        WHERE
            f.day >= starts::DATE AND f.day <= ends::DATE AND f.count > 0
            AND f.day IN (
                SELECT d.day
                FROM days AS d
                WHERE d.tier = '5m'
            )
        UNION ALL
        SELECT
            '1h' AS tier,
            h.*
        FROM core.metric_rollup_1h AS h
        WHERE
            h.day >= starts::DATE AND h.day <= ends::DATE AND h.count > 0
            AND h.day IN (
                SELECT d.day
                FROM days AS d
                WHERE d.tier = '1h'
            )
    ),

    parts AS (
        SELECT
            'raw' AS tier,
            p.source,
            p.series_id,
            p.time,
            1 AS observations,
            p.value AS total,
            p.value AS smallest,
            p.value AS largest,
            if(p.is_counter, p.growth, NULL) AS growth,
            if(p.is_counter, NULL, [p.value]) AS estimates,
            [1::BIGINT] AS counts
        FROM samples AS p
        INNER JOIN days AS d ON p.day = d.day AND d.tier = 'raw'
        UNION ALL
        SELECT
            r.tier,
            r.source,
            r.series_id,
            r.time,
            r.count AS observations,
            r.sum AS total,
            r.min AS smallest,
            r.max AS largest,
            r.increase AS growth,
            list_transform(sketch_buckets(r.value_sketch), LAMBDA one_bucket: sketch_value(one_bucket)) AS estimates,
            sketch_counts(r.value_sketch) AS counts
        FROM rollups AS r
        INNER JOIN series AS s ON r.source = s.source AND r.series_id = s.series_id
    ),

    inside AS (
        SELECT
            *,
            time_bucket(step, time) AS step_time
        FROM parts
        WHERE time >= starts::TIMESTAMP AND time < ends::TIMESTAMP
    ),

    entries AS (
        SELECT
            source,
            series_id,
            step_time,
            unnest(estimates) AS estimate,
            unnest(counts) AS observations
        FROM inside
        WHERE estimates IS NOT NULL
    ),

    merged AS (
        SELECT
            source,
            series_id,
            step_time,
            estimate,
            sum(observations) AS observations
        FROM entries
        WHERE observations > 0
        GROUP BY source, series_id, step_time, estimate
    ),

    passed AS (
        SELECT
            source,
            series_id,
            step_time,
            estimate,
            sum(observations) OVER so_far AS upto,
            sum(observations) OVER whole - 1 AS last_rank
        FROM merged
        WINDOW
            whole AS (PARTITION BY source, series_id, step_time),
            so_far AS (PARTITION BY source, series_id, step_time ORDER BY estimate ROWS UNBOUNDED PRECEDING)
    ),

    percentiles AS (
        SELECT
            source,
            series_id,
            step_time,
            min(estimate) FILTER (WHERE upto > 0.5 * last_rank) AS p50,
            min(estimate) FILTER (WHERE upto > 0.95 * last_rank) AS p95,
            min(estimate) FILTER (WHERE upto > 0.99 * last_rank) AS p99
        FROM passed
        GROUP BY source, series_id, step_time
    ),

    steps AS (
        SELECT
            source,
            series_id,
            step_time,
            sum(observations)::BIGINT AS observations,
            sum(total) AS total,
            min(smallest) AS smallest,
            max(largest) AS largest,
            sum(growth) AS growth,
            array_to_string(list_sort(list(DISTINCT tier)), '+') AS tier
        FROM inside
        GROUP BY source, series_id, step_time
    )

    SELECT
        t.source,
        t.series_id,
        s.labels,
        t.step_time AS time,
        t.observations AS count,
        t.total AS sum,
        t.total / t.observations AS avg,
        t.smallest AS min,
        t.largest AS max,
        t.growth AS increase,
        p.p50,
        p.p95,
        p.p99,
        t.tier
    FROM steps AS t
    INNER JOIN series AS s ON t.source = s.source AND t.series_id = s.series_id
    LEFT JOIN percentiles AS p
        ON t.source = p.source AND t.series_id = p.series_id AND t.step_time = p.step_time
    ORDER BY t.source, t.series_id, t.step_time;
