"""How odd is each point, judged by nothing but what came before it; and which odd points are one incident, from where.

Does not belong here: lasting changes of level (trend), days of a bill (cost), who is told.
"""

from models.anomaly.corroboration import corroborated
from models.anomaly.episodes import episodes, together
from models.anomaly.scoring import score

__all__ = ["corroborated", "episodes", "score", "together"]
