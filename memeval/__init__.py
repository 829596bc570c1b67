"""memeval: a benchmark harness for rerankers in agent memory.

import memeval

result = memeval.run(my_reranker, "hard-cases")     # any object with score(query, memories) -> scores
print(result.measures["all"]["NDCG@10"])
memeval.run([my_reranker, "bm25"], "hard-cases")    # several: a leaderboard, in a notebook as a table

Who wants to know how it works reads, in this order (ARCHITECTURE.md shows the rooms):

core/types, errors, names, files, results      the nouns, what they are called, and how they lie on disk
measures/order, ranx, statistics, scoring      from one strict order to means with intervals
datasets/__init__, render, candidates          what is loaded, how it reads, what a first stage hands on
rerankers/__init__, controls, bm25             the seam, and three things that fit it
runs/suite, benchmark, guard, runner           a suite from start to end
report/leaderboard, columns, sections          what results say
cli, library                                   the commands, and the calls above
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memeval.core.types import Memory as Memory
    from memeval.core.types import Query as Query
    from memeval.core.types import Reranker as Reranker
    from memeval.core.types import Result as Result
    from memeval.library import Results as Results
    from memeval.library import compare as compare
    from memeval.library import load_results as load_results
    from memeval.library import run as run

__version__ = "0.1.0"
_CALLS = ("Results", "compare", "load_results", "run")
__all__ = ["Memory", "Query", "Reranker", "Result", "Results", "__version__", "compare", "load_results", "run"]


def __getattr__(name: str) -> Any:
    """Loads what is asked for when it is asked for: `import memeval` alone stays light."""
    if name in _CALLS:
        from memeval import library

        return getattr(library, name)
    if name in __all__:
        from memeval.core import types

        return getattr(types, name)
    raise AttributeError(f"module 'memeval' has no attribute {name!r}")
