/*
---
name: frames.service_dependencies
description: >-
  Which service calls which, over the whole window, to set the changes of what is called beside the shifts of those
  who call.
grain: [parent_service, child_service]
time_column: last_seen
inputs:
  core.service_dependencies_1d: 0
---
*/
SELECT
    parent_service,
    child_service,
    sum(call_count)::BIGINT AS call_count,
    max(day)::TIMESTAMP AS last_seen
FROM core.service_dependencies_1d
WHERE day >= $window_start::DATE AND day < $window_end::DATE
GROUP BY parent_service, child_service
ORDER BY parent_service, child_service
