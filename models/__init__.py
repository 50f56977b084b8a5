"""Statistics only: a frame goes in, a frame comes out, and nothing is read or written.

Belongs here: trends, anomalies, forecasts, capacity, cost, error budgets, return on investment, and their judges.
Does not belong here: SQL, the lake, files, the network, charts, the orchestrator.
Every result has a column `status`: ok | not_enough_data | failed:<reason>; what is not ok carries nulls, never a guess.
"""
