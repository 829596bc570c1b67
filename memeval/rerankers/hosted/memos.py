"""Memos' hosted rerankers: POST {MEMOS_BASE_URL}/rerank with `Authorization: Token <MEMOS_API_KEY>`."""

from memeval.rerankers.hosted import styles
from memeval.rerankers.hosted.pace import Limits
from memeval.rerankers.hosted.terms import Access, Terms, door

PACE = Limits(in_flight=8)
STYLE = styles.STYLES["memos"]


class Memos:
    """A reranker behind the Memos API: memos/memos-reranker-0.6b or memos/memos-reranker-4b.

    The key is MEMOS_API_KEY, the base URL may come from MEMOS_BASE_URL. Queries of more than 2,000 tokens and memories
    of more than 32,000 fail: the service could cut them without a word.

    Args:
        documents: how many documents a call holds.
    """

    kind = "memos"
    about = "Memos' hosted rerankers: memos/memos-reranker-4b"
    needs = {"httpx2": "api", "tenacity": "api", "aiolimiter": "api"}
    scope = "pair"
    streams = True

    def __init__(
        self,
        model: str,
        terms: Terms,
        documents: int = STYLE.fits.documents,
        access: Access = Access(),  # noqa: B008  (frozen)
        limits: Limits = PACE,
    ) -> None:
        name = f"memos/{model}"
        found = door(name, access, terms, variables=(STYLE.key,), shell_url="MEMOS_BASE_URL", own_urls=STYLE.own,
                     key_header=STYLE.header)  # fmt: skip
        self.fingerprint = {"service": "memos", "model": model, **found.named, **access.told()}
        fits = styles.narrowed(STYLE.fits, documents, None)
        served = styles.service(name, "memos", STYLE, found, STYLE.path, access, limits, promises=True)
        self.hosted = styles.hosted(served, STYLE, fits, terms)
        self.score, self.score_many = self.hosted.score, self.hosted.score_many
