"""What drifts and what jumped: robust slopes, seasonal strength, change points, false discoveries controlled.

Does not belong here: single odd points (anomaly), the future (forecast), limits (capacity).
"""

from models.trend.causes import nearest_changes
from models.trend.drift import trends
from models.trend.level_shifts import change_points

__all__ = ["change_points", "nearest_changes", "trends"]
