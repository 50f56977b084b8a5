SELECT
    service, subject, series_id, measure, unit, trend_class, mean, slope_per_day, slope_lo, slope_hi, q_value,
    30 * slope_per_day / nullif(abs(mean), 0) AS change_per_30_days, history_days
FROM mart.trends
WHERE day = (SELECT max(day) FROM mart.trends)
    AND status = 'ok' AND q_value < 0.05 AND (slope_lo > 0 OR slope_hi < 0)
ORDER BY abs(change_per_30_days) DESC NULLS LAST, series_id
