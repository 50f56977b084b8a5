WITH alarms AS (
    -- Occasions: what is odd in a service within 3 hours of each other counts once. First those that most measures agree on.
    SELECT
        *, abs(value - expected) / greatest(abs(value), abs(expected), 1e-300) AS distance,
        time - lag(time) OVER (PARTITION BY service ORDER BY time, series_id) <= INTERVAL 3 HOUR AS goes_on
    FROM mart.anomalies
    WHERE day = (SELECT max(day) FROM mart.anomalies) AND status = 'ok'
),

numbered AS (
    SELECT *, count(*) FILTER (WHERE goes_on IS DISTINCT FROM TRUE) OVER (PARTITION BY service ORDER BY time, series_id) AS occasion
    FROM alarms
),

told AS (
    SELECT
        service, count(DISTINCT measure) AS measures, count(DISTINCT series_id) AS series, count(*) AS alarms,
        min(time) AS first_time, max(time) AS last_time, max(score) AS score, max(distance) AS distance,
        -- what left its course most
        unnest(max_by({'measure': measure, 'series_id': series_id, 'value': value, 'expected': expected}, (distance, series_id)))
    FROM numbered
    GROUP BY service, occasion
)

SELECT
    t.service, t.first_time, t.last_time, t.measures, t.series, t.alarms, t.measure, t.series_id, r.unit, t.value, t.expected, t.score
FROM told AS t
LEFT JOIN mart.trends AS r ON r.series_id = t.series_id AND r.day = (SELECT max(day) FROM mart.trends)
ORDER BY t.measures DESC, t.series DESC, t.distance DESC, t.first_time DESC, t.service
