SELECT day AS date, resource_id, used_max
FROM core.resources
WHERE used_max IS NOT NULL AND day > (SELECT max(day) FROM core.resources) - 90
ORDER BY resource_id, date
