WITH newest AS (SELECT max(day) AS day FROM mart.cost_by_service_daily)
SELECT
    c.service, c.team, string_agg(DISTINCT c.provider, ', ' ORDER BY c.provider) AS providers, c.billing_currency,
    coalesce(sum(c.effective_cost) FILTER (WHERE c.day > newest.day - 30), 0)::DOUBLE AS last_30_days,
    coalesce(sum(c.effective_cost) FILTER (WHERE c.day <= newest.day - 30), 0)::DOUBLE AS previous_30_days,
    coalesce(sum(c.billed_cost) FILTER (WHERE c.day > newest.day - 30), 0)::DOUBLE AS billed_last_30_days,
    coalesce(sum(c.list_cost) FILTER (WHERE c.day > newest.day - 30), 0)::DOUBLE AS list_last_30_days
FROM mart.cost_by_service_daily AS c, newest
WHERE c.day > newest.day - 60
GROUP BY c.service, c.team, c.billing_currency
ORDER BY last_30_days DESC, c.service, c.team
