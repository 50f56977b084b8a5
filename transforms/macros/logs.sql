-- Templates of log bodies: what stays the same when ids, numbers and addresses change. Three steps, so that each dearer
-- one runs on fewer distinct texts: log_shape on records, log_mask on shapes, log_tidy on masked shapes.

-- All digits become 0; the first 400 characters decide.
CREATE OR REPLACE TEMP MACRO log_shape(body) AS
translate(left(body, 400), '123456789', '000000000');

-- Times, UUIDs, IP addresses with port, hexadecimal ids of 8 digits or more, and numbers.
CREATE OR REPLACE TEMP MACRO log_variables() AS
'\b0000-00-00[T ]00:00:00(?:[.,]0+)?(?:Z|[+-]00:?00)?'
|| '|\b[0a-fA-F]{8}-(?:[0a-fA-F]{4}-){3}[0a-fA-F]{12}\b|(?:[0a-fA-F]{0,4}:){3,7}[0a-fA-F]{1,4}'
|| '|\b0x[0a-fA-F]+\b|\b[0a-fA-F]{8,}\b(?:[.,:]0+)*|0+(?:[.,:]0+)*';

-- Variables become <*>, and quoted text, too, unless quotes are how the body is written: JSON, and key="value".
CREATE OR REPLACE TEMP MACRO log_mask(shape) AS
CASE
    WHEN regexp_matches(shape, '^\s*[{\[]"|="|\{"') THEN regexp_replace(shape, log_variables(), '<*>', 'g')
    ELSE regexp_replace(shape, '"[^"]*"|\B''[^''\n]*''|' || log_variables(), '<*>', 'g')
END;

-- Runs of blanks become one, and 200 characters are enough to tell templates apart.
CREATE OR REPLACE TEMP MACRO log_tidy(masked) AS
left(trim(regexp_replace(masked, '\s+', ' ', 'g')), 200);
