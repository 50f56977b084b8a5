"""What the bill could be: right sizes with a replay of the past, idle resources, odd days, unused commitments.

Belongs here: statistics of usage and cost frames. Does not belong here: prices of a provider, currencies, SQL.
Money stays in the currency of the input; a month is 30 days everywhere.
"""

from models.cost.anomalies import CostAnomalyPolicy, cost_anomalies
from models.cost.commitments import commitment_waste
from models.cost.idleness import IdlePolicy, idle
from models.cost.policies import POLICIES, Peak, Percentile, ReturnLevel, RightsizePolicy
from models.cost.replaying import replay
from models.cost.rightsizing import rightsize

__all__ = [
    "POLICIES",
    "CostAnomalyPolicy",
    "IdlePolicy",
    "Peak",
    "Percentile",
    "ReturnLevel",
    "RightsizePolicy",
    "commitment_waste",
    "cost_anomalies",
    "idle",
    "replay",
    "rightsize",
]
