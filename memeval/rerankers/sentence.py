"""Models of sentence-transformers: bi-encoders, and cross-encoders through its CrossEncoder."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from memeval import weights
from memeval.errors import UsageError
from memeval.rerankers import checkpoint
from memeval.rerankers.bi_encoder import BiEncoder
from memeval.rerankers.sentence_pairs import CrossEncoder
from memeval.types import Memory, Query, Request, Scored


class SentenceTransformers:
    """A bi-encoder where the folder has a modules.json without a classifier's or yes/no head, else a cross-encoder."""

    kind = "sentence-transformers"
    about = "a bi-encoder or cross-encoder: sentence-transformers/<hub id or folder>"
    needs = {"sentence_transformers": "local", "torch": "local"}
    scope = "pair"

    def __init__(
        self,
        model: str,
        revision: str | None = None,
        architecture: str | None = None,
        instruction: str | None = None,
        max_length: int | None = None,
        dtype: str = "float32",
        device: str | None = None,
        batch_size: int = 32,
    ) -> None:
        self.engine: BiEncoder | CrossEncoder
        found = weights.find(model, revision)
        if architecture is None and _is_bi_encoder(found.folder):
            if (instruction, max_length, dtype) != (None, None, "float32"):
                raise UsageError(f"'{self.kind}/{model}': a bi-encoder takes no option but device and batch_size")
            self.engine = BiEncoder(found, device, batch_size)
        else:
            read = checkpoint.read(self.kind, model, revision, architecture, instruction, max_length, dtype)
            self.engine = CrossEncoder(read, device, batch_size)
        self.fingerprint = self.engine.fingerprint
        self.score_kind = "similarity" if isinstance(self.engine, BiEncoder) else "log-odds"

    def warm_up(self) -> None:
        """Loads the model and runs it once; a cross-encoder is checked."""
        self.engine.warm_up()

    def index(self, memories: Sequence[Memory]) -> None:
        """Embeds one store, if this is a bi-encoder."""
        if isinstance(self.engine, BiEncoder):
            self.engine.index(memories)

    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        """Cosines of a bi-encoder, log-odds of a cross-encoder."""
        [(_, scored)] = self.score_many([(query, memories)])
        return list(scored.scores or ())

    def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
        """The same for several queries, with what was cut, where that is known."""
        for place, (query, memories) in enumerate(requests):
            if isinstance(self.engine, BiEncoder):
                yield place, Scored(self.engine.score(query, memories))
            else:
                yield place, self.engine.score(query.text, [memory.text for memory in memories])


def _is_bi_encoder(folder: Path) -> bool:
    if not (folder / "modules.json").is_file():
        return False
    described = [folder / name for name in ("modules.json", "config_sentence_transformers.json")]
    text = "".join(path.read_text(encoding="utf-8") for path in described if path.is_file())
    return "cross_encoder" not in text and "CrossEncoder" not in text
