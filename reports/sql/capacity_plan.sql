SELECT
    resource_id, service, team, resource_kind, unit, "limit", used_now, headroom_now, headroom_at_lead_time, lead_time_days,
    p_exceed_by_lead_time, exhaustion_p10, exhaustion_p50, exhaustion_p90, order_by,
    add_capacity, unit_price, add_cost_per_month, billing_currency, model, decisions, warned_in_time, false_warnings, status, day
FROM mart.capacity_plan
WHERE day = (SELECT max(day) FROM mart.capacity_plan)
ORDER BY p_exceed_by_lead_time DESC NULLS LAST, order_by NULLS LAST, exhaustion_p50 NULLS LAST, add_cost_per_month DESC NULLS LAST, resource_id
