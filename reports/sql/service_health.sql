SELECT day, service, latency_p95_ms
FROM mart.service_health_daily
WHERE day > (SELECT max(day) FROM mart.service_health_daily) - 90 AND latency_p95_ms IS NOT NULL
ORDER BY service, day
