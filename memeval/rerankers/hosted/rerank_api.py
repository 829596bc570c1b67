"""Any rerank endpoint, hosted or one's own, in the style that it speaks."""

from typing import Literal
from urllib.parse import urlsplit

from memeval.core.errors import UsageError, did_you_mean
from memeval.rerankers.hosted import styles
from memeval.rerankers.hosted.pace import Limits
from memeval.rerankers.hosted.terms import Access, Terms, checked, door, normal

LISTWISE = ("jina-reranker-v3",)
"""Names in models that read all documents of a call together (jina-reranker-v3 and v3.5 are such)."""
PACE = Limits(in_flight=16)


class RerankAPI:
    """A rerank endpoint: rerank-api/<model>?url=https://host/v1, or ?style=<vendor> for a vendor's own.

    Styles: cohere, jina, voyage, dashscope, dashscope-native, mixedbread, pinecone, deepinfra, zeroentropy, contextual,
    memos (hosted); vllm, score, infinity, tei, nim, lemonade (one's own). tei/<model>?url=… is short for
    rerank-api/<model>?style=tei&url=…, and so with each that is no kind itself (vllm, memos). Vendors' hosts and whole
    addresses such as …/reranks or …/score tell their style. The key is the vendor's variable, or RERANK_API_KEY. What a
    service refuses by name is left out once a run, and the table says so.

    Args:
        style: how the endpoint speaks.
        scope: pair (a score depends on its own pair alone: more than a call holds is split) or list (it fails); without
            word pair, but list for models that are known to read a call's documents together.
        documents: how many documents a call holds, where that is not the style's number.
        tokens: how many tokens a call holds, the query counted for each document.
        instruction: what counts as relevant, for styles that take it: a text or a name.
    """

    kind = "rerank-api"
    about = "any rerank endpoint: rerank-api/<model>?url=https://…, or ?style=cohere"
    needs = {"httpx2": "api", "tenacity": "api", "aiolimiter": "api"}
    streams = True

    def __init__(
        self,
        model: str,
        terms: Terms,
        style: str = "",
        scope: Literal["pair", "list"] | None = None,
        documents: int | None = None,
        tokens: int | None = None,
        instruction: str | None = None,
        access: Access = Access(),  # noqa: B008  (frozen)
        limits: Limits = PACE,
    ) -> None:
        name = f"rerank-api/{model}"
        if access.url:
            checked(access.url, name)
        stated = bool(style)
        style = style or (styles.known(access.url) if access.url else None) or "cohere"
        if style not in styles.STYLES:
            raise UsageError(f"{name!r}: unknown style {style!r}{did_you_mean(style, styles.STYLES)}")
        chosen = styles.STYLES[style]
        if instruction is not None and not chosen.instruction:
            raise UsageError(f"{name!r}: the style {style} takes no instruction")
        own = bool(access.url) and urlsplit(access.url).netloc in {urlsplit(url).netloc for url in chosen.own}
        vendor = own or not access.url
        found = door(
            name, access, terms, variables=(chosen.key if vendor else "RERANK_API_KEY",), own_urls=chosen.own,
            key_header=chosen.header, needs_key=vendor,
        )  # fmt: skip
        path = chosen.path.format(model=model)
        path = "" if styles.ends(found.url) or found.url.endswith(path) else path
        together = any(known in model for known in LISTWISE)
        self.scope = scope or ("list" if together else "pair")
        fits = styles.narrowed(chosen.fits, documents, tokens)
        # A server that is only taken for one of a style, for want of a word, promises nothing; nor do cosines.
        promises = (stated or vendor) and not together
        address = f"{found.url}{path}"
        place = address.partition("://")[2]
        told = {"instruction": instruction} if instruction is not None else {}
        self.fingerprint = {
            "service": "rerank-api", "model": model, "address": place if found.own else normal(address), "style": style,
            **told, **access.told(),
        }  # fmt: skip
        served = styles.service(name, f"rerank-api {place}", chosen, found, path, access, limits, promises)
        self.hosted = styles.hosted(
            served, chosen, fits, terms, splits=self.scope == "pair", instruction=instruction
        )  # fmt: skip
        self.score, self.score_many = self.hosted.score, self.hosted.score_many
