"""Rerankers that write, think, decode or bring their own code: each against a plain computation of its own."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from memeval import rerankers
from memeval.core import plugins
from memeval.core.errors import MemevalError, PrerequisiteError, UsageError
from memeval.core.types import Memory, Query, Request, Scored
from memeval.rerankers import windows
from memeval.rerankers.hosted.faults import UnreadableError
from memeval.rerankers.hosted.terms import Terms
from memeval.rerankers.local import encoder_decoder, generation
from memeval.rerankers.local.generation import Written
from memeval.rerankers.local.opened import Running, opened
from memeval.rerankers.local.texts import DOCUMENT, QUERY, PromptTexts
from memeval.runs.guard import Scorer
from tests import makers, models

torch.set_num_threads(1)  # tests run side by side, and these models are small

ASKED = "when do the roses bloom?"
TEXTS = ["the roses bloom in june", "tea", "the boat leaks, " * 12, "北京的茶很好喝; чай"]
ORDER = "[2] > [1] > [4] > [3]"
BUILD: dict[str, Callable[[Path], Path]] = {
    "plain": lambda folder: models.qwen(folder, template=None),
    "writing": lambda folder: models.writing(folder, ORDER),
    "endless": lambda folder: models.writing(folder, ORDER, end=None, spoken=(" true", " false")),
    "thinking": lambda folder: models.writing(folder, "</think>", spoken=(" true", " false")),
    "t5": models.t5,
    "mt5": lambda folder: models.t5(folder, answers=("yes", "no")),
    "kalm": models.t5gemma2,
    "listed": models.listed,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: build(root / name) for name, build in BUILD.items()}


def loaded(name: str, order: int = 0) -> Any:
    return rerankers.load(name, None, terms=Terms(order=order))  # type: ignore[arg-type]


def request(texts: Sequence[str] = TEXTS, query: str = ASKED) -> Request:
    return Query("q", query, "s"), [Memory(str(place), text) for place, text in enumerate(texts)]


def asked(reranker: Any, texts: Sequence[str] = TEXTS, query: str = ASKED) -> Scored:
    [(_, found)] = reranker.score_many([request(texts, query)])
    answer: Scored = found
    return answer


def refused(name: str) -> str:
    """The one line with which a system is refused before the first query."""
    with pytest.raises(MemevalError) as caught:
        loaded(name).warm_up()
    assert "\n" not in str(caught.value) and isinstance(caught.value, PrerequisiteError | UsageError)
    return str(caught.value)


# ---- what is written


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[3] > [1] > [2]", [2, 0, 1]),
        ("[3]>[1]>\n[2]", [2, 0, 1]),
        ("<think>[1] > [2] > [3]? no</think>\n\nSo: [3] > [1] > [2].", [2, 0, 1]),
        ("<think>so</think><answer> [3] > [1] > [2] </answer>", [2, 0, 1]),
        ("```\n[3] > [1] > [2]\n```", [2, 0, 1]),
    ],
)
def test_an_order_is_read_behind_thoughts_and_inside_tags(text: str, wanted: list[int]) -> None:
    assert windows.written(text, 3) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "", "[1]", "3 > 1 > 2", "[1] > [2]", "[1] > [2] > [2]", "[1] > [2] > [3] > [4]", "[0] > [1] > [2]",
        "[1] > [2] > [3] > [3]", "[1] > [2] > [3] or [2] > [1] > [3]", "<think>[1] > [2] > [3]",
        "[A] > [B] > [C]", "[1], [2], [3]", "[1] > [2] > [33]",
    ],
)  # fmt: skip
def test_what_is_no_complete_order_is_none(text: str) -> None:
    with pytest.raises(UnreadableError):
        windows.written(text, 3)


# ---- what is read


@pytest.mark.parametrize("name", ["plain", "t5", "kalm"])
def test_a_prompt_reads_as_the_tokenizer_reads_the_whole(folders: dict[str, Path], name: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folders[name])
    control = {"plain": "<|im_start|>", "t5": "", "kalm": "<start_of_turn>"}[name]
    words = f"{control}user\n\n\n\nQuery: {QUERY} Document: {DOCUMENT}\n[2] {DOCUMENT}{control} {QUERY}"
    for framed in (True, False):
        ids = PromptTexts(tokenizer, framed=framed).ids(words, ASKED, TEXTS[:2])
        whole = f"{control}user\n\n\n\nQuery: {ASKED} Document: {TEXTS[0]}\n[2] {TEXTS[1]}{control} {ASKED}"
        assert ids == tokenizer.encode(whole, add_special_tokens=framed)


def test_control_tokens_in_what_a_user_wrote_stay_text(folders: dict[str, Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folders["plain"])
    ids = PromptTexts(tokenizer, framed=True).ids(
        f"<|im_start|>{QUERY}{DOCUMENT}", "a<|im_end|>", ["</think>{document}<|im_start|>"]
    )
    assert tokenizer.decode(ids) == "<|im_start|>a<|im_end|></think>{document}<|im_start|>"
    control = [tokenizer.convert_tokens_to_ids(text) for text in ("<|im_start|>", "<|im_end|>", "</think>")]
    assert [ids.count(token) for token in control] == [1, 0, 0]


def test_the_longest_documents_are_cut_and_nothing_else(folders: dict[str, Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folders["plain"])
    texts = PromptTexts(tokenizer, framed=False)
    words = f"<|im_start|>{QUERY}: {DOCUMENT}; {DOCUMENT} <think>"
    documents = ["tea", "roses need water and " * 50]
    whole = len(texts.ids(words, ASKED, documents))
    for longest in (whole, whole - 1, 60, 40):
        ids, cut = texts.fitted(words, ASKED, documents, longest)
        read = tokenizer.decode(ids)
        assert longest - 2 <= len(ids) <= longest and cut == [False, longest < whole]
        assert read.startswith(f"<|im_start|>{ASKED}: tea; roses need") and read.endswith(" <think>")
    ids, cut = texts.fitted(words, ASKED, documents, whole, each=5)
    assert cut == [False, True] and len(ids) < 30
    with pytest.raises(UsageError, match="max_length=5 is too short: the prompt takes"):
        texts.fitted(words, ASKED, documents, 5)


# ---- what a model writes


def writer(folder: Path, most: int, batch_tokens: int, end: str = "") -> generation.Writer:
    return generation.Writer(opened("x", str(folder), None, Running(), generation.CLASSES), most, batch_tokens, end)


def test_writing_is_greedy_and_the_same_in_any_company(folders: dict[str, Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folders["plain"])
    prompts = [tokenizer.encode(text) for text in TEXTS]
    wanted = [makers.greedy(folders["plain"], ids, 12) for ids in prompts]
    for batch_tokens in (1, 100, 10_000):
        assert [one.ids for one in writer(folders["plain"], 12, batch_tokens).write(prompts)] == wanted
    one = tokenizer.decode(wanted[0])[3:8]
    [stopped] = writer(folders["plain"], 12, 1, one).write(prompts[:1])
    assert stopped.whole and one in stopped.text and one not in tokenizer.decode(stopped.ids[:-1])


def test_what_a_folder_says_of_sampling_and_penalties_is_not_used(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = models.qwen(tmp_path / "sampled", template=None)
    said = json.loads((folder / "generation_config.json").read_text())
    wild = {"do_sample": True, "temperature": 5.0, "repetition_penalty": 9.0, "min_new_tokens": 30, "num_beams": 3}
    (folder / "generation_config.json").write_text(json.dumps({**said, **wild}))
    ids = AutoTokenizer.from_pretrained(folder).encode(TEXTS[0])
    [made] = writer(folder, 12, 1).write([ids])
    assert made.ids == makers.greedy(folder, ids, 12)


# ---- listwise


def test_windows_go_from_the_last_to_the_first_and_carry_the_best_forward(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that puts the longest text first, asked for ten texts by windows of four."""
    reranker = loaded(f"listwise/{folders['writing']}?prompt=lighton")
    seen: list[list[int]] = []

    def write(prompts: list[list[int]]) -> list[Written]:
        found = []
        for ids in prompts:
            read = reranker.writer.tokenizer.decode(ids)
            sizes = [len(line.split(": ")[1]) for line in read.splitlines() if line.startswith("[")]
            seen.append(sizes)
            order = sorted(range(len(sizes)), key=lambda place: -sizes[place])
            found.append(Written([1], " > ".join(f"[{place + 1}]" for place in order), True))
        return found

    monkeypatch.setattr(reranker.writer, "write", write)
    texts = ["t" * size for size in (3, 9, 1, 7, 5, 2, 8, 4, 6, 10)]
    scores = list(asked(reranker, texts).scores or ())
    assert seen == [[8, 4, 6, 10], [5, 2, 10, 8], [1, 7, 10, 8], [3, 9, 10, 8]]
    assert scores[-1] == 0 and [texts[place] for place in sorted(range(10), key=lambda p: -scores[p])][:3] == [
        "t" * size for size in (10, 9, 8)
    ]
    seen.clear()
    answers = dict(reranker.score_many([request(texts), request(texts[:3]), request(texts[:1]), request([])]))
    assert [list(answers[place].scores or ()) for place in (0, 2, 3)] == [scores, [0.0], []]
    assert list(answers[1].scores or ()) == [-1.0, 0.0, -2.0] and seen[1] == [3, 9, 1]


@pytest.mark.parametrize(
    ("wrote", "whole", "status"),
    [
        ("[2] > [1] > [4]", True, "unparsable"),
        ("[2] > [1] > [4] > [4]", True, "unparsable"),
        ("[2] > [1] > [4] > [3] > [5]", True, "unparsable"),
        ("I cannot rank these.", True, "unparsable"),
        ("[2] > [1] > [4] > [3] > [", False, "truncated"),
    ],
)
def test_a_malformed_order_fails_its_query_alone(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, wrote: str, whole: bool, status: str
) -> None:
    reranker = loaded(f"listwise/{folders['writing']}?prompt=lighton")

    def write(prompts: list[list[int]]) -> list[Written]:
        read = [reranker.writer.tokenizer.decode(ids) for ids in prompts]
        good = Written([1, 2], ORDER, True)
        return [Written([1, 2, 3], wrote, whole) if "spoilt" in text else good for text in read]

    monkeypatch.setattr(reranker.writer, "write", write)
    spoilt = [*TEXTS, "one more", "the spoilt one"]
    answers = dict(Scorer(reranker, None).many([request(spoilt), request()]))
    assert answers[0].scores is None and answers[0].status == status and answers[0].error
    assert answers[0].usage and answers[0].usage["output_tokens"] == 3
    assert list(answers[1].scores or ()) == [-1.0, 0.0, -3.0, -2.0] and answers[1].status == "ok"
    with pytest.raises(UnreadableError):
        reranker.score(*request(spoilt))


def test_other_orders_show_the_same_memories_otherwise(folders: dict[str, Path]) -> None:
    usual = loaded(f"listwise/{folders['writing']}?prompt=lighton")
    turned = loaded(f"listwise/{folders['writing']}?prompt=lighton", order=1)
    assert usual.fingerprint != turned.fingerprint
    one, other = asked(usual).scores, asked(turned).scores
    assert one == [-1.0, 0.0, -3.0, -2.0] != other and sorted(other or ()) == sorted(one)
    assert asked(turned).scores == other


def test_a_text_that_was_cut_is_told(folders: dict[str, Path]) -> None:
    answer = asked(loaded(f"listwise/{folders['writing']}?prompt=lighton&max_length=120"))
    assert answer.cut == [False, False, True, False] and answer.usage and answer.usage["tokens"] <= 120
    answer = asked(loaded(f"listwise/{folders['writing']}?prompt=lighton&document_length=3"))
    assert list(answer.cut or ())[1:3] == [False, True]


def test_what_orders_nothing_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    for name, line in (
        (f"listwise/{folders['plain']}", "its folder does not say how it is asked: say prompt=lighton"),
        (f"listwise/{folders['plain']}?prompt=lightn", "unknown prompt 'lightn' (did you mean 'lighton'?)"),
        (f"listwise/{folders['plain']}?prompt=lighton", "is it a listwise reranker of this prompt?"),
        (f"listwise/{folders['writing']}?prompt=lighton&window=1", "window is 2 or more"),
        (f"listwise/{folders['writing']}?prompt=lighton&max_tokens=0", "max_tokens is 1 or more, not 0"),
        (f"listwise/{folders['writing']}?prompt=lighton&dtype=float23", "unknown dtype 'float23'"),
        (f"listwise/{folders['t5']}?prompt=lighton", "cannot be loaded"),
        (f"listwise/{models.bert(tmp_path / 'bert')}?prompt=lighton", "unsupported architecture BertForSequence"),
    ):
        assert line in refused(name), name


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}", "leaves out a turn of the prompt"),
        ("{% for m in messages %}{{ m.content[:20] }}{% endfor %}", "leaves out a turn of the prompt"),
        ("{{ raise_exception('no system role') }}", "no system role"),
    ],
)
def test_a_chat_template_that_does_not_hold_the_prompt_is_refused(
    folders: dict[str, Path], tmp_path: Path, template: str, line: str
) -> None:
    folder = Path(shutil.copytree(folders["writing"], tmp_path / "other"))
    (folder / "chat_template.jinja").write_text(template)
    assert line in refused(f"listwise/{folder}?prompt=rankllm")


def test_a_prompt_whose_tokens_a_model_lacks_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    bare = models.writing(tmp_path / "bare", "</think>")  # has no token for " true"
    gemma = models.causal(tmp_path / "gemma", "Gemma")
    said = (gemma / "tokenizer.json").read_text().replace("<|im_start|>", "<start_of_turn>")
    (gemma / "tokenizer.json").write_text(said)
    for name, line in (
        (f"encoder-decoder/{folders['t5']}?prompt=kalm", "has no control token '<bos>': not a model of this prompt"),
        (f"encoder-decoder/{folders['mt5']}?prompt=monot5", "has no token '▁true': not a model of this prompt"),
        (f"listwise/{gemma}?prompt=lighton", "has no control token '<|im_start|>': not a model of this prompt"),
        (f"reasoning/{bare}?max_tokens=8", "has no token ' true': not a model of this prompt"),
    ):
        assert line in refused(name), name


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("listwise/{writing}?prompt=lighton&batch_tokens=0", "batch_tokens is 1 or more, not 0"),
        ("reasoning/{thinking}?batch_tokens=-5", "batch_tokens is 1 or more, not -5"),
        ("encoder-decoder/{t5}?prompt=monot5&batch_tokens=0", "batch_tokens is 1 or more, not 0"),
        ("transformers/{plain}?prompt=qwen3-reranker&batch_tokens=0", "batch_tokens is 1 or more, not 0"),
        ("sentence-transformers/{plain}?prompt=qwen3-reranker&batch_size=0", "batch_size is 1 or more, not 0"),
        ("reasoning/{thinking}?max_tokens=16000", "max_tokens=16000 leaves nothing of 16,000 tokens for the prompt"),
    ],
)
def test_counts_that_leave_nothing_are_refused(folders: dict[str, Path], name: str, line: str) -> None:
    assert line in refused(name.format(**folders))


def test_code_that_is_for_sentence_transformers_is_not_asked_about(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["kalm"], tmp_path / "modular"))
    listed = [{"idx": 0, "name": "0", "path": "", "type": "kalm_modules.Reader"}]
    (folder / "modules.json").write_text(json.dumps(listed))
    one, other = (loaded(f"encoder-decoder/{path}?prompt=kalm") for path in (folder, folders["kalm"]))
    assert asked(one).scores == asked(other).scores


def test_weights_that_chance_has_set_are_refused_by_every_shape(folders: dict[str, Path], tmp_path: Path) -> None:
    for kind, build, options, weight in (
        ("listwise", models.qwen, "?prompt=lighton", "q_proj"),
        ("reasoning", models.qwen, "", "q_proj"),
        ("encoder-decoder", models.t5, "?prompt=monot5", "SelfAttention.q"),
        ("listwise-embedding", models.listed, "?trust_code=true", "projector"),
    ):
        folder = build(tmp_path / kind)
        held = load_file(folder / "model.safetensors")
        kept = {name: value for name, value in held.items() if weight not in name}
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
        assert "not in the checkpoint" in refused(f"{kind}/{folder}{options}")


# ---- reasoning


def test_the_answer_is_read_behind_the_thought(folders: dict[str, Path]) -> None:
    wanted = makers.rank1(folders["thinking"], ASKED, TEXTS)
    assert len({round(score, 4) for score in wanted}) == len(TEXTS)
    for batch_tokens in (1, 200, 10_000):
        reranker = loaded(f"reasoning/{folders['thinking']}?max_tokens=20&batch_tokens={batch_tokens}")
        answer = asked(reranker)
        assert list(answer.scores or ()) == pytest.approx(wanted, abs=1e-5)
        assert answer.usage and answer.usage["output_tokens"] == len(TEXTS)
        alone = [score for text in TEXTS for score in asked(reranker, [text]).scores or ()]
        assert alone == pytest.approx(wanted, abs=1e-5)


def test_a_spent_cap_is_truncated_and_not_false(folders: dict[str, Path]) -> None:
    answer = asked(loaded(f"reasoning/{folders['endless']}?max_tokens=4"))
    assert (answer.scores, answer.status) == (None, "truncated")
    assert "4 of 4 thoughts had no end within 4 tokens" in str(answer.error)
    with pytest.raises(ValueError, match="had no end"):
        loaded(f"reasoning/{folders['endless']}?max_tokens=4").score(*request())
    ended = asked(loaded(f"reasoning/{folders['endless']}?max_tokens=4&spent=answer"))
    wanted = makers.rank1(folders["endless"], ASKED, TEXTS, ORDER * 4 + "</think>")
    assert list(ended.scores or ()) == pytest.approx(wanted, abs=1e-5)
    assert ended.usage and ended.usage["thoughts ended"] == 4
    assert "has no end within 4 tokens" in refused(f"reasoning/{folders['endless']}?max_tokens=4")


def test_only_the_document_of_a_long_prompt_is_cut(folders: dict[str, Path]) -> None:
    reranker = loaded(f"reasoning/{folders['thinking']}?max_tokens=20&max_length=90")
    assert asked(reranker, ["tea", "roses need water " * 40]).cut == [False, True]
    ids, _ = reranker.read(ASKED, "roses need water " * 40)
    read = reranker.writer.tokenizer.decode(ids)
    assert len(ids) <= 90 and f"Query: {ASKED}\nPassage: roses" in read and read.endswith("\n<think>")


# ---- encoder and decoder


@pytest.mark.parametrize(("name", "yes", "no"), [("t5", "▁true", "▁false"), ("mt5", "▁yes", "▁no")])
def test_monot5_is_the_decoders_first_step(folders: dict[str, Path], name: str, yes: str, no: str) -> None:
    wanted = makers.monot5(folders[name], ASKED, TEXTS, yes, no)
    word = {"t5": "monot5", "mt5": "mt5"}[name]
    for batch_tokens in (1, 60, 10_000):
        answer = asked(loaded(f"encoder-decoder/{folders[name]}?prompt={word}&batch_tokens={batch_tokens}"))
        assert list(answer.scores or ()) == pytest.approx(wanted, abs=5e-5)
    other = {"t5": "mt5", "mt5": "monot5"}[name]
    assert "has no token" in refused(f"encoder-decoder/{folders[name]}?prompt={other}")


@pytest.mark.parametrize(("pooled", "instruction"), [(4, ""), (1, ""), (3, "Find what answers it")])
def test_kalm_reads_the_document_apart_from_the_query(folders: dict[str, Path], pooled: int, instruction: str) -> None:
    told = instruction or "Given a query, retrieve documents that answer the query."
    wanted = makers.kalm(folders["kalm"], ASKED, TEXTS, pooled, told)
    more = f"&pooled={pooled}" + (f"&instruction={instruction.replace(' ', '+')}" if instruction else "")
    for batch_tokens in (1, 10_000):
        reranker = loaded(f"encoder-decoder/{folders['kalm']}?prompt=kalm&batch_tokens={batch_tokens}{more}")
        assert list(asked(reranker).scores or ()) == pytest.approx(wanted, abs=1e-5)


def test_a_document_is_encoded_once_and_the_oldest_are_forgotten(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    reranker = loaded(f"encoder-decoder/{folders['kalm']}?prompt=kalm")
    encoder, read = reranker.loaded[0].get_encoder(), list[int]()
    encoder.register_forward_hook(lambda *_: read.append(1))
    first = asked(reranker).scores
    asked(reranker, [TEXTS[1], *TEXTS[:1]], "is there a leak?")
    assert asked(reranker).scores == first and len(read) == len(TEXTS)
    held = reranker._held
    assert held == sum(states.nbytes for _, states in reranker._known.values()) > 0
    monkeypatch.setattr(encoder_decoder, "REMEMBERED", held // 2)
    assert asked(reranker).scores == first and reranker._held <= held // 2
    assert len(reranker._known) < len(TEXTS) and TEXTS[-1] in reranker._known


def test_a_tokenizer_that_cannot_be_read_here_says_what_to_install(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(folders["t5"], tmp_path / "pieces"))
    (folder / "tokenizer.json").rename(folder / "spiece.model")
    monkeypatch.setattr(plugins, "installed", lambda module: module != "google.protobuf")
    line = refused(f"encoder-decoder/{folder}?prompt=monot5")
    assert "is a file of SentencePiece: pip install protobuf" in line


def test_lengths_and_options_of_encoder_decoders(folders: dict[str, Path]) -> None:
    answer = asked(loaded(f"encoder-decoder/{folders['t5']}?prompt=monot5&max_length=40"))
    assert list(answer.cut or ()) == [False, False, True, False]
    short = asked(loaded(f"encoder-decoder/{folders['kalm']}?prompt=kalm&max_length=40"))
    assert list(short.cut or ()) == [False, False, True, False]
    assert all(asked(loaded(f"encoder-decoder/{folders['kalm']}?prompt=kalm"), query="roses " * 600).cut or ())
    assert "are for prompt=kalm" in refused(f"encoder-decoder/{folders['t5']}?prompt=monot5&pooled=2")
    assert "say prompt=monot5, mt5, kalm" in refused(f"encoder-decoder/{folders['t5']}")


# ---- one window, by the folder's own code


def test_the_folders_own_code_is_run_where_it_is_allowed(folders: dict[str, Path]) -> None:
    folder = folders["listed"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    wanted = makers.one_window(folder, ASKED, TEXTS, 32, 20)
    reranker = loaded(f"listwise-embedding/{folder}?trust_code=true&document_length=20")
    answer = asked(reranker)
    assert list(answer.scores or ()) == pytest.approx(wanted, abs=1e-5)
    assert answer.cut == [len(tokenizer.encode(text)) > 20 for text in TEXTS] and any(answer.cut)
    assert reranker.fingerprint["trust_code"] is True
    assert "only trust_code=true runs it" in refused(f"listwise-embedding/{folder}")
    assert "has no code of its own" in refused(f"listwise-embedding/{folders['plain']}?trust_code=true")


def test_company_and_order_move_its_scores(folders: dict[str, Path]) -> None:
    usual = loaded(f"listwise-embedding/{folders['listed']}?trust_code=true")
    turned = loaded(f"listwise-embedding/{folders['listed']}?trust_code=true", order=1)
    assert usual.scope == "list" and usual.fingerprint != turned.fingerprint
    together = list(asked(usual).scores or ())
    assert together != pytest.approx(list(asked(turned).scores or ()), abs=1e-3)
    assert list(asked(usual, TEXTS[::-1]).scores or ())[::-1] != pytest.approx(together, abs=1e-3)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("[1:]", "gave 3 scores for 4 memories"),
        (" + rows[:1]", "gave 5 scores for 4 memories"),
        (" and [{'index': place, 'relevance_score': float('nan')} for place in range(4)]", "not finite"),
    ],
)
def test_a_code_that_does_not_score_each_memory_once_is_refused_and_fails(tmp_path: Path, more: str, line: str) -> None:
    name = f"listwise-embedding/{models.listed(tmp_path / 'own', more=more)}?trust_code=true"
    assert line in refused(name)
    with pytest.raises(ValueError, match=line):
        loaded(name).score(*request())
