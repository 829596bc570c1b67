"""One's own reranker, from any importable module."""

import importlib
import sys
from collections.abc import Sequence
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from memeval.core.adapter import Declared, declared
from memeval.core.errors import UsageError
from memeval.core.outside import contained
from memeval.core.types import Memory, Query


class Python:
    """What `module:factory` makes: the factory is called without arguments and returns an object with `score`.

    What else the object offers of a reranker (`scope`, `index`, …) is used. Only it knows what its scores depend on:
    where it has no `fingerprint`, nothing is remembered and no run is resumed.
    """

    kind = "python"
    about = "your own: python/<module or file.py>:<factory>"

    def __init__(self, model: str) -> None:
        module_name, _, attribute = model.partition(":")
        if not attribute:
            raise UsageError(f"'python/{model}': write it as python/<module or file.py>:<factory>")
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.insert(0, here)
        with contained(f"'python/{model}': cannot import {module_name!r}"):
            module = _imported(module_name)
            factory = getattr(module, attribute, None)
        if not callable(factory):
            raise UsageError(f"'python/{model}': {module_name} has no {attribute!r} that can be called")
        with contained(f"'python/{model}': {attribute}() fails"):
            self._made: Any = factory()
            scores, said = callable(getattr(self._made, "score", None)), declared(self._made)
        if not scores:
            raise UsageError(f"'python/{model}': what {attribute}() returns has no score(query, memories)")
        # With the factory's name: another factory of the same fingerprint has scores of its own.
        own = None if said.fingerprint is None else {**said.fingerprint, "factory": model}
        vars(self).update({**{name: getattr(said, name) for name in Declared.__dataclass_fields__}, "fingerprint": own})

    def score(self, query: Query, memories: Sequence[Memory]) -> Sequence[float]:
        """The made object's scores."""
        scores: Sequence[float] = self._made.score(query, memories)
        return scores


def _imported(named: str) -> ModuleType:
    """A module by its name; that of a file once, and apart from others of its name.

    A file may import its neighbours. Raises UsageError where others than those are loaded under their names.
    """
    if not named.endswith(".py"):
        return importlib.import_module(named)
    path = Path(named).absolute()
    own = f"{path.stem}_{sha256(bytes(path)).hexdigest()[:8]}"
    if own not in sys.modules:
        for neighbour in path.parent.glob("*.py"):
            known = getattr(sys.modules.get(neighbour.stem), "__file__", None)
            if known is not None and Path(known) != neighbour:
                raise UsageError(f"another {neighbour.name} than its own is loaded: run it by itself")
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        spec = spec_from_file_location(own, path)
        if spec is None or spec.loader is None:
            raise ImportError("it is no Python file")
        sys.modules[own] = module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[own])
        except BaseException:
            del sys.modules[own]
            raise
    return sys.modules[own]
