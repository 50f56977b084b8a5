/*
---
name: frames.anomaly_feedback
description: What people last said of each anomaly of the window.
grain: [series_id, time]
time_column: time
inputs:
  meta.anomaly_feedback: 0
---
*/
SELECT
    f.series_id,
    f.time,
    f.is_false_alarm
FROM meta.anomaly_feedback AS f
WHERE f.time >= $window_start::TIMESTAMP AND f.time < $window_end::TIMESTAMP
QUALIFY row_number() OVER (PARTITION BY f.series_id, f.time ORDER BY f.said_at DESC) = 1
ORDER BY f.series_id, f.time
