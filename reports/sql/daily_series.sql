WITH health AS (
    UNPIVOT (
        SELECT
            day, service, latency_p95_ms, error_ratio,
            request_count::DOUBLE AS request_count, log_error_count::DOUBLE AS log_error_count
        FROM mart.service_health_daily
        WHERE day > (SELECT max(day) FROM mart.service_health_daily) - 90
    ) ON latency_p95_ms, error_ratio, request_count, log_error_count INTO NAME measure VALUE value
)

SELECT day, service || '/' || measure AS series_id, value FROM health
UNION ALL
SELECT day, service || '/effective_cost/' || billing_currency, sum(effective_cost)::DOUBLE
FROM mart.cost_by_service_daily
WHERE day > (SELECT max(day) FROM mart.cost_by_service_daily) - 90
GROUP BY day, service, billing_currency
UNION ALL
SELECT day, resource_id, used_mean
FROM core.resources
WHERE day > (SELECT max(day) FROM core.resources) - 90 AND used_mean IS NOT NULL
ORDER BY series_id, day
