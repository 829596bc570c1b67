"""Rerankers behind vLLM's own server: /score or /rerank with the prompt template that memeval ships.

A yes/no reranker is served so that memeval's prompt is what the model reads (TEMPLATE is memeval/rerankers/templates/
qwen3_reranker.jinja):

    vllm serve MODEL --runner pooling --chat-template TEMPLATE --hf-overrides '{"architectures":
      ["Qwen3ForSequenceClassification"], "classifier_from_token": ["no", "yes"], "is_original_qwen3_reranker": true}'

A text that the endpoint would refuse or read otherwise (empty, to be cut, holding a control token's text) goes to
/classify as token ids. Every reply's count of tokens must be that of memeval's own rendering.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property

from memeval.core.errors import PrerequisiteError, UsageError, did_you_mean
from memeval.core.types import Scored
from memeval.rerankers import recipes
from memeval.rerankers.local import answering, checkpoint, probe, prompt, weights
from memeval.rerankers.local.checkpoint import Settings
from memeval.rerankers.local.pairs import Pairs
from memeval.rerankers.local.prompt import Prompt
from memeval.rerankers.local.vllm_client import Client

UNKNOWN = "unknown"
ENDPOINTS = {
    "score": ("text_1", "text_2", "data", "score"),
    "rerank": ("query", "documents", "results", "relevance_score"),
}
"""Endpoint → its names of the query, the documents, the reply's list and the score. /rerank sorts: `index` tells."""


class VLLMServer:
    """vllm-server/<served name>?url=http://host:8000: the model has to be served as this module's docstring says.

    VLLM_API_KEY is sent where it is set. `prompt`, `cut` and `trust_code` are for what is read here; what the server
    runs is said where it is started.

    Args:
        url: where the server is.
        endpoint: score or rerank.
        tokenizer: the folder or hub id that the model is read with, where that is not the served name.
        dtype: recorded as said, since the server does not tell; unknown is checked as bfloat16 would be.
        timeout: seconds of one call.
    """

    kind = "vllm-server"
    about = "a reranker behind vLLM's server: vllm-server/<served name>?url=http://…"
    needs = checkpoint.NEEDS
    scope = "pair"
    score_kind = "log-odds"
    window = 8

    def __init__(
        self,
        model: str,
        revision: str | None = None,
        settings: Settings = Settings(dtype=UNKNOWN),  # noqa: B008  (frozen)
        url: str = "http://localhost:8000",
        endpoint: str = "score",
        tokenizer: str = "",
        timeout: float = 120.0,
    ) -> None:
        self.name, self.model = f"'{self.kind}/{model}'", model
        self.client = Client(self.name, url, timeout)
        if endpoint not in ENDPOINTS:
            raise UsageError(f"{self.name}: unknown endpoint {endpoint!r}{did_you_mean(endpoint, ENDPOINTS)}")
        self.endpoint = endpoint
        dtype = settings.dtype
        known = replace(settings, dtype=checkpoint.DTYPES[0]) if dtype == UNKNOWN else settings
        found = checkpoint.read(self.kind, tokenizer or model, revision, known, patterns=weights.TOKENIZER)
        if found.wording not in (None, recipes.wordings()[prompt.QWEN3]):
            raise PrerequisiteError(f"{found.name}: memeval has a server's template for {prompt.QWEN3} alone")
        self.checkpoint = found
        # Without word on the dtype, it may be one that rounds coarsely.
        self.dtype = "bfloat16" if dtype == UNKNOWN else dtype
        address = {"model": model, "address": self.client.url.partition("://")[2], "endpoint": endpoint, "dtype": dtype}
        self.fingerprint = {**found.fingerprint, **address}
        del self.fingerprint["torch"]

    @cached_property
    def texts(self) -> Prompt | Pairs:
        """What makes token ids of texts."""
        return self.checkpoint.texts()

    @cached_property
    def control(self) -> list[str]:
        """Texts that the server's tokenizer would take for control tokens."""
        return list(self.texts.tokenizer.get_added_vocab())

    def warm_up(self) -> None:
        """Checks that the server answers, serves this model, and reads pairs as memeval renders them."""
        texts = list(probe.DOCUMENTS)
        asked = self.texts.render(probe.QUERY, texts)
        served = {entry["id"]: entry.get("max_model_len") for entry in self.client.call("/v1/models")["data"]}
        if self.model not in served:
            raise PrerequisiteError(f"{self.name}: {self.client.url} serves {', '.join(served)}")
        longest = served[self.model] or self.checkpoint.max_length
        if longest < self.checkpoint.max_length:
            raise PrerequisiteError(f"{self.name}: the server reads {longest} tokens: set max_length={longest}")
        try:
            scores = self._paired(probe.QUERY, texts, asked.tokens)
            wanted = scores if any(asked.second) else self._classified(asked.whole)
            shares = self._paired(probe.QUERY, texts, asked.tokens, use_activation=True)
        except ValueError as error:
            raise PrerequisiteError(f"{self.name}: {error}{self._remedy}") from None
        far = max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(scores, wanted, strict=True))
        if not far <= (1e-3 if self.dtype == "float32" else 0.1):
            raise PrerequisiteError(f"{self.name}: scores are {far:.2g} from those of memeval's prompt{self._remedy}")
        if not all(abs(share - 1 / (1 + math.exp(-s))) < 0.01 for share, s in zip(shares, scores, strict=True)):
            raise PrerequisiteError(f"{self.name}: the server gives no raw logits (use_activation): update vLLM")
        probe.scores(self.name, self.dtype, lambda query, texts: list(self._one(query, texts).scores or ()))

    def _answers(self, asked: Iterable[answering.Worded]) -> Iterator[Scored]:
        """The requests of a window at the same time, each in one call."""
        with ThreadPoolExecutor(self.window) as pool:
            yield from pool.map(lambda request: self._one(*request), asked)

    score, score_many = answering.together(_answers)

    def _one(self, query: str, texts: Sequence[str]) -> Scored:
        read = self.texts.render(query, texts)
        rows = read.whole
        said = [f"{query}\0{text}" if query and text else "" for text in texts]
        plain = [bool(both) and not any(control in both for control in self.control) for both in said]
        paired = [place for place, cut in enumerate(read.cut) if plain[place] and not cut]
        rest = sorted(set(range(len(texts))).difference(paired))
        if any(read.second[place] for place in rest):
            raise ValueError("an empty, cut or control-looking text cannot go to a BERT behind a server: use vllm/…")
        tokens = sum(len(rows[place]) for place in paired)
        scores = dict(zip(paired, self._paired(query, [texts[place] for place in paired], tokens), strict=True))
        scores |= dict(zip(rest, self._classified([rows[place] for place in rest]), strict=True))
        return Scored([scores[place] for place in range(len(texts))], read.cut, usage={"tokens": read.tokens})

    def _paired(self, query: str, texts: list[str], tokens: int, *, use_activation: bool = False) -> list[float]:
        if not texts:
            return []
        first, second, rows, score = ENDPOINTS[self.endpoint]
        body = {"model": self.model, first: query, second: texts, "use_activation": use_activation}
        if self.checkpoint.wording:
            body["instruction"] = self.checkpoint.instruction
        reply = self.client.call(f"/{self.endpoint}", body)
        read = reply["usage"]["prompt_tokens"]
        if read != tokens:
            raise ValueError(f"the server read {read} tokens where memeval's rendering has {tokens}")
        return _in_order([(row["index"], row[score]) for row in reply[rows]], len(texts))

    def _classified(self, ids: list[list[int]]) -> list[float]:
        if not ids:
            return []
        reply = self.client.call("/classify", {"model": self.model, "input": ids, "use_activation": False})
        return _in_order([(row["index"], row["probs"][0]) for row in reply["data"]], len(ids))

    @property
    def _remedy(self) -> str:
        return f": start it with --chat-template {prompt.TEMPLATE}" if self.checkpoint.wording else ""


def _in_order(scores: list[tuple[int, float]], wanted: int) -> list[float]:
    found = dict(scores)
    if sorted(found) != list(range(wanted)) or len(scores) != wanted:
        raise ValueError(f"the server gave {len(scores)} scores for {wanted} documents")
    return [found[place] for place in range(wanted)]
