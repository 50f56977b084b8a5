SELECT resource_id, service, resource_kind, occasion, last_time, value, lift, next_time, expected, unit
FROM mart.seasonal_peaks
WHERE day = (SELECT max(day) FROM mart.seasonal_peaks) AND status = 'ok'
ORDER BY next_time NULLS LAST, lift DESC NULLS LAST, resource_id, occasion
