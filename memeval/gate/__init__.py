"""The regression gate: a fresh result against an accepted baseline, and a verdict for every gate of the suite.

comparable first → identical values pass → exact gates → quality gates → latency, where a suite asks for it
"""

from memeval.gate.baseline import Baseline, Entry, accept, read, write
from memeval.gate.evidence import Evidence, gather
from memeval.gate.judging import judge
from memeval.gate.verdicts import Check, Flip, Outcome

__all__ = [
    "Baseline",
    "Check",
    "Entry",
    "Evidence",
    "Flip",
    "Outcome",
    "accept",
    "gather",
    "judge",
    "read",
    "write",
]
