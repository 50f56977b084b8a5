SELECT table_name, day, state, reason, changed_at
FROM meta.day_state
QUALIFY row_number() OVER (PARTITION BY table_name, day ORDER BY version DESC, changed_at DESC) = 1
    AND state IN ('blocked', 'waved')
ORDER BY state, day DESC, table_name
