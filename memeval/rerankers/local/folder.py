"""What a model's folder says about itself, read from its JSON files and chat template before anything is loaded."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memeval.core import files
from memeval.core.errors import DataError, PrerequisiteError
from memeval.core.values import decoded, utf8
from memeval.rerankers.local import weights

PLAIN = "SentenceTransformer"
CROSS = "CrossEncoder"
FAMILIES = {"cross_encoder": CROSS, "sparse_encoder": "SparseEncoder", "multi_vector_encoder": "MultiVectorEncoder"}
"""Part of the name of a module's class → the class of sentence-transformers whose folders hold such modules."""
LATE = FAMILIES["multi_vector_encoder"]
PYLATE, STANFORD = "ColBERT", "HF_ColBERT"
"""What PyLate up to 3 says as its model_type, and Stanford's ColBERT as its architecture."""
PYLATE_DENSE = "pylate.models.Dense.Dense"
"""A module that sentence-transformers has as its own: no code of the folder's."""

LONGEST = 64 * 2**20
"""Bytes of a JSON file that is read; a tokenizer_config.json of a large vocabulary of added tokens has some 5 MB."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of a model. `name` is what errors call it; the rest is what its files say, `{}` for no such file.

    `modules` are the class names in modules.json, `head` the settings of a LogitScore among them, `template` the chat
    template, `code` where the folder names code that neither transformers nor sentence-transformers has.
    """

    name: str
    path: Path
    config: dict[str, Any]
    sentence: dict[str, Any]
    transformer: dict[str, Any]
    tokenizer: dict[str, Any]
    modules: tuple[str, ...]
    head: dict[str, Any] | None
    template: str | None
    code: tuple[str, ...]

    @property
    def architecture(self) -> str:
        """The class of transformers that it was saved from."""
        declared = self.config.get("architectures")
        first = declared[0] if isinstance(declared, list) and declared else None
        return first if isinstance(first, str) else "none"

    @property
    def family(self) -> str:
        """The class of sentence-transformers whose folder this is: CrossEncoder where there is no modules.json.

        Raises PrerequisiteError where its files contradict each other: it would be loaded as something else.
        """
        if self.colbert or not self.modules:
            return LATE if self.colbert else CROSS
        said = self.sentence.get("model_type") or PLAIN
        held = {family for part, family in FAMILIES.items() for module in self.modules if f".{part}." in module}
        if not isinstance(said, str) or held - {said}:
            holds = f"modules.json holds modules of a {' and a '.join(sorted(held)) or PLAIN}"
            raise PrerequisiteError(
                f"{self.name}: {holds}, but config_sentence_transformers.json says model_type {said!r}"
            )
        return said

    @property
    def colbert(self) -> bool:
        """Whether it has the layout of PyLate up to 3, or of Stanford's ColBERT, which sentence-transformers reads.

        Marks of queries and documents, lengths, mask tokens behind queries and words that are skipped stand elsewhere.
        """
        return self.sentence.get("model_type") == PYLATE if self.modules else self.architecture == STANFORD

    @property
    def prompts(self) -> dict[str, str]:
        """The folder's prompts by name, those that are not empty."""
        said = mapping(self.sentence.get("prompts"))
        return {name: text for name, text in said.items() if isinstance(text, str) and text}

    @property
    def default_prompt(self) -> str | None:
        """The text of the prompt that is used where none is named."""
        name = self.sentence.get("default_prompt_name")
        return self.prompts.get(name) if isinstance(name, str) else None

    @property
    def positions(self) -> int | None:
        """How many tokens its positions suffice for, None where it does not say."""
        said = {**mapping(self.config.get("text_config")), **self.config}
        count = whole(said.get("max_position_embeddings"))
        if count is not None and _starts_after_padding(said.get("model_type")):
            padding = whole(said.get("pad_token_id"))
            count -= 2 if padding is None else padding + 1
        return count

    @property
    def stated_length(self) -> int | None:
        """The length in tokens that its tokenizer is said to cut at."""
        lengths = (self.transformer.get("max_seq_length"), self.tokenizer.get("model_max_length"))
        return min((length for length in map(whole, lengths) if length is not None), default=None)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its classes, in order, where it says them."""
        said = mapping(self.config.get("id2label"))
        return tuple(str(said[key]) for key in sorted(said, key=lambda key: (len(key), key)))

    @property
    def stored_dtype(self) -> str | None:
        """The dtype of its first weight file, as that file itself says; None where there is no safetensors file."""
        stored = sorted(self.path.glob("*.safetensors"))
        if not stored:
            return None
        try:
            [(dtype, _)] = Counter(entry["dtype"] for entry in weights.tensors(stored[0]).values()).most_common(1)
        except (DataError, ValueError, LookupError, TypeError):
            raise PrerequisiteError(f"{stored[0]}: no whole weight file: fetch the model again") from None
        return {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}.get(dtype, str(dtype))


def read(name: str, path: Path) -> Folder:
    """What the folder says. Raises PrerequisiteError for one without a model, and for a file that cannot be read."""
    modules = _modules(path)
    # Where sentence-transformers before 2.0 put the transformer, its folder lies below.
    inner = next((path / place for kind, place in modules if kind.endswith(".Transformer")), path)
    config = document(inner / "config.json")
    if not config and not modules:
        raise PrerequisiteError(f"{name}: {path} holds no model (no config.json)")
    if (path / "adapter_config.json").is_file():
        raise PrerequisiteError(f"{name}: {path} holds an adapter for another model: merge it into that model first")
    tokenizer = document(inner / "tokenizer_config.json")
    heads = [document(path / place / "config.json") for kind, place in modules if kind.endswith(".LogitScore")]
    foreign = [kind for kind, _ in modules if not kind.startswith("sentence_transformers.") and kind != PYLATE_DENSE]
    mapped = [value for said in (config, tokenizer) for value in mapping(said.get("auto_map")).values()]
    return Folder(
        name,
        path,
        config,
        # Without modules.json, sentence-transformers reads neither.
        document(path / "config_sentence_transformers.json") if modules else {},
        document(inner / "sentence_bert_config.json") if modules else {},
        tokenizer,
        tuple(kind for kind, _ in modules),
        heads[0] if heads else None,
        _template(inner, tokenizer),
        tuple(foreign + [str(value) for value in mapped]),
    )


def trusted(said: Folder, trust_code: bool) -> bool:
    """Whether code of the folder is to run. Raises PrerequisiteError where the model needs it and may not have it."""
    if not said.code:
        return False
    if not trust_code:
        raise PrerequisiteError(
            f"{said.name}: the model brings code of its own ({said.code[0][:80]}): only trust_code=true runs it"
        )
    elsewhere = [reference for reference in said.code if "--" in reference]
    if elsewhere:
        raise PrerequisiteError(
            f"{said.name}: its code is in another repository ({elsewhere[0][:80]}): put it beside it"
        )
    return True


def document(path: Path) -> dict[str, Any]:
    """A JSON file's object, empty where there is none. Raises PrerequisiteError for anything else."""
    value = _json(path)
    if not isinstance(value, dict):
        raise PrerequisiteError(f"{path}: holds no JSON object: fetch the model again")
    return value


def whole(value: Any) -> int | None:
    """A number of tokens; None for anything that is none (-1 and 10^30 are said for "no limit")."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**31:
        return None
    return int(value)


def mapping(value: Any) -> dict[str, Any]:
    """A value that should be an object; empty for any other."""
    return value if isinstance(value, dict) else {}


def _read(path: Path) -> bytes | None:
    """What a file of settings holds, None where there is none. Raises PrerequisiteError where it cannot be read."""
    try:
        return files.content(path, LONGEST) if files.is_file(path) else None
    except DataError as error:
        raise PrerequisiteError(str(error)) from None


def _json(path: Path) -> Any:
    raw = _read(path)
    try:
        return {} if raw is None else decoded(raw, str(path))
    except DataError as error:
        raise PrerequisiteError(f"{error}: fetch the model again") from None


def _modules(path: Path) -> list[tuple[str, str]]:
    """The class and the folder of each module in modules.json."""
    listed = _json(path / "modules.json") or []
    try:
        modules = [(entry["type"], entry["path"]) for entry in listed]
    except (TypeError, KeyError):
        modules = [(None, None)]
    if not all(isinstance(kind, str) and isinstance(place, str) for kind, place in modules):
        raise PrerequisiteError(f"{path / 'modules.json'}: names no modules: fetch the model again")
    return modules


def _template(path: Path, tokenizer: dict[str, Any]) -> str | None:
    """The chat template, from where transformers looks for it."""
    raw = _read(path / "chat_template.jinja")
    if raw is not None:
        try:
            return utf8(raw, str(path / "chat_template.jinja"))
        except DataError as error:
            raise PrerequisiteError(str(error)) from None
    said = tokenizer.get("chat_template") or document(path / "chat_template.json").get("chat_template")
    if isinstance(said, list):
        named = [entry.get("template") for entry in said if isinstance(entry, dict) and entry.get("name") == "default"]
        said = named[0] if named else None
    return said if isinstance(said, str) else None


def _starts_after_padding(model_type: Any) -> bool:
    """Whether positions are counted from behind that of the padding token, as RoBERTa and its kin do."""
    kin = ("camembert", "mpnet", "longformer", "data2vec-text", "ibert", "luke", "esm", "xmod", "markuplm", "lilt")
    return isinstance(model_type, str) and ("roberta" in model_type or model_type.endswith(kin))
