WITH newest AS (SELECT max(day) AS day FROM mart.service_health_daily)
SELECT
    h.service, any_value(h.team) AS team,
    (sum(h.request_count) / 7.0)::DOUBLE AS requests_per_day,
    (sum(h.error_count) / nullif(sum(h.request_count), 0))::DOUBLE AS error_ratio,
    median(h.latency_p95_ms) AS latency_p95_ms,
    sum(h.log_error_count)::BIGINT AS log_errors,
    sum(h.incident_count)::BIGINT AS incidents
FROM mart.service_health_daily AS h, newest
WHERE h.day > newest.day - 7
GROUP BY h.service
ORDER BY requests_per_day DESC NULLS LAST, h.service
