"""The check that a local model passes before it is run: what must hold of any reranker, on a few pairs.

Most wrong numbers published for these models are silent: a head that was never trained, a prompt without its end, a
score that depends on its neighbours, scores that are not those of the model's makers. Each of these is an error of one
line here, and so is what comes up with long texts only. Whether relevant texts score higher is only warned of: a model
may be wrong on one easy pair.
"""

import logging
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from memeval.core.errors import MemevalError, PrerequisiteError
from memeval.rerankers.local.quantized import INT8, quantize

QUERY = "When do the roses bloom?"
DOCUMENTS = (
    "The roses bloom in June.",
    "The shed was painted green last week, and it took us the whole afternoon to do it.",
    "Tea is at four.",
    "The boat leaks. " * 12,
)
TWINS = (
    DOCUMENTS[0],
    "The trees start to grow.",
    "Her boats leak in March.",
    "My sister sings at noon.",
    "His train left at seven.",
    "One lamp broke in April.",
)
"""Each of as many words and letters: all the same to whatever knows none of them."""
TOLERANCE = {"float32": 1e-3, "float16": 0.1, "bfloat16": 0.5, INT8: 0.5}
"""How far log-odds up to 8 may move with the batch; above that in proportion."""
NUMBER = re.compile(r"(?<=\.)(\d+|{[^}]*})(?=\.)")
"""A layer's number in the name of a weight, or those of several, as transformers' warnings have them."""
FULL = 8192
"""Tokens of the longest pair that is tried; tables of positions, which a longer one could leave, end before that."""


def trained(
    name: str,
    path: Path,
    task: str,
    dtype: str,
    tokenizer: Any,
    *,
    load: Callable[..., Any] | None = None,
    **told: Any,
) -> Any:
    """A model by transformers' Auto class for a task, such as CausalLM; for none, the model below any head.

    `load` is what stands in that class's place, for a model that transformers has not.

    Raises PrerequisiteError for weights that the checkpoint lacks or has more of, for another dtype than its run
    records, and for a tokenizer of another model.
    """
    import torch
    import transformers

    load = load or getattr(transformers, f"AutoModelFor{task}" if task else "AutoModel").from_pretrained
    stored = "float32" if dtype == INT8 else dtype
    model, info = load(path, dtype=getattr(torch, stored), output_loading_info=True, **told)
    loaded(name, sorted(info["missing_keys"]) + sorted(map(str, info["mismatched_keys"])))
    used(name, model, sorted(info["unexpected_keys"]))
    computes(name, model, stored)
    if dtype == INT8:
        quantize(name, model.base_model)
    reads(name, model, tokenizer)
    return model


def loaded(name: str, missing: Sequence[str]) -> None:
    """Raises PrerequisiteError where weights were not in the checkpoint, so that chance has set them."""
    if missing:
        some = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        raise PrerequisiteError(
            f"{name}: {len(missing)} weights are not in the checkpoint ({some}): no trained reranker"
        )


def used(name: str, model: Any, left: Sequence[str]) -> None:
    """Raises PrerequisiteError where some of the weights that were left out are of further layers, such as it has."""
    known = {NUMBER.sub("#", f".{key}") for key in model.state_dict()} if left else ()
    for key in left:
        kind = NUMBER.sub("#", f".{key}")
        if "#" in kind and any(one.endswith(kind) for one in known):
            raise PrerequisiteError(
                f"{name}: its checkpoint has more layers than its config.json says ({key}): fetch the model again"
            )


def reads(name: str, model: Any, tokenizer: Any) -> None:
    """Raises PrerequisiteError where the tokenizer makes of texts a token that the model does not have."""
    inner: Any = next((part for part in model.modules() if hasattr(part, "get_input_embeddings")), None)
    try:
        count = inner.get_input_embeddings().num_embeddings
    except (AttributeError, NotImplementedError):
        return  # code of its own that does not say
    added = getattr(tokenizer, "added_tokens_decoder", {})
    beyond = sorted(
        (place, text)
        for text, place in tokenizer.get_vocab().items()
        if place >= count and not (place in added and added[place].special)
    )
    if beyond:
        place, text = beyond[0]
        raise PrerequisiteError(
            f"{name}: its tokenizer makes token {place} of {text!r}, but it has {count}: a tokenizer of another model"
        )


def computes(name: str, model: Any, wanted: str) -> None:
    """Raises PrerequisiteError where a loaded model does not compute in what its run records."""
    found = str(getattr(model, "dtype", None)).removeprefix("torch.")
    if found not in (wanted, "None"):
        raise PrerequisiteError(f"{name}: runs in {found}, not in {wanted}: set dtype={found}")


def scores(name: str, dtype: str, score: Callable[[str, list[str]], list[float]], *, least: float = 8.0) -> None:
    """Raises PrerequisiteError where scores are not finite, all equal, or depend on the batch; `least`: see agree."""
    together = score(QUERY, list(DOCUMENTS))
    seen(name, dtype, together)
    backwards = score(QUERY, list(DOCUMENTS[::-1]))[::-1]
    alone = [score(QUERY, [text])[0] for text in DOCUMENTS]
    agree(f"{name}: a score depends on its batch", dtype, together, backwards, least=least)
    agree(f"{name}: a score depends on its batch", dtype, together, alone, least=least)
    words(name, lambda text: score(QUERY, [text]))


def words(name: str, read: Callable[[str], object]) -> None:
    """Raises PrerequisiteError where texts of as many words all read the same, as they do to the empty tokenizer that
    transformers makes where a folder has none."""
    first = read(TWINS[0])
    if all(read(text) == first for text in TWINS[1:]):
        raise PrerequisiteError(
            f"{name}: {TWINS[0]!r} and {TWINS[1]!r} are the same to it: its tokenizer knows no words, fetch it again"
        )


def seen(name: str, dtype: str, together: Sequence[float]) -> None:
    """Raises PrerequisiteError where the scores of DOCUMENTS are not finite, or all equal."""
    if not all(map(math.isfinite, together)):
        remedy = "fetch the model again" if dtype == "float32" else "try dtype=float32"
        raise PrerequisiteError(f"{name}: scores are not finite in {dtype} ({together}): {remedy}")
    if len(set(together)) == 1:
        raise PrerequisiteError(f"{name}: all texts score {together[0]}: the model does not see them")
    if together[0] != max(together):
        logging.getLogger(__name__).warning(
            "%s: ranks %r not first for %r: is this a trained reranker?", name, DOCUMENTS[0], QUERY
        )


def otherwise(name: str) -> str:
    """What is said of a model whose scores here are not those that it makes by itself."""
    return f"{name}: unsupported architecture: its scores are not those of a plain forward pass"


def agree(what: str, dtype: str, ours: Sequence[float], theirs: Sequence[float], *, least: float = 8.0) -> None:
    """Raises PrerequisiteError where two ways to the same scores are farther apart than rounding.

    Args:
        least: the size of scores below which rounding does not shrink with them.
    """
    allowed = TOLERANCE[dtype] * max(least, *map(abs, ours), *map(abs, theirs)) / 8
    apart = max(abs(mine - other) for mine, other in zip(ours, theirs, strict=True))
    if not apart <= allowed:
        raise PrerequisiteError(f"{what}: {apart:.2g} apart in {dtype}, where rounding explains {allowed:.2g}")


def long(length: int) -> str:
    """A document of at least so many tokens, FULL at most."""
    return f"{DOCUMENTS[1]} " * (min(length, FULL) // 16 + 1)


def whole(name: str, length: int, model: Any, compare: Callable[[list[str]], None]) -> None:
    """Runs `compare` on a document of full length, too. Raises PrerequisiteError where the model cannot take it."""
    compare(list(DOCUMENTS))
    documents = [DOCUMENTS[0], long(length)]
    # One layer tells what a model makes of its positions, in a fraction of the time; only all of them tell against it.
    for layers in (_shallow(model), nullcontext()):
        try:
            with layers:
                return compare(documents)
        except Exception as error:  # noqa: BLE001  (raised below, where it is the model's)
            failed = error
    if isinstance(failed, MemevalError):
        raise failed
    reason = " ".join(f"{type(failed).__name__}: {failed}".split())[:200]
    raise PrerequisiteError(
        f"{name}: cannot take a pair of {min(length, FULL)} tokens ({reason}): set max_length lower"
    ) from failed


@contextmanager
def _shallow(model: Any) -> Iterator[None]:
    """The model with the first of its layers alone."""
    import torch

    stacks = [part for part in model.modules() if isinstance(part, torch.nn.ModuleList)]
    layers = max(stacks, key=len, default=torch.nn.ModuleList())
    kept = dict(layers.named_children())
    for place in list(kept)[1:]:
        delattr(layers, place)
    try:
        yield
    finally:
        for place in list(kept)[1:]:
            layers.add_module(place, kept[place])
