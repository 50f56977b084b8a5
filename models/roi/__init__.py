"""Is the observability worth what it costs: cash flows with uncertainty, and which input decides.

Belongs here: named inputs, their distributions, net present value, payback, rate of return, contributions to variance.
Does not belong here: where an input comes from; that is a column of the inputs and goes through unchanged.
"""

from models.roi.assumptions import with_assumptions
from models.roi.inputs import INPUTS, Input, scenario
from models.roi.items import items
from models.roi.simulation import RoiResult, simulate

__all__ = ["INPUTS", "Input", "RoiResult", "items", "scenario", "simulate", "with_assumptions"]
