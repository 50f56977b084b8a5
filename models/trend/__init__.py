"""What drifts and what jumped: robust slopes, seasonal strength, change points, false discoveries controlled.

Does not belong here: single odd points (anomaly), the future (forecast), limits (capacity).
"""

from models.trend.drift import trends

__all__ = ["trends"]
