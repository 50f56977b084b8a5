SELECT
    resource_id, service, team, resource_kind, unit, "limit", used_now, headroom_now, lead_time_days,
    p_exceed_by_lead_time, exhaustion_p10, exhaustion_p50, exhaustion_p90,
    add_capacity, add_cost_per_month, billing_currency, status, day
FROM mart.capacity_plan
WHERE day = (SELECT max(day) FROM mart.capacity_plan)
ORDER BY p_exceed_by_lead_time DESC NULLS LAST, exhaustion_p50 NULLS LAST, resource_id
