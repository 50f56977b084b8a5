"""When a resource runs out, how sure that is, and how much to add: forecasts against limits.

Does not belong here: the forecasts themselves (`models.forecast`), prices of capacity (`models.cost`).
"""

from models.capacity.planning import plan

__all__ = ["plan"]
