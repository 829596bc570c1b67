"""The old name of `memeval.gate`: a gate of an earlier checkout starts `python -m memeval.check.timer` in this one."""

from memeval import gate

__path__ = gate.__path__
