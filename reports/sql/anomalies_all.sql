SELECT episode_id, service, measure, series_id, time, value, expected, score
FROM mart.anomalies
WHERE day = (SELECT max(day) FROM mart.anomalies) AND status = 'ok'
ORDER BY time DESC, score DESC, series_id
