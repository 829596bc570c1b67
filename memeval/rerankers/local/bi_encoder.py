"""Bi-encoders: query and memory embedded apart, compared by the model's own similarity, through sentence-transformers.

Dense ones, sparse ones (SPLADE) and those with a vector for each token (late interaction), as the folder says.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from itertools import islice
from logging import ERROR, getLogger
from typing import Any

from memeval.core.errors import PrerequisiteError, UsageError
from memeval.core.types import Memory, Query, Scored
from memeval.rerankers.local import checkpoint, folder, probe
from memeval.rerankers.local.checkpoint import Settings
from memeval.rerankers.local.folder import FAMILIES, PLAIN, Folder
from memeval.rerankers.local.pairs import CUT

QUERY, DOCUMENT = "query", "document"
PROMPTS = {QUERY: (QUERY,), DOCUMENT: (DOCUMENT, "passage", "corpus")}
"""The names that folders give to the prompt of a query and of a document; sentence-transformers goes by the first."""
REMEMBERED = 100_000
"""Texts whose vectors are kept: stores that are asked in turns are not embedded anew."""
Vectors = dict[str, tuple[Any, bool]]
"""Text → its vector, and whether it was cut."""


class BiEncoder:
    """A bi-encoder. A store's memories are embedded ahead, as memory systems do; a query when it is asked."""

    def __init__(
        self,
        said: Folder,
        weights: Mapping[str, str],
        settings: Settings,
        prompts: Mapping[str, str | None],
        device: str | None,
        batch_size: int,
    ) -> None:
        settings.check(said.name)
        if replace(settings, instruction=None, prompt=None, cut=CUT) != settings:
            raise UsageError(f"{said.name}: a bi-encoder takes no instruction, prompt or cut, but query_prompt")
        if said.family not in (PLAIN, *FAMILIES.values()):
            raise PrerequisiteError(
                f"{said.name}: unsupported model_type {said.family!r}: sentence-transformers has none"
            )
        self.said, self.settings, self.batch_size = said, settings, batch_size
        getLogger("sentence_transformers").setLevel(ERROR)  # of what is cut, which is counted here
        self._device, self._trusted = device, folder.trusted(said, settings.trust_code)
        self.prompts = {side: _prompt(said, side, prompts[side]) for side in PROMPTS}
        stored = said.stored_dtype or settings.dtype
        told: dict[str, Any] = {f"{side}_prompt": text for side, text in self.prompts.items() if text is not None}
        told |= {"max_length": settings.max_length, "trust_code": self._trusted}
        told |= {"stored_dtype": stored if stored != settings.dtype else None}
        packages = ("torch", "transformers", "sentence-transformers")
        self.fingerprint = {
            **weights,
            "dtype": settings.dtype,
            **{name: value for name, value in told.items() if value},
            **{name: version(name) for name in packages},
        }
        self._stores: dict[tuple[str, ...], Vectors] = {}
        self._missing: list[str] = []

    @cached_property
    def model(self) -> Any:
        """The loaded model."""
        import sentence_transformers
        import torch

        settings = self.settings
        device = checkpoint.device(self.said.name, self._device)
        with checkpoint.loading(self.said) as warned:
            model = getattr(sentence_transformers, self.said.family)(
                str(self.said.path),
                device=device,
                local_files_only=True,
                trust_remote_code=self._trusted,
                model_kwargs={"dtype": getattr(torch, settings.dtype)},
            )
            if settings.max_length is not None:
                usable = self.said.positions or settings.max_length
                if settings.max_length > usable:
                    raise UsageError(f"max_length={settings.max_length}, but the model has {usable} positions")
                around = getattr(model.tokenizer, "num_special_tokens_to_add", int)(False)
                if settings.max_length <= around:
                    raise UsageError(f"max_length={settings.max_length} is too short: {around} tokens frame each text")
                model.max_seq_length = settings.max_length
                if getattr(model[0], "document_length", None) is not None:
                    model[0].document_length = settings.max_length
            probe.used(self.said.name, model, warned.unexpected)
            probe.reads(self.said.name, model, model.tokenizer)
            self._missing = warned.missing
            self.prompts = {
                side: model.prompts.get(side) if text is None else text for side, text in self.prompts.items()
            }
            return model

    def warm_up(self) -> None:
        """Loads the model and checks it. Raises PrerequisiteError for a model that must not be run."""
        name, dtype, model = self.said.name, self.settings.dtype, self.model
        probe.computes(name, model, dtype)

        def ours(query: str, texts: Sequence[str]) -> list[float]:
            memories = [Memory(str(place), text) for place, text in enumerate(texts)]
            self._stores.clear()
            return list(self.score(Query("probe", query, "probe"), memories).scores or ())

        def compare(texts: list[str]) -> None:
            told: dict[str, Any] = {"batch_size": 1, "show_progress_bar": False}
            told |= {"convert_to_sparse_tensor": False} if self.said.family == FAMILIES["sparse_encoder"] else {}
            asked = model.encode_query([probe.QUERY], prompt=self.prompts[QUERY], **told)
            found = model.encode_document(texts, prompt=self.prompts[DOCUMENT], **told)
            theirs = model.similarity(asked, found)[0].tolist()
            otherwise = f"{name}: sentence-transformers compares otherwise"
            probe.agree(otherwise, dtype, ours(probe.QUERY, texts), theirs, least=1.0)

        with checkpoint.loading(self.said):
            self._check_missing()
            probe.scores(name, dtype, ours, least=1.0)
            probe.whole(name, model.max_seq_length or probe.FULL, model, compare)
        self._stores.clear()

    def index(self, memories: Sequence[Memory]) -> Vectors:
        """Embeds one store, in order of id, so that the order of the file cannot reach the scores.

        A store is remembered as a whole: what else is in its batches reaches the last bits of a vector.
        """
        texts = tuple(memory.text for memory in sorted(memories, key=lambda memory: memory.doc_id))
        known = self._stores.pop(texts, None)
        self._stores[texts] = (
            dict(zip(texts, self._embed(DOCUMENT, list(texts)), strict=True)) if known is None else known
        )
        while len(self._stores) > 1 and sum(map(len, self._stores)) > REMEMBERED:
            del self._stores[next(iter(self._stores))]
        return self._stores[texts]

    def score(self, query: Query, memories: Sequence[Memory]) -> Scored:
        """The model's similarities; a pair counts as cut where its query or its memory was."""
        texts = [memory.text for memory in memories]
        stores = (store for store in reversed(self._stores.values()) if all(text in store for text in texts))
        vectors = next(islice(stores, 1), None) or self.index(memories)
        [(asked, cut)] = self._embed(QUERY, [query.text])
        found = [vectors[text] for text in texts]
        return Scored([self._similarity(asked, vector) for vector, _ in found], [cut or short for _, short in found])

    @property
    def _normalised(self) -> bool:
        return self.said.family == PLAIN and self.model.similarity_fn_name == "cosine"

    def _similarity(self, asked: Any, vector: Any) -> float:
        """Pair by pair, so that the same pair has the same score in any company."""
        if self._normalised:
            return float((vector * asked).sum())
        one, other = (value.to_dense() if value.is_sparse else value for value in (asked, vector))
        return float(self.model.similarity([one], [other])[0][0])

    def _embed(self, side: str, texts: list[str]) -> list[tuple[Any, bool]]:
        """The vector of each text, and whether the text was cut."""
        encode = self.model.encode_query if side == QUERY else self.model.encode_document
        told: dict[str, Any] = {"batch_size": self.batch_size, "show_progress_bar": False}
        if self._normalised:
            vectors = encode(texts, prompt=self.prompts[side], normalize_embeddings=True, **told).astype("float64")
        else:
            told |= {"convert_to_tensor": True} if self.said.family == PLAIN else {}
            vectors = [vector.cpu().double() for vector in encode(texts, prompt=self.prompts[side], **told)]
        return list(zip(vectors, self._cut(side, texts), strict=True))

    def _cut(self, side: str, texts: list[str]) -> list[bool]:
        """Whether each text is longer than the model reads."""
        longest = getattr(self.model[0], f"{side}_length", None) or self.model.max_seq_length
        cut: list[bool] = []
        for start in range(0, len(texts), self.batch_size):
            some, uncut = texts[start : start + self.batch_size], {"text": {"truncation": False}}
            told = {"prompt": self.prompts[side], "task": side, "processing_kwargs": uncut}
            with warnings.catch_warnings():
                # Of mask tokens behind a query, which need no length here.
                warnings.simplefilter("ignore")
                features = self.model.preprocess(some, **told) if longest else {}
            if "attention_mask" in features:
                cut += (features["attention_mask"].sum(1) > longest).tolist()
        return cut or [False] * len(texts)

    def _check_missing(self) -> None:
        """Raises PrerequisiteError where a weight that was not in the checkpoint has a part in what the model makes."""
        import torch

        ours = [p for name, p in self.model.named_parameters() if name.endswith(tuple(self._missing) or "\0")]
        if len(ours) < len(self._missing):
            probe.loaded(self.said.name, self._missing)
        before = self._embed(DOCUMENT, list(probe.DOCUMENTS))
        with torch.no_grad():
            kept = [parameter.clone() for parameter in ours]
            for parameter in ours:
                parameter.zero_()
            after = self._embed(DOCUMENT, list(probe.DOCUMENTS))
            for parameter, value in zip(ours, kept, strict=True):
                parameter.copy_(value)
        if any(bool((old - new).any()) for (old, _), (new, _) in zip(before, after, strict=True)):
            probe.loaded(self.said.name, self._missing)


def _prompt(said: Folder, side: str, wanted: str | None) -> str | None:
    """The text before a query or a document: as wanted (a text, or the name of one of the folder's), else the folder's;
    None where sentence-transformers reads it from a ColBERT's layout.

    Raises PrerequisiteError where the folder has prompts of which it does not say whether they are for this side, or
    says it by a name that sentence-transformers passes over (a default prompt, or `passage` for a document).
    """
    if wanted is not None or said.colbert:
        return None if wanted is None else said.prompts.get(wanted, wanted)
    others = said.prompts.keys() - {name for names in PROMPTS.values() for name in names}
    unsaid = others if side == QUERY or said.default_prompt else said.prompts.keys() & set(PROMPTS[side])
    if side in said.prompts or not unsaid:
        return said.prompts.get(side, "")
    raise PrerequisiteError(
        f"{said.name}: its prompts ({', '.join(said.prompts)}) name none as that of a {side}: set {side}_prompt to the "
        "name of one, to a text, or to nothing"
    )
