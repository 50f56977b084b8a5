"""Reads one outside system each and yields Arrow record batches that fit a contract. Knows no lake and no Dagster."""
