SELECT
    kind, resource_id, resource_kind, service, team, policy, allocated, recommended, unit,
    saving_per_month, billing_currency, confidence, evidence
FROM mart.cost_opportunities
WHERE day = (SELECT max(day) FROM mart.cost_opportunities) AND status = 'ok'
ORDER BY saving_per_month DESC NULLS LAST, confidence DESC NULLS LAST, kind, resource_id
