/*
---
name: mart.cost_by_service_daily
description: >-
  Cost per service, team and provider: billed, amortised, at list price, and of commitments that nothing used.
grain: [day, service, team, provider, billing_currency]
time_column: day
inputs:
  core.costs_daily: 0
---
*/
SELECT
    day,
    service,
    team,
    provider,
    billing_currency,
    sum(billed_cost) AS billed_cost,
    sum(effective_cost) AS effective_cost,
    sum(list_cost) AS list_cost,
    coalesce(sum(effective_cost) FILTER (WHERE commitment_discount_status = 'Unused'), 0)::DECIMAL(38, 12)
        AS unused_commitment_cost,
    count(DISTINCT resource_id) AS resource_count
FROM core.costs_daily
WHERE day >= $window_start::DATE AND day < $window_end::DATE
GROUP BY ALL
ORDER BY service, provider, day, team, billing_currency
