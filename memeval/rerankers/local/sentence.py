"""Models of sentence-transformers: bi-encoders, and cross-encoders through its CrossEncoder."""

from collections.abc import Iterable, Iterator, Sequence

from memeval.core.errors import UsageError
from memeval.core.types import Memory, Request, Scored
from memeval.rerankers.local import answering, checkpoint, folder, weights
from memeval.rerankers.local.bi_encoder import DOCUMENT, QUERY, BiEncoder
from memeval.rerankers.local.checkpoint import Settings
from memeval.rerankers.local.opened import positive
from memeval.rerankers.local.sentence_pairs import PairEncoder


class SentenceTransformers:
    """A bi-encoder where the folder's modules.json says so, else a cross-encoder.

    Of a bi-encoder, `query_prompt` and `document_prompt` are texts, or names of the folder's own prompts. The other
    options are those of transformers/….

    Args:
        batch_size: texts or pairs in a batch.
        query_prompt: bi-encoders: what stands before a query; without word what the folder says.
        document_prompt: bi-encoders: what stands before a memory; without word what the folder says.
    """

    kind = "sentence-transformers"
    about = "a bi-encoder or cross-encoder: sentence-transformers/<hub id or folder>"
    needs = {"sentence_transformers": "local", "torch": "local"}
    scope = "pair"

    def __init__(
        self,
        model: str,
        revision: str | None = None,
        settings: Settings = Settings(),  # noqa: B008  (frozen)
        architecture: str | None = None,
        device: str | None = None,
        batch_size: int = 32,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
    ) -> None:
        positive(f"'{self.kind}/{model}'", batch_size=batch_size)
        self.engine: BiEncoder | PairEncoder
        found = weights.find(model, revision, code=settings.trust_code)
        said = folder.read(f"'{self.kind}/{model}'", found.folder)
        if architecture is None and said.family != folder.CROSS:
            prompts = {QUERY: query_prompt, DOCUMENT: document_prompt}
            self.engine = BiEncoder(said, found.fingerprint, settings, prompts, device, batch_size)
        else:
            if (query_prompt, document_prompt) != (None, None):
                raise UsageError(f"{said.name}: query_prompt and document_prompt are for bi-encoders")
            read = checkpoint.read(self.kind, model, revision, settings, architecture)
            self.engine = PairEncoder(read, device, batch_size)
        self.fingerprint = self.engine.fingerprint
        self.score_kind = "similarity" if isinstance(self.engine, BiEncoder) else "log-odds"

    def warm_up(self) -> None:
        """Loads the model and checks it. Raises PrerequisiteError for a model that must not be run."""
        self.engine.warm_up()

    def index(self, memories: Sequence[Memory]) -> None:
        """Embeds one store, if this is a bi-encoder."""
        if isinstance(self.engine, BiEncoder):
            self.engine.index(memories)

    def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
        """Similarities of a bi-encoder, log-odds of a cross-encoder, with what was cut."""
        for place, (query, memories) in enumerate(requests):
            if isinstance(self.engine, BiEncoder):
                yield place, self.engine.score(query, memories)
            else:
                yield place, self.engine.score(query.text, [memory.text for memory in memories])

    score = answering.alone(score_many)
