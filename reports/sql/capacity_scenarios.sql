SELECT
    s.scenario, s.resource_id, s.service, s.team, s.resource_kind, s.unit, s."limit",
    s.p_exceed_by_lead_time, p.p_exceed_by_lead_time AS baseline_p_exceed_by_lead_time,
    s.exhaustion_p10, s.exhaustion_p50, s.exhaustion_p90, p.exhaustion_p50 AS baseline_exhaustion_p50,
    s.headroom_at_lead_time, s.add_capacity, s.add_cost_per_month, p.add_cost_per_month AS baseline_add_cost_per_month,
    s.billing_currency, s.status
FROM mart.capacity_scenarios AS s
LEFT JOIN mart.capacity_plan AS p ON p.day = s.day AND p.resource_id = s.resource_id
WHERE s.day = (SELECT max(day) FROM mart.capacity_plan)
ORDER BY s.scenario, s.p_exceed_by_lead_time DESC NULLS LAST, s.exhaustion_p50 NULLS LAST, s.resource_id
