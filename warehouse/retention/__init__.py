"""Retention: pure plans that say what to keep, archive or drop and why, and apart from them the executor that does exactly one plan."""
