"""The regression gate: a fresh result against an accepted baseline, and a verdict for every gate of the suite.

comparable first → identical values pass → exact gates → quality gates → latency, where a suite asks for it
"""

from memeval.gate.baseline import Accepted, Baseline, accept, read, write
from memeval.gate.evidence import Case, gather
from memeval.gate.judging import judge
from memeval.gate.verdicts import Check, Flip, Outcome

__all__ = [
    "Accepted",
    "Baseline",
    "Case",
    "Check",
    "Flip",
    "Outcome",
    "accept",
    "gather",
    "judge",
    "read",
    "write",
]
