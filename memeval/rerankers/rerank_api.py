"""Any /rerank endpoint: Cohere, Jina, Voyage, TEI, Infinity, vLLM, and whatever speaks like one of them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from memeval.errors import UsageError, did_you_mean
from memeval.remote import http, prices, ranked
from memeval.remote.caller import Body, Service
from memeval.remote.estimate import Work
from memeval.remote.pace import Limits
from memeval.remote.stream import Hosted
from memeval.remote.terms import Terms, door, plain
from memeval.types import Memory, Query, Request, Scored

VENDORS = {
    "api.cohere.com": ("cohere", "COHERE_API_KEY", "https://api.cohere.com/v2"),
    "api.jina.ai": ("jina", "JINA_API_KEY", "https://api.jina.ai/v1"),
    "api.voyageai.com": ("voyage", "VOYAGE_API_KEY", "https://api.voyageai.com/v1"),
}
"""Host → its style, the variable of its key, its base URL: keys that belong to a host go there without further word."""

STYLES: dict[str, Any] = {
    "cohere": lambda model, query, texts: {"model": model, "query": query, "documents": texts, "top_n": len(texts)},
    "jina": lambda model, query, texts: {**STYLES["cohere"](model, query, texts), "return_documents": False},
    "voyage": lambda model, query, texts: {
        "model": model, "query": query, "documents": texts, "top_k": len(texts), "truncation": False
    },
    "tei": lambda model, query, texts: {"query": query, "texts": texts, "truncate": False},
    "score": lambda model, query, texts: {"model": model, "text_1": query, "text_2": texts},
}  # fmt: skip
STYLES |= {"infinity": STYLES["jina"], "vllm": STYLES["cohere"]}
"""Style → the request. `score` is vLLM's /score."""
LISTWISE = ("jina-reranker-v3",)
"""Names in models that read all documents of a call together (jina-reranker-v3 and v3.5 are such): their scores are
similarities, which may be negative whatever the style promises."""


class RerankAPI:
    """A rerank endpoint: rerank-api/<model>?url=https://host/v1 (`/rerank` is added unless /rerank or /score ends it).

    `style` is cohere, jina, infinity, vllm, voyage, tei or score, known by itself for the vendors' hosts. A call holds
    at most `documents` documents and `tokens` tokens; more are split over calls where `scope` is "pair" (a score
    depends on its own pair alone), and fail where it is "list". Without word it is pair, but list for the models that
    are known to be LISTWISE. The key is RERANK_API_KEY, or the vendor's.
    """

    kind = "rerank-api"
    about = "any rerank endpoint: rerank-api/<model>?url=https://…"
    needs = {"httpx2": "api", "tenacity": "api", "aiolimiter": "api"}
    streams = True

    def __init__(
        self,
        model: str,
        terms: Terms,
        url: str = "",
        style: str = "",
        scope: str | None = None,
        documents: int = 1000,
        tokens: int | None = None,
        key_from: str | None = None,
        price: str | None = None,
        in_flight: int = 16,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        attempts: int = 6,
        timeout: float = 60.0,
    ) -> None:
        name = f"rerank-api/{model}"
        vendor = VENDORS.get(urlsplit(url).netloc)
        variables = (vendor[1],) if vendor else ("RERANK_API_KEY",)
        own = vendor[2] if vendor else None
        found = door(
            name, url=url or None, shell_url=None, own_url=own, variables=variables, key_from=key_from, terms=terms,
            needs_key=vendor is not None,
        )  # fmt: skip
        address = found.url if found.url.endswith(("/rerank", "/score")) else f"{found.url}/rerank"
        style = style or (vendor[0] if vendor else "score" if address.endswith("/score") else "cohere")
        if style not in STYLES:
            raise UsageError(f"{name!r}: unknown style {style!r}{did_you_mean(style, STYLES)}")
        together = any(known in model for known in LISTWISE)
        scope = scope or ("list" if together else "pair")
        if scope not in ("pair", "list"):
            raise UsageError(f"{name!r}: scope is pair or list, not {scope!r}")
        self.scope, self._documents, self._tokens = scope, documents, tokens
        place = address.removeprefix(f"{urlsplit(address).scheme}://")
        self.fingerprint = {
            "service": "rerank-api",
            "model": model,
            "address": place if found.own else plain(address),
            "style": style,
        }

        def body(query: str, texts: list[str]) -> Body:
            made: Body = STYLES[style](model, query, texts)
            return made

        headers = {"Authorization": f"Bearer {found.key}"} if found.key else {}
        limits = Limits(in_flight, requests_per_minute, tokens_per_minute, attempts, timeout=timeout)
        service = Service(
            f"rerank-api {place}", name, found, lambda _, most: http.poster(address, headers, most),
            ranked.reader("" if together else style),
            prices.find(model, None, price), limits,
        )  # fmt: skip
        judge = ranked.judge(body, documents=documents, tokens=tokens, splits=scope == "pair")
        self.hosted = Hosted(service, terms, judge)

    def score(self, query: Query, memories: Sequence[Memory]) -> Sequence[float]:
        """The endpoint's scores."""
        return self.hosted.score(query, memories)

    def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
        """As they come, all queries in flight at once."""
        return self.hosted.score_many(requests)

    def calls(self, query: Query, memories: Sequence[Memory]) -> int:
        """How many calls a query would take."""
        return ranked.calls(query, memories, self._documents, self._tokens)

    def estimate(self, query: Query, memories: Sequence[Memory]) -> Work:
        """What a query would take."""
        return ranked.estimate(query, memories, self._documents, self._tokens)
