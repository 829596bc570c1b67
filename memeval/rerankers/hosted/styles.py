"""Rerank endpoints, whoever speaks: how each wants to be asked, and what it holds and promises. Data, no classes.

Looked up in November 2026, in stored copies of vendors' documentation: DashScope (both forms: 500 documents, 120,000
tokens with the query counted for each, 4,000 for one, `instruct`), Mixedbread, Pinecone's interface, NVIDIA's reranking
NIM, Contextual, Text Embeddings Inference (32 texts a call unless it was started with --max-client-batch-size), Voyage
(1,000 documents, 600,000 tokens with the query counted for each), ZeroEntropy (5,000,000 bytes, counted likewise),
Cohere (which cuts a document at 4,096 tokens unless it is told another length: its context). By public clients' code
alone: DeepInfra (1,024 documents), Lemonade (/reranking and no /rerank). Not found
anywhere then: Pinecone's 100 and NVIDIA's 512 documents, which only split a query's documents over more calls.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from memeval.core.types import Memory, Query
from memeval.rerankers.hosted import dialect, http, prices, ranked
from memeval.rerankers.hosted.batch.openai import line
from memeval.rerankers.hosted.batch.openai import read as answer
from memeval.rerankers.hosted.batch.post import Post
from memeval.rerankers.hosted.caller import Body, Service
from memeval.rerankers.hosted.faults import CallError
from memeval.rerankers.hosted.pace import Limits, demand
from memeval.rerankers.hosted.stream import Asker, Hosted, Judge
from memeval.rerankers.hosted.terms import Access, Door, Terms

NEEDED = ("model", "query", "queries", "documents", "texts", "input", "passages", "text_1", "text_2")
"""What no request can do without; the rest is left out where a service refuses it by name."""


@dataclass(frozen=True, slots=True)
class Fits:
    """What one call holds: documents; tokens with the query counted for each; tokens of the query, and of a document.

    What is longer than those two is cut by the service without a word, so it fails here.
    """

    documents: int = 1000
    tokens: int | None = None
    query_tokens: int | None = None
    document_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Style:
    """How an endpoint speaks.

    `request` is made of model, query and documents; `instruction` is the place of an instruction in it. `url` is the
    vendor's own base URL, `hosts` its further ones; `key` and `header` are theirs, the header's value after `:` stands
    before the key. `promises` is the range of its scores, `unit` what is paid for, "" at one's own server.
    """

    request: Callable[[str, str, Sequence[str]], Body]
    path: str = "/rerank"
    url: str = ""
    hosts: tuple[str, ...] = ()
    key: str = "RERANK_API_KEY"
    header: str = "Authorization"
    headers: Mapping[str, str] = field(default_factory=dict)
    fits: Fits = Fits()
    promises: tuple[float, float] | None = None
    instruction: tuple[str, ...] = ()
    unit: str = ""

    @property
    def own(self) -> tuple[str, ...]:
        """URLs whose hosts are the vendor's."""
        return (*([self.url] if self.url else []), *(f"https://{host}" for host in self.hosts))


def _plain(**more: Any) -> Callable[[str, str, Sequence[str]], Body]:
    """Model, query, documents, and how many results are wanted under one of `more` that is None."""

    def request(model: str, query: str, texts: Sequence[str]) -> Body:
        told = {name: len(texts) if value is None else value for name, value in more.items()}
        return {"model": model, "query": query, "documents": texts, **told}

    return request


SHARE = (0.0, 1.0)
TOKENS = "tokens, the query's with each document (price=INPUT,0 in dollars for a million)"
SEARCHES = "searches of up to 100 documents of 500 tokens (price=N/1000-searches in dollars)"
DASHSCOPE = Fits(documents=500, tokens=120_000, query_tokens=4000, document_tokens=4000)
STYLES: dict[str, Style] = {
    "cohere": Style(
        _plain(top_n=None, max_tokens_per_doc=32_764), url="https://api.cohere.com/v2", key="COHERE_API_KEY",
        promises=SHARE, unit=SEARCHES,
    ),
    "jina": Style(
        _plain(top_n=None, return_documents=False), url="https://api.jina.ai/v1", key="JINA_API_KEY", promises=SHARE,
        unit=TOKENS,
    ),
    "voyage": Style(
        _plain(top_k=None, truncation=False), url="https://api.voyageai.com/v1", key="VOYAGE_API_KEY",
        fits=Fits(1000, 600_000), promises=SHARE, unit=TOKENS,
    ),
    "vllm": Style(_plain(top_n=None), instruction=("instruction",)),
    "score": Style(
        lambda model, query, texts: {"model": model, "text_1": query, "text_2": texts}, "/score",
        instruction=("instruction",),
    ),
    "infinity": Style(_plain(top_n=None, return_documents=False)),
    "tei": Style(
        lambda model, query, texts: {"query": query, "texts": texts, "truncate": False}, fits=Fits(32), promises=SHARE
    ),
    "dashscope": Style(
        _plain(top_n=None), "/reranks", "https://dashscope.aliyuncs.com/compatible-api/v1",
        ("dashscope-intl.aliyuncs.com", "dashscope-us.aliyuncs.com"), "DASHSCOPE_API_KEY", fits=DASHSCOPE,
        instruction=("instruct",), unit=TOKENS,
    ),
    "dashscope-native": Style(
        lambda model, query, texts: {
            "model": model, "input": {"query": query, "documents": texts},
            "parameters": {"top_n": len(texts), "return_documents": False},
        },
        "/services/rerank/text-rerank/text-rerank", "https://dashscope.aliyuncs.com/api/v1",
        ("dashscope-intl.aliyuncs.com", "dashscope-us.aliyuncs.com"), "DASHSCOPE_API_KEY", fits=DASHSCOPE,
        instruction=("parameters", "instruct"), unit=TOKENS,
    ),
    "mixedbread": Style(
        lambda model, query, texts: {
            "model": model, "query": query, "input": texts, "top_k": len(texts), "return_input": False
        },
        "/reranking", "https://api.mixedbread.com/v1", ("api.mixedbread.ai",), "MXBAI_API_KEY", unit=TOKENS,
    ),
    "pinecone": Style(
        lambda model, query, texts: {
            "model": model, "query": query, "documents": [{"text": text} for text in texts], "top_n": len(texts),
            "return_documents": False, "parameters": {"truncate": "NONE"},
        },
        url="https://api.pinecone.io", key="PINECONE_API_KEY", header="Api-Key",
        headers={"X-Pinecone-API-Version": "2025-10"}, fits=Fits(100), unit=SEARCHES,
    ),
    "deepinfra": Style(
        lambda model, query, texts: {"queries": [query], "documents": texts}, "/{model}",
        "https://api.deepinfra.com/v1/inference", key="DEEPINFRA_API_KEY", fits=Fits(1024),
        instruction=("instruction",), unit=TOKENS,
    ),
    "nim": Style(
        lambda model, query, texts: {
            "model": model, "query": {"text": query}, "passages": [{"text": text} for text in texts],
            "truncate": "NONE",
        },
        "/ranking", hosts=("ai.api.nvidia.com",), key="NVIDIA_API_KEY", fits=Fits(512),
    ),
    "lemonade": Style(_plain(), "/reranking"),
    "zeroentropy": Style(
        _plain(top_n=None), "/models/rerank", "https://api.zeroentropy.dev/v1", ("eu-api.zeroentropy.dev",),
        "ZEROENTROPY_API_KEY", fits=Fits(1000, 1_600_000), unit=TOKENS,
    ),
    "contextual": Style(
        _plain(top_n=None), url="https://api.contextual.ai/v1", key="CONTEXTUAL_API_KEY", instruction=("instruction",),
        unit=TOKENS,
    ),
    "memos": Style(
        _plain(top_n=None), url="https://memos.memtensor.cn/api/openmem/v1", key="MEMOS_API_KEY",
        header="Authorization: Token", fits=Fits(100, None, 2000, 32_000), promises=SHARE,
    ),
}  # fmt: skip
"""Style → how it speaks."""
ENDS = {
    "/rerank": "cohere", "/reranks": "dashscope", "/reranking": "lemonade", "/ranking": "nim", "/score": "score",
    "/text-rerank": "dashscope-native",
}  # fmt: skip
"""How whole addresses end, and the style that is meant where the host is nobody's we know."""
FILED = ("/rerank", "/score")
"""Paths of what `vllm run-batch` answers from files, too."""


def known(url: str) -> str | None:
    """The style of a base URL or whole address, by its host, else by its end; None where neither tells."""
    host, end = urlsplit(url).netloc, ends(url)
    native = host.startswith("dashscope") and "/compatible" not in url
    for name, style in STYLES.items():
        if host in {urlsplit(own).netloc for own in style.own} and not (native and name == "dashscope"):
            return name
    return ENDS[end] if end else None


def ends(url: str) -> str | None:
    """The end of a whole address; None for a base URL."""
    return next((end for end in ENDS if url.rstrip("/").endswith(end)), None)


def service(
    name: str, told: str, style: Style, found: Door, path: str, access: Access, limits: Limits, promises: bool
) -> Service:
    """A service of a style; `told` is what it is called where answers are kept."""
    spoken = dialect.flat(*(key for key in style.request("", "", [""]) if key not in NEEDED))
    read = ranked.reader(name, style.promises if promises else None)
    connect = spoken.connected(lambda where, most: http.poster(where, path, most, style.headers))
    cost = prices.find(name.partition("/")[2], None, access.price)
    url = f"/v1{style.path}"
    post = Post(f"openai {url}", None, partial(line, url=url), answer, spoken.connected)
    takes = post if style.path in FILED else None
    return Service(told, name, found, connect, spoken.reading(read), cost, limits, takes)


def hosted(
    served: Service, style: Style, fits: Fits, terms: Terms, *, splits: bool = True, instruction: str | None = None
) -> Hosted:
    """A service of a style, asked by as few calls as what a call holds allows; see ranked.judge."""
    model = served.model.partition("/")[2]

    def body(query: str, texts: list[str]) -> Body:
        made = style.request(model, query, texts)
        return made if instruction is None else _placed(made, style.instruction, instruction)

    judge = ranked.judge(body, documents=fits.documents, tokens=fits.tokens, splits=splits)
    calls = partial(ranked.calls, documents=fits.documents, tokens=fits.tokens)
    work = partial(ranked.estimate, documents=fits.documents, tokens=fits.tokens)
    return Hosted(served, terms, _within(judge, fits), calls, work)


def _placed(body: Body, place: tuple[str, ...], text: str) -> Body:
    name, *rest = place
    return {**body, name: _placed(body.get(name, {}), tuple(rest), text) if rest else text}


def _within(judge: Judge, fits: Fits) -> Judge:
    """A judge that fails where a service may cut a text without a word."""

    async def within(asker: Asker, query: Query, memories: Sequence[Memory]) -> tuple[Sequence[float], float]:
        said = ranked.tokens_at_most(ranked.sendable(query))
        if fits.query_tokens is not None and said > fits.query_tokens:
            raise CallError("failed", f"the query may be longer than the {fits.query_tokens:,} tokens that are read")
        for memory in memories:
            if fits.document_tokens is not None and ranked.tokens_at_most(memory.text) > fits.document_tokens:
                raise CallError(
                    "failed", f"the memory {memory.doc_id!r} may be longer than {fits.document_tokens:,} tokens"
                )
        return await judge(asker, query, memories)

    return within


def narrowed(fits: Fits, documents: int | None, tokens: int | None) -> Fits:
    """What a call holds, by the user's word where there is one."""
    given = {name: value for name, value in (("documents", documents), ("tokens", tokens)) if value is not None}
    for name, value in given.items():
        demand(name, value, 1)
    return replace(fits, **given)
