"""Memos' hosted rerankers: POST {MEMOS_BASE_URL}/rerank with `Authorization: Token <MEMOS_API_KEY>`."""

from collections.abc import Iterable, Iterator, Sequence

from memeval.remote import http, prices, ranked
from memeval.remote.caller import Body, Service
from memeval.remote.estimate import Work
from memeval.remote.faults import CallError
from memeval.remote.pace import Limits
from memeval.remote.stream import Asker, Hosted
from memeval.remote.terms import Terms, door
from memeval.types import Memory, Query, Request, Scored

URL = "https://memos.memtensor.cn/api/openmem/v1"
DOCUMENT_TOKENS, QUERY_TOKENS = 32_000, 2_000
"""What the service reads of a document and of a query. What may be longer fails: it could be cut without a word."""


class Memos:
    """A reranker behind the Memos API: memos/memos-reranker-0.6b or memos/memos-reranker-4b."""

    kind = "memos"
    about = "Memos' hosted rerankers: memos/memos-reranker-4b"
    needs = {"httpx2": "api", "tenacity": "api", "aiolimiter": "api"}
    scope = "pair"
    streams = True

    def __init__(
        self,
        model: str,
        terms: Terms,
        url: str | None = None,
        documents: int = 100,
        key_from: str | None = None,
        price: str | None = None,
        in_flight: int = 8,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        attempts: int = 6,
        timeout: float = 60.0,
    ) -> None:
        name = f"memos/{model}"
        found = door(
            name, url=url, shell_url="MEMOS_BASE_URL", own_url=URL, variables=("MEMOS_API_KEY",), key_from=key_from,
            terms=terms,
        )  # fmt: skip
        self._documents = documents
        self.fingerprint = {"service": "memos", "model": model, **found.named}

        def body(query: str, texts: list[str]) -> Body:
            return {"model": model, "query": query, "documents": texts, "top_n": len(texts)}

        headers = {"Authorization": f"Token {found.key}"} if found.key else {}
        limits = Limits(in_flight, requests_per_minute, tokens_per_minute, attempts, timeout=timeout)
        service = Service(
            "memos", name, found, lambda where, most: http.poster(f"{where.url}/rerank", headers, most),
            ranked.reader("memos"), prices.find(model, None, price), limits,
        )  # fmt: skip
        judge = ranked.judge(body, documents=documents, tokens=None, splits=True)

        async def within(asker: Asker, query: Query, memories: Sequence[Memory]) -> tuple[Sequence[float], float]:
            if ranked.tokens_at_most(ranked.sendable(query)) > QUERY_TOKENS:
                raise CallError(
                    "failed", f"the query may be longer than the {QUERY_TOKENS:,} tokens that the service reads"
                )
            for memory in memories:
                if ranked.tokens_at_most(memory.text) > DOCUMENT_TOKENS:
                    raise CallError(
                        "failed", f"the memory {memory.doc_id!r} may be longer than {DOCUMENT_TOKENS:,} tokens"
                    )
            return await judge(asker, query, memories)

        self.hosted = Hosted(service, terms, within)

    def score(self, query: Query, memories: Sequence[Memory]) -> Sequence[float]:
        """The service's scores."""
        return self.hosted.score(query, memories)

    def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
        """As they come, all queries in flight at once."""
        return self.hosted.score_many(requests)

    def calls(self, query: Query, memories: Sequence[Memory]) -> int:
        """How many calls a query would take."""
        return ranked.calls(query, memories, self._documents, None)

    def estimate(self, query: Query, memories: Sequence[Memory]) -> Work:
        """What a query would take."""
        return ranked.estimate(query, memories, self._documents, None)
