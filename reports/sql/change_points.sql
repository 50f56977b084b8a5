WITH shifts AS (
    -- Occasions: the shifts of a service and measure within 12 hours of each other, or of most services at once, count once.
    -- First those of 5% and more: next to a change of their service, then of most services, then the others; size times
    -- certainty (decimal digits of 1 / q) decides among them.
    SELECT
        *, sign(after - before) AS direction,
        coalesce(abs(relative_change), if(after = before, 0, 1)) AS size,
        least(size, 1) * -log10(greatest(q_value, 1e-300)) AS weight
    FROM mart.change_points
    WHERE day = (SELECT max(day) FROM mart.change_points) AND status = 'ok'
),

at_once AS (
    SELECT s.series_id, s.time, count(DISTINCT o.service) >= greatest(3, (SELECT count(DISTINCT service) / 2 FROM shifts)) AS common
    FROM shifts AS s
    JOIN shifts AS o ON o.direction = s.direction AND o.time BETWEEN s.time - INTERVAL 6 HOUR AND s.time + INTERVAL 6 HOUR
    GROUP BY s.series_id, s.time
),

parted AS (
    SELECT
        s.*, a.common, if(a.common, direction::VARCHAR, concat_ws(chr(0), service, measure)) AS whose,
        s.time - lag(s.time) OVER (PARTITION BY a.common, whose ORDER BY s.time, s.series_id) <= INTERVAL 12 HOUR AS goes_on
    FROM shifts AS s
    JOIN at_once AS a USING (series_id, time)
),

numbered AS (
    SELECT *, count(*) FILTER (WHERE goes_on IS DISTINCT FROM TRUE) OVER (PARTITION BY common, whose ORDER BY time, series_id) AS occasion
    FROM parted
),

told AS (
    SELECT
        common, count(DISTINCT service) AS services, count(DISTINCT series_id) AS series, count(*) AS shifts,
        median(relative_change) AS median_change, max(size) AS size, max(weight) AS weight, min(q_value) AS q_value,
        -- what shifted most
        unnest(max_by({
            'service': service, 'measure': measure, 'series_id': series_id, 'time': time,
            'before': before, 'after': after, 'relative_change': relative_change,
            'relative_change_lo': relative_change_lo, 'relative_change_hi': relative_change_hi
        }, (weight, series_id))),
        -- the nearest change, of this service alone or what it depends on, which counts as six hours further away
        unnest(if(common, NULL, min_by({
            'change_id': change_id, 'change_kind': change_kind, 'change_title': change_title, 'change_service': change_service,
            'change_distance_h': change_distance_h
        }, abs(change_distance_h) + if(change_service = service, 0, 6))))
    FROM numbered
    GROUP BY common, whose, occasion
)

SELECT
    t.common, t.services, t.series, t.shifts, t.service, t.measure, t.series_id, r.unit, t.time, t.before, t.after,
    t.relative_change, t.relative_change_lo, t.relative_change_hi, t.median_change, t.q_value,
    t.change_id, t.change_kind, t.change_title, t.change_service, t.change_distance_h
FROM told AS t
LEFT JOIN mart.trends AS r ON r.series_id = t.series_id AND r.day = (SELECT max(day) FROM mart.trends)
ORDER BY t.size >= 0.05 DESC, t.change_id IS NOT NULL DESC, t.common DESC, t.weight DESC, t.size DESC, t.series_id, t.time
