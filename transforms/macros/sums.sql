-- Sums of floating-point numbers that come out the same however the rows are spread over threads: in order of value.
-- An ordered aggregate, sum(x ORDER BY t), does the same at four times the cost.

CREATE OR REPLACE TEMP MACRO stable_sum(x) AS
list_sum(list_sort(list(x)));

CREATE OR REPLACE TEMP MACRO stable_avg(x) AS
list_avg(list_sort(list(x)));
