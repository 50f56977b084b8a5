"""The only room that imports dagster: thin assets, checks generated from contracts, schedules, sensors, resources."""
