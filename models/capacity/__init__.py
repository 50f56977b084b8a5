"""When a resource runs out, how sure that is, what to add and when to order: forecasts against limits, and what came of it.

Does not belong here: the forecasts themselves (`models.forecast`), prices of capacity (`models.cost`).
"""

from models.capacity.chances import exceedance
from models.capacity.decisions import backtest, track_record
from models.capacity.drivers import demand_drivers
from models.capacity.peaks import seasonal_peaks
from models.capacity.planning import plan
from models.capacity.scenarios import what_if

__all__ = ["backtest", "demand_drivers", "exceedance", "plan", "seasonal_peaks", "track_record", "what_if"]
