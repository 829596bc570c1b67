"""memeval: a benchmark harness for rerankers in agent memory.

import memeval

result = memeval.run(my_reranker, "hard-cases")     # any object with score(query, memories) -> scores
print(result.measures["all"]["NDCG@10"])

Who wants to know how it works reads, in this order (ARCHITECTURE.md shows the rooms):

core/types, errors, names, files, results      the nouns, what they are called, and how they lie on disk
measures/order, ranx, statistics, scoring      from one strict order to means with intervals
datasets/__init__, render, candidates          what is loaded, how it reads, what a first stage hands on
rerankers/__init__, controls, bm25             the seam, and three things that fit it
runs/suite, benchmark, guard, runner           a suite from start to end
report/leaderboard, columns, sections          what results say
cli                                            the commands
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memeval.core.types import Memory as Memory
    from memeval.core.types import Query as Query
    from memeval.core.types import Reranker as Reranker
    from memeval.core.types import Result as Result
    from memeval.runs.library import run as run

__version__ = "0.1.0"
__all__ = ["Memory", "Query", "Reranker", "Result", "__version__", "run"]


def __getattr__(name: str) -> Any:
    """Loads what is asked for when it is asked for: `import memeval` alone stays light."""
    if name == "run":
        from memeval.runs.library import run

        return run
    if name in __all__:
        from memeval.core import types

        return getattr(types, name)
    raise AttributeError(f"module 'memeval' has no attribute {name!r}")
