SELECT item, p05, p10, p50, p90, p95, unit, provenance, evidence, status, day
FROM mart.roi
WHERE day = (SELECT max(day) FROM mart.roi)
ORDER BY item
