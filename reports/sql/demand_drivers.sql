SELECT resource_id, service, resource_kind, driver, elasticity, elasticity_lo, elasticity_hi, r_squared, observations
FROM mart.demand_drivers
WHERE day = (SELECT max(day) FROM mart.demand_drivers) AND status = 'ok'
ORDER BY r_squared DESC NULLS LAST, abs(elasticity) DESC, resource_id, driver
