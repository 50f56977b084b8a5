/*
---
name: frames.daily_costs
description: >-
  Amortised cost per service and day. Input of models.cost.cost_anomalies (key, day, cost); a key is service/currency.
grain: [key, day]
time_column: day
inputs:
  core.costs_daily: 0
---
*/
SELECT
    service || '/' || billing_currency AS key,
    service,
    billing_currency,
    day,
    sum(effective_cost)::DOUBLE AS cost
FROM core.costs_daily
WHERE day >= $window_start::DATE AND day < $window_end::DATE
GROUP BY service, billing_currency, day
ORDER BY service, billing_currency, day
