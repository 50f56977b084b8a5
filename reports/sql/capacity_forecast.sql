SELECT
    resource_id, time::DATE AS date,
    max(mean) AS mean, max(lo_80) AS lo_80, max(hi_80) AS hi_80, max(lo_95) AS lo_95, max(hi_95) AS hi_95
FROM mart.capacity_forecasts
WHERE day = (SELECT max(day) FROM mart.capacity_forecasts) AND status = 'ok'
GROUP BY ALL
ORDER BY resource_id, date
