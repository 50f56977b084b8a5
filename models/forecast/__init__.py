"""Forecasts of many series at once, judged by their own past: members, contest, intervals, backtest.

Does not belong here: what a forecast means for a limit (`models.capacity`), losses (`models.evaluation`).
"""

from models.forecast.backtesting import backtest
from models.forecast.contest import MEMBERS
from models.forecast.forecasting import forecast

__all__ = ["MEMBERS", "backtest", "forecast"]
