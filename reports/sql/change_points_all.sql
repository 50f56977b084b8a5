SELECT
    service, measure, series_id, time, before, after, relative_change, relative_change_lo, relative_change_hi, q_value,
    change_id, change_kind, change_title, change_service, change_distance_h
FROM mart.change_points
WHERE day = (SELECT max(day) FROM mart.change_points) AND status = 'ok'
ORDER BY q_value NULLS LAST, abs(relative_change) DESC, series_id, time
