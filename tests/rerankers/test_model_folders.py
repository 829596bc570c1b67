"""What a model's folder says of itself is what runs: each real layout against its own reference, or refused at load."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sentence_transformers")

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from transformers.utils import logging
from typer.testing import CliRunner

from memeval import rerankers
from memeval.cli import app
from memeval.core.errors import MemevalError, PrerequisiteError, UsageError
from memeval.core.types import Memory, Query, Scored
from memeval.rerankers import recipes
from memeval.rerankers.local import folder as folder_module
from memeval.rerankers.local import prompt
from tests import makers, models
from tests.makers import jinja

torch.set_num_threads(1)  # tests run side by side, and these models are small

QWEN3 = recipes.wordings()[prompt.QWEN3]
QUERY = "when do the roses bloom?"
DOCUMENTS = ["the roses bloom in june", "tea", "the boat leaks, " * 12, "北京的茶很好喝; чай", "one\n\ntwo"]
PLAIN_CHAT = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
ZERANK = "<|im_start|>system\n{query}<|im_end|>\n<|im_start|>user\n{document}<|im_end|>\n<|im_start|>assistant\n"
MXBAI = "<|im_start|>user\nquery: {query}\ndocument: {document}\nis it relevant<|im_end|>\n<|im_start|>assistant\n"


BUILD: dict[str, Callable[[Path], Path]] = {
    "zerank": lambda folder: models.logit_score(folder, jinja(ZERANK), "yes"),
    "mxbai": lambda folder: models.logit_score(folder, jinja(MXBAI), "1", "0", family="Qwen2"),
    "yes-no": lambda folder: models.logit_score(folder, prompt.template(), "yes", "no"),
    "modular": models.modular,
    "cosine": lambda folder: models.bi_encoder(folder, prompts={"query": "query: ", "document": "passage: "}),
    "dot": lambda folder: models.bi_encoder(folder, similarity_fn_name="dot"),
    "euclidean": lambda folder: models.bi_encoder(folder, similarity_fn_name="euclidean"),
    "bfloat16": lambda folder: models.bi_encoder(folder, dtype="bfloat16"),
    "splade": lambda folder: models.bi_encoder(folder, "SparseEncoder"),
    "late": lambda folder: models.bi_encoder(folder, "MultiVectorEncoder"),
    **{
        name: lambda folder, name=name: models.classifier(folder, name)  # type: ignore[misc]
        for name in ("modernbert", "deberta", "camembert", "klue")
    },
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: build(root / name) for name, build in BUILD.items()}


def scored(name: str, documents: Sequence[str] = DOCUMENTS, query: str = QUERY) -> Scored:
    """What the named system says after it was checked, as a run asks it."""
    reranker: Any = rerankers.load(name, None)  # type: ignore[arg-type]
    reranker.warm_up()
    memories = [Memory(str(place), text) for place, text in enumerate(documents)]
    [(_, answer)] = reranker.score_many([(Query("q", query, "s"), memories)])
    found: Scored = answer
    return found


def refused(name: str) -> str:
    """The one line with which a system is refused before the first query; a model's fault is exit code 3."""
    with pytest.raises(MemevalError) as caught:
        reranker: Any = rerankers.load(name, None)  # type: ignore[arg-type]
        reranker.warm_up()
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.exit_code == 3 or isinstance(caught.value, UsageError)
    return line


def causal(folder: Path, layout: str, true: str, false: str | None) -> list[float]:
    """A plain forward pass over the text that the model's makers say, one document at a time."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    yes, no = (None if text is None else tokenizer.convert_tokens_to_ids(text) for text in (true, false))
    found = []
    for document in DOCUMENTS:
        ids = tokenizer.encode(layout.format(query=QUERY, document=document), add_special_tokens=False)
        with torch.no_grad():
            last = model(torch.tensor([ids])).logits[0, -1]
        found.append(float(last[yes] - (0 if no is None else last[no])))
    return found


def embedded(folder: Path, text: str) -> torch.Tensor:
    """The mean of a text's token vectors."""
    batch = AutoTokenizer.from_pretrained(folder)(text, truncation=True, max_length=128, return_tensors="pt")
    with torch.no_grad():
        return AutoModel.from_pretrained(folder, dtype=torch.float32).eval()(**batch).last_hidden_state[0].mean(0)


def compared(folder: Path, similarity: Callable[..., Any], query: str = "", document: str = "") -> list[float]:
    asked = embedded(folder, query + QUERY)
    return [float(similarity(asked, embedded(folder, document + text))) for text in DOCUMENTS]


def expanded(folder: Path, text: str) -> torch.Tensor:
    """SPLADE: the largest log(1 + relu) over a text's tokens, for each entry of the vocabulary."""
    batch = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.no_grad():
        logits = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()(**batch).logits[0]
    return torch.log1p(torch.relu(logits)).max(0).values


def late(folder: Path) -> list[float]:
    """Late interaction: each token of the query with the nearest one of the document, added up."""
    weight = load_file(folder / "1_Dense" / "model.safetensors")["linear.weight"]

    def vectors(text: str) -> torch.Tensor:
        batch = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
        with torch.no_grad():
            hidden = AutoModel.from_pretrained(folder).eval()(**batch).last_hidden_state[0]
        return torch.nn.functional.normalize(hidden @ weight.T, dim=1)

    return [float((vectors(QUERY) @ vectors(text).T).max(1).values.sum()) for text in DOCUMENTS]


def paired(folder: Path) -> list[float]:
    """The makers' own way where it is that of sentence-transformers."""
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), activation_fn=torch.nn.Identity(), model_kwargs={"dtype": torch.float32})
    scores: list[float] = model.predict([(QUERY, text) for text in DOCUMENTS]).tolist()
    return scores


def cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cosine_similarity(a, b, dim=0)


YES_NO = QWEN3.prefix + QWEN3.pair.replace("{instruction}", QWEN3.instruction) + QWEN3.suffix
REFERENCES: dict[str, Callable[[Path], list[float]]] = {
    "zerank": lambda folder: causal(folder, ZERANK, "yes", None),
    "mxbai": lambda folder: causal(folder, MXBAI, "1", "0"),
    "yes-no": lambda folder: causal(folder, YES_NO, "yes", "no"),
    "modular": lambda folder: makers.ettin(folder, QUERY, DOCUMENTS),
    "modernbert": paired,
    "deberta": paired,
    "camembert": paired,
    "cosine": lambda folder: compared(folder, cosine, "query: ", "passage: "),
    "dot": lambda folder: compared(folder, torch.dot),
    "euclidean": lambda folder: compared(folder, lambda a, b: -torch.dist(a, b)),
    "bfloat16": lambda folder: compared(folder, cosine),
    "splade": lambda folder: [float(expanded(folder, QUERY) @ expanded(folder, text)) for text in DOCUMENTS],
    "late": late,
}
ON_TRANSFORMERS = ["yes-no", "modernbert", "deberta", "camembert"]


@pytest.mark.parametrize("name", list(REFERENCES))
def test_each_layout_scores_as_its_makers_say(folders: dict[str, Path], name: str) -> None:
    wanted = REFERENCES[name](folders[name])
    kinds = ["sentence-transformers", *(["transformers"] if name in ON_TRANSFORMERS else [])]
    for kind in kinds:
        found = scored(f"{kind}/{folders[name]}?max_length={100 if name in CUT_AT else 400}")
        assert list(found.scores or ()) == pytest.approx(wanted, rel=1e-5, abs=5e-5), kind


CUT_AT = ["cosine", "dot", "euclidean", "bfloat16", "splade", "late"]
"""Models with 128 positions."""


@pytest.mark.parametrize("name", [name for name in REFERENCES if name not in ON_TRANSFORMERS])
@pytest.mark.parametrize("kind", ["transformers", "vllm-server"])
def test_an_engine_that_cannot_ask_as_the_folder_says_names_the_one_that_can(
    folders: dict[str, Path], name: str, kind: str
) -> None:
    assert f"sentence-transformers/{folders[name]} " in refused(f"{kind}/{folders[name]}")


@pytest.mark.parametrize("kind", ["transformers", "sentence-transformers", "vllm-server"])
@pytest.mark.parametrize("template", [PLAIN_CHAT, None])
def test_a_chat_model_is_no_reranker_unless_it_is_said(tmp_path: Path, kind: str, template: str | None) -> None:
    folder = models.qwen(tmp_path, template=template)
    assert "prompt=qwen3-reranker asks it as that one is asked" in refused(f"{kind}/{folder}")
    assert "unknown prompt 'qwen3'" in refused(f"{kind}/{folder}?prompt=qwen3")
    if kind != "vllm-server":
        found = scored(f"{kind}/{folder}?prompt=qwen3-reranker&max_length=400")
        assert list(found.scores or ()) == pytest.approx(causal(folder, YES_NO, "yes", "no"), abs=5e-5)


def test_a_prompt_is_not_put_over_that_of_the_folder(folders: dict[str, Path]) -> None:
    line = refused(f"sentence-transformers/{folders['zerank']}?prompt=qwen3-reranker")
    assert "for a causal model whose folder does not say how it is asked" in line


def test_a_head_of_other_tokens_behind_the_yes_no_prompt_is_refused(tmp_path: Path) -> None:
    folder = models.logit_score(tmp_path / "swapped", prompt.template(), "no", "yes")
    for kind in ("transformers", "sentence-transformers"):
        assert "its LogitScore reads tokens" in refused(f"{kind}/{folder}?max_length=300")


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("Qwen/Qwen3-Reranker-0.6B", True),
        ("IAAR-Shanghai/MemReranker-4B", True),
        ("/cache/models--Qwen--Qwen3-Reranker-4B/snapshots/abc", True),
        ("Qwen/Qwen3-Embedding-0.6B", False),
        ("Qwen/Qwen3-0.6B", False),
        ("someone/Qwen/Qwen3-Reranker-0.6B", False),
    ],
)
def test_the_models_of_the_short_names_are_known_by_their_ids(model: str, known: bool) -> None:
    assert recipes.wording_of(model) == ("qwen3-reranker" if known else None)


def test_the_folder_s_own_instruction_is_the_default(tmp_path: Path) -> None:
    folder = models.qwen(tmp_path / "own", template=prompt.template("Find the note"))
    reranker: Any = rerankers.load(f"transformers/{folder}", None)  # type: ignore[arg-type]
    assert reranker.fingerprint["instruction"] == "Find the note"
    saved = models.logit_score(tmp_path / "saved", prompt.template(), "yes", "no")
    told = {"model_type": "CrossEncoder", "prompts": {"note": "Find a note"}, "default_prompt_name": "note"}
    (saved / "config_sentence_transformers.json").write_text(json.dumps(told))
    for kind in ("transformers", "sentence-transformers"):
        reranker = rerankers.load(f"{kind}/{saved}?max_length=300", None)  # type: ignore[arg-type]
        assert reranker.fingerprint["instruction"] == "Find a note"
        reranker.warm_up()


def test_an_instruction_goes_where_the_model_s_own_template_has_a_place_for_it(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    assert "no place for an instruction" in refused(
        f"sentence-transformers/{folders['zerank']}?instruction=Find&max_length=300"
    )
    place = '{% for m in messages if m.role == "system" %}({{ m.content }}) {% endfor %}'
    folder = models.logit_score(tmp_path / "told", place + jinja(MXBAI), "yes")
    found = scored(f"sentence-transformers/{folder}?instruction=Find+it&max_length=400")
    assert list(found.scores or ()) == pytest.approx(causal(folder, "(Find it) " + MXBAI, "yes", None), abs=5e-5)


@pytest.mark.parametrize("kind", ["transformers", "sentence-transformers"])
def test_positions_and_token_types_that_a_model_lacks_are_told_at_load(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    assert "IndexError" in refused(f"{kind}/{folders['klue']}")
    assert "has 512 positions" in refused(f"{kind}/{folders['camembert']}?max_length=513")
    # A pair of full length alone shows that these positions are counted from behind the padding token.
    monkeypatch.setattr(folder_module, "_starts_after_padding", lambda model_type: False)
    assert "set max_length lower" in refused(f"{kind}/{folders['camembert']}?max_length=513")


def test_code_of_a_model_s_own_runs_only_where_the_system_s_name_says_so(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    folder = models.own_code(tmp_path / "own", mark)
    plain = Path(shutil.copytree(folder, tmp_path / "plain"))
    settled(auto_map={}, architectures=["BertForSequenceClassification"])(plain)
    for kind in ("transformers", "sentence-transformers"):
        asked = ["run", "--dataset", "hard-cases", "--limit", "2", "--results", str(tmp_path / "r"), "--quiet"]
        said = CliRunner().invoke(app, [*asked, "--system", f"{kind}/{folder}"], input="y\n")
        assert said.exit_code == 3
        assert "brings code of its own (modeling_own.Own): only trust_code=true runs it" in said.stderr
        assert not mark.exists()
    for kind in ("transformers", "sentence-transformers"):
        reranker: Any = rerankers.load(f"{kind}/{folder}?trust_code=true", None)  # type: ignore[arg-type]
        assert reranker.fingerprint["trust_code"] is True
        own, bare = scored(f"{kind}/{folder}?trust_code=true"), scored(f"{kind}/{plain}?trust_code=true")
        assert list(own.scores or ()) == pytest.approx([-score for score in bare.scores or ()], abs=1e-6)
    assert mark.exists()
    settled(auto_map={"AutoModelForSequenceClassification": "someone/else--modeling_own.Own"})(folder)
    assert "its code is in another repository" in refused(f"transformers/{folder}?trust_code=true")


def test_modules_of_strangers_and_of_another_family_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["dot"], tmp_path / "foreign"))
    listed = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([*listed, {"idx": 2, "name": "2", "path": "", "type": "os.Thing"}]))
    assert "code of its own (os.Thing)" in refused(f"sentence-transformers/{folder}")
    unsaid = Path(shutil.copytree(folders["zerank"], tmp_path / "unsaid"))
    (unsaid / "config_sentence_transformers.json").unlink()
    assert "holds modules of a CrossEncoder, but" in refused(f"sentence-transformers/{unsaid}")
    (unsaid / "config_sentence_transformers.json").write_text('{"model_type": "Ranker"}')
    (unsaid / "modules.json").write_text(json.dumps(listed))
    assert "unsupported model_type 'Ranker'" in refused(f"sentence-transformers/{unsaid}")


@pytest.mark.parametrize(
    ("prompts", "default", "line"),
    [
        ({"s2p": "find: "}, None, "(s2p) name none as that of a query: set query_prompt"),
        ({"query": "query: ", "passage": "passage: "}, None, "name none as that of a document: set document_prompt"),
        ({"s2p": "find: "}, "s2p", "name none as that of a query"),
    ],
)
def test_prompts_of_which_it_is_not_said_whose_they_are_are_asked_for(
    tmp_path: Path, prompts: dict[str, str], default: str | None, line: str
) -> None:
    folder = models.bi_encoder(tmp_path / "m", prompts=prompts, default_prompt_name=default)
    assert line in refused(f"sentence-transformers/{folder}")
    name = next(reversed(prompts))
    found = scored(f"sentence-transformers/{folder}?query_prompt=ask:+&document_prompt={name}")
    assert list(found.scores or ()) == pytest.approx(compared(folder, cosine, "ask: ", prompts[name]), abs=1e-5)


def test_what_a_bi_encoder_runs_with_is_recorded(folders: dict[str, Path]) -> None:
    def recorded(name: str) -> dict[str, Any]:
        made: Any = rerankers.load(f"sentence-transformers/{name}", None)  # type: ignore[arg-type]
        return {key: made.fingerprint.get(key) for key in ("dtype", "stored_dtype", "query_prompt", "document_prompt")}

    plain = dict.fromkeys(("stored_dtype", "query_prompt", "document_prompt"))
    assert recorded(str(folders["dot"])) == {**plain, "dtype": "float32"}
    assert recorded(str(folders["bfloat16"])) == {**plain, "dtype": "float32", "stored_dtype": "bfloat16"}
    assert recorded(f"{folders['bfloat16']}?dtype=bfloat16") == {**plain, "dtype": "bfloat16"}
    told = {"query_prompt": "query: ", "document_prompt": "passage: "}
    assert recorded(str(folders["cosine"])) == {**plain, "dtype": "float32", **told}
    assert scored(f"sentence-transformers/{folders['bfloat16']}?dtype=bfloat16").scores is not None


@pytest.mark.parametrize("name", ["dot", "splade", "late"])
def test_a_bi_encoder_tells_what_it_cut(folders: dict[str, Path], name: str) -> None:
    documents = ["tea", "tea " * 126, "tea " * 127, "tea " * 500]  # and two tokens around them
    assert scored(f"sentence-transformers/{folders[name]}", documents).cut == [False, False, True, True]
    assert scored(f"sentence-transformers/{folders[name]}", ["tea"], "tea " * 200).cut == [True]
    assert scored(f"sentence-transformers/{folders[name]}?max_length=8", ["tea", "tea " * 9], "tea").cut == [
        False,
        True,
    ]


def test_stores_that_are_asked_in_turns_are_embedded_once(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    reranker: Any = rerankers.load(f"sentence-transformers/{folders['cosine']}", None)  # type: ignore[arg-type]
    reranker.warm_up()
    embedded_texts: list[str] = []
    encode = reranker.engine.model.encode_document

    def counted(texts: list[str], **told: Any) -> Any:
        embedded_texts.extend(texts)
        return encode(texts, **told)

    monkeypatch.setattr(reranker.engine.model, "encode_document", counted)
    stores = [[Memory(f"{store}{place}", f"tea {store} {place}") for place in range(5)] for store in "abc"]
    found = []
    for turn in range(4):
        for store in stores:
            reranker.index(store)
            found.append(reranker.score(Query(f"q{turn}", QUERY, "s"), store[1:4]))
    assert len(embedded_texts) == 15
    assert found[:3] == found[3:6] == found[9:]


def test_weights_that_chance_has_set_are_refused_where_they_matter(folders: dict[str, Path], tmp_path: Path) -> None:
    def without(name: str, part: str) -> str:
        folder = Path(shutil.copytree(folders[name], tmp_path / f"{name}-{part}"))
        weights = {key: value for key, value in load_file(folder / "model.safetensors").items() if part not in key}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return f"sentence-transformers/{folder}"

    assert "weights are not in the checkpoint" in refused(without("dot", "layer.1"))
    assert "weights are not in the checkpoint" in refused(without("splade", "predictions.transform"))
    # What no embedding goes through may be missing, as a pooler is from many of these models.
    bare, whole = scored(without("dot", "pooler")), scored(f"sentence-transformers/{folders['dot']}")
    assert list(bare.scores or ()) == list(whole.scores or ())


def test_missing_weights_are_seen_whatever_is_logged(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["dot"], tmp_path / "more"))
    settled(num_hidden_layers=5)(folder)
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        assert "weights are not in the checkpoint" in refused(f"sentence-transformers/{folder}")
        assert logging.get_verbosity() == logging.ERROR
    finally:
        logging.set_verbosity(verbosity)


@pytest.mark.parametrize("kind", ["transformers", "sentence-transformers"])
@pytest.mark.parametrize("name", ["modernbert", "camembert"])
def test_the_longer_text_is_cut_where_it_is_asked_for(folders: dict[str, Path], name: str, kind: str) -> None:
    from sentence_transformers import CrossEncoder

    query, documents = "when do the roses bloom " * 300, [*DOCUMENTS, "roses need water " * 400]
    system: Any = rerankers.load(f"{kind}/{folders[name]}", None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cut=longest cuts such a query, too"):
        system.score(Query("q", query, "s"), [Memory("m", "tea")])
    found = scored(f"{kind}/{folders[name]}?cut=longest", documents, query)
    model = CrossEncoder(str(folders[name]), activation_fn=torch.nn.Identity())
    wanted = model.predict([(query, text) for text in documents]).tolist()
    assert list(found.scores or ()) == pytest.approx(wanted, abs=1e-5)
    assert all(found.cut or ())
    longest: Any = rerankers.load(f"{kind}/{folders[name]}?cut=longest", None)  # type: ignore[arg-type]
    assert (longest.fingerprint["cut"], system.fingerprint.get("cut")) == ("longest", None)
    assert "unknown cut 'both'" in refused(f"{kind}/{folders[name]}?cut=both")
    assert "cut=longest is for classifiers" in refused(f"{kind}/{folders['yes-no']}?cut=longest")


def test_a_pair_that_its_own_way_would_cut_the_query_from_fails(tmp_path: Path) -> None:
    turned = "{document} " + ZERANK.replace("{document}", "?")
    folder = models.logit_score(tmp_path / "turned", jinja(turned), "yes")
    found = scored(f"sentence-transformers/{folder}?max_length=400", ["tea"])
    assert found.cut == [False]
    with pytest.raises(UsageError, match="cuts off the query"):
        scored(f"sentence-transformers/{folder}?max_length=100", ["tea " * 300])


@pytest.mark.parametrize(
    ("name", "short"), [("modular", (1, 3)), ("cosine", (1, 2)), ("splade", (1, 2)), ("late", (1, 2))]
)
def test_a_length_that_leaves_nothing_of_a_text_is_refused(
    folders: dict[str, Path], name: str, short: tuple[int, ...]
) -> None:
    for length in short:
        line = refused(f"sentence-transformers/{folders[name]}?max_length={length}")
        assert f"max_length={length}" in line


def test_more_than_two_classes_are_no_relevance(tmp_path: Path) -> None:
    folder = models.bert(tmp_path, labels=3)
    for kind in ("transformers", "sentence-transformers"):
        assert "3 classes, not 1 or 2" in refused(f"{kind}/{folder}")


def settled(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | values))

    return change


def written(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def shortened(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


DAMAGES: dict[str, Callable[[Path], None]] = {
    "no architecture": settled(architectures=[3], model_type=None),
    "model_type": settled(model_type=None),
    "positions": settled(max_position_embeddings="many"),
    "another shape": settled(hidden_size=32),
    "deep": written("config.json", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a list": written("config.json", b"[1]"),
    "utf-16": written("modules.json", "[]".encode("utf-16")),
    "no modules": written("modules.json", b'[{"type": 3}]'),
    "no tokenizer": written("tokenizer.json", b"{}"),
    "no template": written("chat_template.jinja", b"\xff\xfe"),
    "a template that is no text": written("chat_template.jinja", b"{{ messages }}\0"),
    "an adapter": written("adapter_config.json", b"{}"),
    "cut off": shortened,
    "empty": written("model.safetensors", b""),
    "garbage": written("model.safetensors", b"\xff" * 500),
    "a header of 2^40 bytes": written("model.safetensors", (2**40).to_bytes(8, "little") + b"{" * 500),
    "a header that is deep": written("model.safetensors", (10**5).to_bytes(8, "little") + b"[" * 10**5),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
@pytest.mark.parametrize("name", ["camembert", "zerank", "dot"])
def test_a_damaged_folder_is_one_line_before_the_first_query(
    folders: dict[str, Path], tmp_path: Path, name: str, damage: str
) -> None:
    folder = Path(shutil.copytree(folders[name], tmp_path / name))
    DAMAGES[damage](folder)
    for kind in ("transformers", "sentence-transformers"):
        with pytest.raises(PrerequisiteError) as caught:
            made: Any = rerankers.load(f"{kind}/{folder}?max_length=100", None)  # type: ignore[arg-type]
            made.warm_up()
        assert "\n" not in str(caught.value)
        assert str(folder) in str(caught.value)


def a_word_too_many(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"zx{number}" for number in range(40)])
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (settled(num_hidden_layers=2, layer_types=["full_attention"] * 2), "more layers than its config.json says"),
        (a_word_too_many, "but it has .*: a tokenizer of another model"),
    ],
)
@pytest.mark.parametrize("name", ["camembert", "yes-no", "modular", "dot"])
def test_a_folder_of_two_models_parts_is_refused(
    folders: dict[str, Path], tmp_path: Path, name: str, damage: Callable[[Path], None], line: str
) -> None:
    folder = Path(shutil.copytree(folders[name], tmp_path / name))
    damage(folder)
    kinds = ["sentence-transformers", *["transformers"] * (name in ("camembert", "yes-no"))]
    for kind in kinds:
        assert re.search(line, refused(f"{kind}/{folder}"))


def test_special_tokens_that_no_text_becomes_need_no_place_in_the_model(tmp_path: Path) -> None:
    folder = models.bert(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    tokenizer.save_pretrained(folder)
    assert scored(f"transformers/{folder}", ["tea <image>"]).scores


def test_broken_weights_end_a_run_as_something_missing(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["dot"], tmp_path / "m"))
    shortened(folder)
    asked = ["run", "--dataset", "hard-cases", "--limit", "2", "--results", str(tmp_path / "r"), "--quiet"]
    said = CliRunner().invoke(app, [*asked, "--system", f"sentence-transformers/{folder}"])
    assert said.exit_code == 3, said.output
    assert "SafetensorError" in said.stderr


def words_of_its_own(folder: Path) -> Path:
    """A BERT classifier whose vocabulary was extended by a word."""
    models.bert(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["zx9"])
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    torch.manual_seed(5)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def runs_of_spaces(folder: Path) -> Path:
    """A ModernBERT classifier with tokens for several spaces, as the published one has them."""
    from tokenizers.processors import TemplateProcessing
    from transformers import ModernBertConfig, ModernBertForSequenceClassification, PreTrainedTokenizerFast

    marks = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    made = models.qwen_tokenizer()
    made.add_special_tokens(marks)
    made.add_tokens([" " * count for count in (2, 3, 4)])
    ids = [(mark, made.convert_tokens_to_ids(mark)) for mark in ("[CLS]", "[SEP]")]
    backend = made.backend_tokenizer
    backend.post_processor = TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", ids)
    names = ["input_ids", "attention_mask"]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, model_input_names=names, **marks)
    torch.manual_seed(0)
    shape = {**models.SMALL, "vocab_size": len(tokenizer), "num_labels": 1, "max_position_embeddings": 512}
    shape |= {f"{name}_token_id": tokenizer.pad_token_id for name in ("pad", "cls", "bos", "eos", "sep")}
    ModernBertForSequenceClassification(ModernBertConfig(**shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("build", [words_of_its_own, runs_of_spaces])
@pytest.mark.parametrize("kind", ["transformers", "sentence-transformers"])
def test_added_tokens_that_are_text_are_read_as_the_tokenizer_reads_them(
    tmp_path: Path, build: Callable[[Path], Path], kind: str
) -> None:
    folder = build(tmp_path / "model")
    documents = ["the zx9 roses", "tea  at   four\n\n    o'clock", "[SEP] the boat [CLS]"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        wanted = [float(model(**tokenizer(QUERY, text, return_tensors="pt")).logits) for text in documents]
    found = list(scored(f"{kind}/{folder}", documents).scores or ())
    assert found[:2] == pytest.approx(wanted[:2], abs=5e-5)
    text = prompt.text_tokenizer(tokenizer)
    for mark in tokenizer.all_special_tokens:
        assert tokenizer.convert_tokens_to_ids(mark) not in text.encode(f"a {mark} b").ids


def test_a_head_that_makes_more_of_a_hidden_state_than_a_product_is_refused(tmp_path: Path) -> None:
    from transformers import GraniteConfig, GraniteForCausalLM

    tokenizer = models.qwen_tokenizer()
    tokenizer.chat_template = prompt.template()
    torch.manual_seed(0)
    shape = {**models.SMALL, "vocab_size": len(tokenizer), "num_key_value_heads": 2, "max_position_embeddings": 900}
    GraniteForCausalLM(GraniteConfig(logits_scaling=8.0, **shape)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert "are not those of a plain forward pass" in refused(f"transformers/{tmp_path}?max_length=400")


@pytest.mark.parametrize("kind", ["transformers", "sentence-transformers", "vllm-server"])
def test_a_classifier_whose_first_class_is_relevance_is_not_read_the_other_way_round(tmp_path: Path, kind: str) -> None:
    models.bert(tmp_path, labels=2, id2label={0: "relevant", 1: "irrelevant"})
    line = refused(f"{kind}/{tmp_path}" if kind != "vllm-server" else f"{kind}/x?tokenizer={tmp_path}")
    assert "its first class is 'relevant'" in line


def test_a_folder_has_no_revisions_and_may_have_a_sign_of_them_in_its_name(tmp_path: Path) -> None:
    folder = models.bert(tmp_path / "me@home")
    assert "a folder has no revisions" in refused(f"transformers/{folder}@main")
    assert scored(f"transformers/{folder}", ["tea"]).scores


def test_settings_of_sentence_transformers_hold_only_where_it_reads_them(tmp_path: Path) -> None:
    bare = paired(models.bert(tmp_path))
    said = {"model_type": "CrossEncoder", "prompts": {"a": "find: "}, "default_prompt_name": "a"}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(said))
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 12, "do_lower_case": true}')
    assert paired(tmp_path) == bare
    for kind in ("transformers", "sentence-transformers"):
        assert list(scored(f"{kind}/{tmp_path}?cut=longest").scores or ()) == pytest.approx(bare, abs=5e-5)


COLBERT = [*DOCUMENTS, "roses, in june; is it?", "the boat leaks " * 9]


@pytest.mark.parametrize("layout", ["pylate", "stanford"])
@pytest.mark.parametrize("attends", [False, True])
def test_a_colberts_layout_is_read_as_it_was_trained(tmp_path: Path, layout: str, attends: bool) -> None:
    mark = {"pylate": "attend_to_expansion_tokens", "stanford": "attend_to_mask_tokens"}[layout]
    folder = models.colbert(tmp_path / layout, layout, **{mark: attends})
    answer = scored(f"sentence-transformers/{folder}", COLBERT)
    wanted = makers.interacting(folder, QUERY, COLBERT, layout, attends)
    assert list(answer.scores or ()) == pytest.approx(wanted, abs=2e-5)
    assert list(answer.cut or ()) == [len(AutoTokenizer.from_pretrained(folder)(t)["input_ids"]) > 19 for t in COLBERT]
    longer = scored(f"sentence-transformers/{folder}?max_length=60", COLBERT)
    assert list(longer.cut or ())[-1] is False and longer.scores != answer.scores
    assert "is that of a MultiVectorEncoder" in refused(f"transformers/{folder}")
