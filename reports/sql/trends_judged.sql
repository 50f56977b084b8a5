SELECT count(*) AS series, count(*) FILTER (WHERE status = 'ok') AS judged
FROM mart.trends
WHERE day = (SELECT max(day) FROM mart.trends)
