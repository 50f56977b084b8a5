SELECT day, service, billing_currency, sum(effective_cost)::DOUBLE AS effective_cost
FROM mart.cost_by_service_daily
WHERE day > (SELECT max(day) FROM mart.cost_by_service_daily) - 90
GROUP BY ALL
ORDER BY day, service, billing_currency
