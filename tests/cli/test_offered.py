"""The list of rerankers by shape, with what is lacking here, and the cards of short names with their sources."""

from pathlib import Path

import pytest

from memeval import rerankers
from memeval.cli import catalogue
from memeval.core import names
from memeval.rerankers import ready, recipes
from memeval.rerankers.hosted.styles import STYLES


@pytest.fixture(autouse=True)
def nothing_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "VOYAGE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_rerankers_are_listed_by_shape_each_once() -> None:
    kinds, endpoints, *shapes = catalogue.listed("rerankers").items()
    assert kinds[0] == "kinds" and "bm25" in kinds[1]
    assert endpoints[1]["tei/<model>"] == "needs url=…  = rerank-api/<model>?style=tei"
    assert endpoints[1]["voyage/<model>"] == "needs VOYAGE_API_KEY  = rerank-api/<model>?style=voyage"
    assert sorted(name for _, rows in shapes for name in rows) == sorted(recipes.known())
    for heading, rows in shapes:
        assert {recipes.known()[name].shared.shape for name in rows} == {heading.partition(":")[0]}


@pytest.mark.parametrize(
    ("name", "variable", "lacking"),
    [
        ("voyage-rerank-3", "VOYAGE_API_KEY", "VOYAGE_API_KEY"),
        ("gpt-4o-mini", "OPENAI_API_KEY", "OPENAI_API_KEY"),
        ("claude-haiku-4.5", "ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY"),
    ],
)
def test_a_key_that_is_not_set_is_named(
    name: str, variable: str, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ready.lacks(recipes.known()[name]) == lacking
    monkeypatch.setenv(variable, "planted")
    assert ready.lacks(recipes.known()[name]) == ""


def test_weights_are_here_when_they_are_in_the_hub_s_cache(tmp_path: Path) -> None:
    zerank, jina = (recipes.known()[name] for name in ("zerank-2", "jina-reranker-v2-base-multilingual"))
    assert (ready.lacks(zerank), ready.lacks(jina)) == ("its weights", "its weights, trust_code=true")
    for recipe in (zerank, jina):
        folder = tmp_path / f"models--{recipe.model.model.replace('/', '--')}" / "snapshots" / "abc"
        folder.mkdir(parents=True)
        (folder / "config.json").touch()
        assert "its weights" in ready.lacks(recipe)
        (folder / "model.safetensors").touch()
    assert (ready.lacks(zerank), ready.lacks(jina)) == ("", "trust_code=true")


@pytest.mark.parametrize("name", list(recipes.known()))
def test_a_card_says_what_the_recipe_says_with_every_source(name: str) -> None:
    card, recipe = catalogue.card(name), recipes.known()[name]
    told = (recipe.model.system, recipe.licence, recipe.refused, recipe.model.note, recipe.shared.limits,
            recipe.shared.about, recipe.shared.reads, recipe.shared.cuts, recipe.shared.trained_on)  # fmt: skip
    assert [text for text in told if text not in card] == []
    for source in recipe.shared.sources:
        assert f"  {source.address}\n" in card
        assert f"read {source.read}{', second-hand' if source.second_hand else ''}\n" in card


@pytest.mark.parametrize("name", [*recipes.known(), *rerankers.kinds(), *filter(rerankers.spelt, STYLES)])
def test_a_card_says_what_every_option_means(name: str) -> None:
    kind = names.parse(rerankers.short_names().get(name) or rerankers.spelt(name) or name).kind
    words = catalogue.card(name).partition("\noptions")[2].split()
    for option, told in rerankers.options(kind).items():
        assert told.meaning, (kind, option)
        start = words.index(next(word for word in words if word.startswith(f"{option}=")))
        assert " ".join(told.meaning.split()) in " ".join(words[start:])


def test_a_card_shows_the_whole_prompt_and_its_instruction() -> None:
    card = catalogue.card("memreranker-4b")
    assert "prompt    qwen3-reranker" in card and "  | <Query>: {query}\n  | <Document>: {document}<|im_end|>" in card
    assert "aim       Given a web search query, retrieve relevant passages that answer the query" in card
    assert "¦" not in catalogue.card("mxbai-rerank-base-v2")
    assert "  | question:{query} \n  |  \n  |  passage:{document}\n" in catalogue.card("llama-nemotron-rerank-1b-v2")


@pytest.mark.parametrize(
    ("name", "word", "line"),
    [
        ("lighton-rerank-lw-4b", "lighton-4b", "  | chat:        <think>"),
        ("rank1-7b", "rank1", "  | words:       Passage: {document}"),
        ("kalm-reranker-v1-nano", "kalm", "  | encoder:     <Document>: {document}"),
    ],
)
def test_a_card_shows_how_a_model_that_writes_or_decodes_is_asked(name: str, word: str, line: str) -> None:
    card = catalogue.card(name).split("\n")
    assert f"prompt    {word}" in card and line in card and any(row.startswith("  | source: ") for row in card)
    assert "prompt    rank1" not in catalogue.card("rank-r1-7b"), "which is not asked at all"


def test_the_card_of_rerank_endpoints_tells_each_style_and_what_a_call_holds() -> None:
    card = " ".join(catalogue.card("rerank-api").split())
    for name, style in STYLES.items():
        assert f"{name} {style.url or 'url=…'}{style.path}, {style.key if style.url else 'RERANK_API_KEY'}" in card
        assert style.unit in card and f"a call holds {style.fits.documents:,} documents" in card
    assert (
        "tei url=…/rerank, RERANK_API_KEY where it wants a key; a call holds 32 documents; scores from 0 to 1" in card
    )
    assert "(NVIDIA_API_KEY at ai.api.nvidia.com)" in card
    assert catalogue.card("tei").splitlines()[0] == "tei = rerank-api/<model>?style=tei"
    assert "  cohere " not in catalogue.card("voyage-rerank-3") and "  voyage " in catalogue.card("voyage-rerank-3")
