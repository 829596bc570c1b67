"""memeval: a benchmark harness for rerankers in agent memory.

import memeval

result = memeval.run(my_reranker, "hard-cases")     # any object with score(query, memories) -> scores
print(result.measures["all"]["NDCG@10"])
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
