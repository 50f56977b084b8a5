"""Checks generated from contracts: Great Expectations on the open lake connection, results per day, asset checks for Dagster.

great_expectations is imported inside the functions that use it: it costs seconds and 250 MiB."""
