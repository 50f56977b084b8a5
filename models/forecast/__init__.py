"""Forecasts of many series at once, judged by their own past: members, contest, intervals, backtest, track record, sums that add up.

Does not belong here: what a forecast means for a limit (`models.capacity`), losses (`models.evaluation`).
"""

from models.forecast.backtesting import backtest
from models.forecast.forecasting import forecast
from models.forecast.lineup import MEMBERS
from models.forecast.reconciling import reconcile
from models.forecast.track_record import accuracy, retired

__all__ = ["MEMBERS", "accuracy", "backtest", "forecast", "reconcile", "retired"]
