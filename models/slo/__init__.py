"""Service level objectives: what is left of the error budget and how fast it burns.

Does not belong here: what counts as a good event (the marts say), who is paged.
"""

from models.slo.budget import error_budget

__all__ = ["error_budget"]
