"""The simulated company that `lakebed demo` runs on: a deterministic generator that writes what real systems write.

It imports no room of Lakebed and shares no code or constants with `models/`: finding what it hid must prove something.
"""

from lakebed.demo.company_config import config
from lakebed.demo.generate import generate
from lakebed.demo.truth import Truth, read_truth

__all__ = ["Truth", "config", "generate", "read_truth"]
