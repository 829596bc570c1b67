"""Recipes: files that hold, names that load, and scores that are those of each model's makers, on tiny random models.

The prompts are written out here once more, from the makers' own code or cards, and are read as whole texts, or in the
parts that their code reads; the scores come from a plain forward pass of transformers.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sentence_transformers")

import torch
from transformers import AutoTokenizer

from memeval import rerankers
from memeval.cli import catalogue
from memeval.core.errors import PrerequisiteError, SuiteError, UsageError
from memeval.core.types import Memory, Query
from memeval.rerankers import recipes
from memeval.rerankers.hosted.terms import Terms
from memeval.rerankers.local import weights
from memeval.rerankers.recipes import Wording
from memeval.rerankers.windows import windows
from memeval.runs import readiness
from tests import makers, models
from tests.makers import ARCHITECTURES, CHAT, DOCUMENTS, QUERY, VENDORS, Maker

torch.set_num_threads(1)

CASES = [(family, architecture) for family, made in ARCHITECTURES.items() for architecture in made[1:]]
HOSTED = ("judge", "endpoint")
REFUSED = [name for name, recipe in recipes.known().items() if recipe.refused]
LOCAL = [name for name in recipes.known() if recipes.known()[name].shared.shape not in HOSTED and name not in REFUSED]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    names = {name for made in ARCHITECTURES.values() for name in made} | {"Qwen3_5", "Gemma3"}
    return {name: models.causal(tmp_path_factory.mktemp(name), name) for name in sorted(names)}


def published(folder: Path, family: str, query: str, documents: Sequence[str], aim: str | None = None) -> list[float]:
    return makers.asked(family, aim=aim).scores(folder, query, documents)


def scored(name: str, query: str, documents: Sequence[str], *, checked: bool = True) -> list[float]:
    reranker: Any = rerankers.load(name, None)  # type: ignore[arg-type]
    if checked:
        reranker.warm_up()
    memories = [Memory(str(place), text) for place, text in enumerate(documents)]
    return list(reranker.score(Query("q", query, "s"), memories))


# ---- every short name

Put = Callable[[recipes.Recipe], tuple[Maker, Path, list[float]]]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Put]:
    """Puts a small model of a recipe where the Hub's cache has the real one; gives that, and its makers' scores."""
    import huggingface_hub.constants

    root, made = tmp_path_factory.mktemp("hub"), dict[int, tuple[Maker, Path, list[float]]]()

    def put(recipe: recipes.Recipe) -> tuple[Maker, Path, list[float]]:
        maker = makers.MAKERS.get(recipe.model.name) or makers.MAKERS[recipe.family]
        if id(maker) not in made:
            known = weights.here(recipe.model.model) or root / f"model-{len(made)}"
            folder = maker.build(known)
            made[id(maker)] = maker, folder, maker.scores(folder, makers.QUERY, maker.documents)
        cached = root / f"models--{recipe.model.model.replace('/', '--')}"
        for name in ("refs", "snapshots"):
            (cached / name).mkdir(parents=True, exist_ok=True)
        (cached / "refs" / "main").write_text("0" * 40)
        if not (cached / "snapshots" / ("0" * 40)).exists():
            (cached / "snapshots" / ("0" * 40)).symlink_to(made[id(maker)][1])
        return made[id(maker)]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(root))
        yield put


@pytest.mark.parametrize("name", LOCAL)
def test_a_short_name_scores_as_its_makers_do(name: str, hub: Put) -> None:
    """Whatever the recipe says holds, but for the dtype: numbers are compared in float32."""
    recipe = recipes.known()[name]
    maker, folder, wanted = hub(recipe)
    trusted = "&trust_code=true" if recipe.shared.code else ""
    found = scored(f"{name}?dtype=float32{trusted}", makers.QUERY, maker.documents, checked=False)
    assert found == pytest.approx(wanted, rel=1e-5, abs=5e-5)
    assert len({round(score, 4) for score in found}) > len(maker.documents) // 2, "the scores hang on the documents"
    if maker.prompt is not None:
        query, shown = f"{makers.QUERY} [1]", list(maker.documents[:4])
        made: Any = rerankers.load(f"{name}?dtype=float32", None)  # type: ignore[arg-type]
        whole = AutoTokenizer.from_pretrained(folder).encode(maker.prompt(query, shown))
        assert made.read(query, shown)[0] == whole


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_run_as_its_makers_have_it_is_refused_by_either_name(name: str) -> None:
    recipe = recipes.known()[name]
    for system in (name, recipe.model.system):
        with pytest.raises(PrerequisiteError) as raised:
            rerankers.load(system, None)  # type: ignore[arg-type]
        assert str(raised.value) == f"{system!r} cannot be run as its makers have it: {recipe.refused}"
        assert readiness.lacking(system, Terms()) == [f"cannot be run: {recipe.refused}"]
    assert recipe.refused in catalogue.card(name) and catalogue.listed("rerankers")


@pytest.mark.parametrize("name", ["rank1-7b", "jina-reranker-v3", "monot5-base", "lighton-rerank-lw-2b", "zerank-2"])
def test_a_plan_tells_what_a_local_model_of_any_shape_lacks(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(readiness, "_memory", lambda device: (1e12, "here"))
    recipe = recipes.known()[name]
    *code, weights = readiness.lacking(name, Terms())
    assert weights.startswith(f"weights: {recipe.model.model} is not here (about ")
    assert [line.partition(":")[0] for line in code] == ["code"] * recipe.shared.code
    if recipe.shared.code:
        assert readiness.lacking(f"{name}?trust_code=true", Terms()) == [weights]


def test_windows_are_those_of_the_makers_however_many_memories_there_are() -> None:
    for count in range(2, 60):
        assert windows(count, 4, 2) == makers.lightons(count)
        assert windows(count, 20, 10, shorter=True) == [span for span in makers.rankgpts(count) if span != (0, 1)]


# ---- prompts


@pytest.mark.parametrize(("family", "architecture"), CASES)
def test_other_architectures_are_asked_alike(folders: dict[str, Path], family: str, architecture: str) -> None:
    folder = folders[architecture]
    found = scored(f"transformers/{folder}?prompt={family}&max_length=900", QUERY, DOCUMENTS)
    assert found == pytest.approx(published(folder, family, QUERY, DOCUMENTS), rel=1e-5, abs=3e-5)


@pytest.mark.parametrize("family", [name for name, wording in recipes.wordings().items() if wording.takes_instruction])
def test_an_instruction_is_written_as_the_makers_write_it(folders: dict[str, Path], family: str) -> None:
    folder = folders[ARCHITECTURES[family][0]]
    found = scored(f"transformers/{folder}?prompt={family}&instruction=Find+notes&max_length=900", QUERY, DOCUMENTS[:2])
    wanted = published(folder, family, QUERY, DOCUMENTS[:2], "Find notes")
    assert found == pytest.approx(wanted, rel=1e-5, abs=3e-5)
    assert found != pytest.approx(published(folder, family, QUERY, DOCUMENTS[:2]), abs=3e-5)


@pytest.mark.parametrize("architecture", ["Qwen3_5", "Gemma3"])
def test_layers_that_are_not_all_of_full_attention_are_run_as_they_are(
    folders: dict[str, Path], architecture: str
) -> None:
    folder = folders[architecture]
    found = scored(f"transformers/{folder}?prompt=zerank&max_length=900&batch_tokens=400", QUERY, DOCUMENTS)
    assert found == pytest.approx(published(folder, "zerank", QUERY, DOCUMENTS), rel=1e-5, abs=5e-5)


@pytest.mark.parametrize("family", list(VENDORS))
def test_only_the_document_is_cut(folders: dict[str, Path], family: str) -> None:
    from memeval.rerankers.local.prompt import Prompt

    wording = recipes.wordings()[family]
    tokenizer = AutoTokenizer.from_pretrained(folders[ARCHITECTURES[family][0]])
    long = "roses need water " * 200
    whole = Prompt(tokenizer, wording, wording.instruction, 4000).render(QUERY, [long, "tea"])
    short = Prompt(tokenizer, wording, wording.instruction, 600).render(QUERY, [long, "tea"])
    text = tokenizer.decode(short.head + short.tails[0])
    assert (whole.cut, short.cut) == ([False, False], [True, False])
    assert len(short.head + short.tails[0]) == 600 and short.tails[1] == whole.tails[1]
    before, after = wording.text(wording.instruction, QUERY, "\0").split("\0")
    assert before in text and text.endswith(after)


def test_a_prompt_of_another_family_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    from memeval.rerankers.local import prompt

    own = models.qwen(tmp_path, template=prompt.template())
    with pytest.raises(UsageError, match="prompt=zerank is for a causal model whose folder does not say"):
        rerankers.load(f"transformers/{own}?prompt=zerank", None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"unknown prompt 'zeranc' \(did you mean 'zerank'\?\)"):
        rerankers.load(f"transformers/{folders['Qwen3']}?prompt=zeranc", None)  # type: ignore[arg-type]
    with pytest.raises(PrerequisiteError, match="does not say how this Qwen3ForCausalLM is asked"):
        rerankers.load(f"transformers/{folders['Qwen3']}", None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no place for an instruction"):
        rerankers.load(f"transformers/{folders['Qwen3']}?prompt=zerank&instruction=Find", None)  # type: ignore[arg-type]


def test_a_classifier_s_format_is_for_classifiers_on_transformers_and_cuts_the_document(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder, word = models.averaging(tmp_path / "own", code=False), "prompt=llama-nemotron-rerank"
    maker = makers.MAKERS["llama-nemotron-rerank"]
    found = scored(f"transformers/{folder}?{word}&max_length=900", QUERY, DOCUMENTS)
    assert found == pytest.approx(maker.scores(folder, QUERY, DOCUMENTS), abs=3e-5)
    long = scored(f"transformers/{folder}?{word}&max_length=90", QUERY, ["the roses bloom " * 40, "tea"])
    assert long[1] == pytest.approx(maker.scores(folder, QUERY, ["tea"])[0], abs=3e-5)
    for name, line in (
        (f"transformers/{folder}", "its tokenizer joins no pairs"),
        (f"sentence-transformers/{folder}?{word}", "which transformers/.* alone makes of them"),
        (
            f"transformers/{folder}?{word}&cut=longest",
            "cut=longest is for classifiers of pairs that the tokenizer joins",
        ),
        (f"transformers/{folder}?{word}&instruction=Find", "no place for an instruction"),
        (f"transformers/{folders['Qwen3']}?{word}", "is for a classifier"),
    ):
        with pytest.raises((PrerequisiteError, UsageError), match=line):
            rerankers.load(name, None).warm_up()  # type: ignore


def test_the_folder_of_a_family_is_known_by_the_template_that_it_holds(tmp_path: Path) -> None:
    content = '{{ (messages | selectattr("role", "eq", "%s") | map(attribute="content") | list)[0] }}'
    template = CHAT.format(system=content % "query", user=content % "document").rstrip("\n") + "\n\n"
    folder = models.causal(tmp_path / "zerank", "Qwen3", template)
    found = scored(f"transformers/{folder}?max_length=900", QUERY, DOCUMENTS)
    assert found == pytest.approx(published(folder, "zerank", QUERY, DOCUMENTS), rel=1e-5, abs=3e-5)


def test_a_score_that_no_one_makes_a_probability_of_is_not_taken_for_one(folders: dict[str, Path]) -> None:
    kinds = {
        family: rerankers.load(f"transformers/{folders['Qwen3']}?prompt={family}", None).score_kind  # type: ignore
        for family in ("ctxl-rerank-v2", "zerank")
    }
    assert kinds == {"ctxl-rerank-v2": None, "zerank": "log-odds"}


@pytest.mark.parametrize("name", list(recipes.known()))
def test_every_recipe_is_reached_by_its_name(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    recipe = recipes.known()[name].model
    assert rerankers.parse(name).kind == recipe.kind
    assert rerankers.parse(name).argument == recipe.model
    try:
        rerankers.load(name, None)  # type: ignore[arg-type]
    except PrerequisiteError as error:
        known = (
            "not in the local Hub cache and cannot be fetched",
            "trust_code=true",
            "cannot be run as its makers have it: ",
        )
        assert any(text in str(error) for text in known)


def test_what_a_model_has_seen_are_data_sets_that_are_on_offer() -> None:
    from memeval import datasets

    seen = {name.partition("/")[0] for recipe in recipes.known().values() for name in recipe.seen}
    assert seen and seen <= set(datasets.on_offer())


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("shape = ", "shap = "), "shap: unknown key (did you mean 'shape'?)"),
        (('shape = "yes-no"', 'shape = "yes-nope"'), "unknown shape 'yes-nope' (did you mean 'yes-no'?)"),
        (('yes = "Yes"', 'yess = "Yes"'), "wording.yess: unknown key (did you mean 'yes'?)"),
        (("{document}", "document"), "pair must hold {document} once"),
        (("divisor = 5", "divisor = 0"), "wording.divisor: must be greater than 0"),
        (('"reads"]', '"reeds"]'), "sources say 'reeds', which is no field (did you mean 'reads'?)"),
        (("read = 2026-11-27", 'read = "soon"'), "sources[0].read: "),
        (("second_hand", "secondhand"), "(did you mean 'second_hand'?)"),
        (('kind = "transformers"', ""), "models[0]: missing: kind"),
    ],
)
def test_a_recipe_that_does_not_hold_is_one_line(tmp_path: Path, change: tuple[str, str], line: str) -> None:
    text = Path(recipes.__file__).with_name("zerank.toml").read_text(encoding="utf-8")
    assert change[0] in text
    file = tmp_path / "zerank.toml"
    file.write_text(text.replace(*change), encoding="utf-8")
    with pytest.raises(SuiteError) as raised:
        recipes.read(file)
    assert str(raised.value).startswith("zerank.toml: ") and line in str(raised.value)


def test_the_prompt_of_qwen3_reranker_has_the_digest_that_earlier_runs_recorded() -> None:
    assert (
        recipes.wordings()["qwen3-reranker"].digest
        == "ebfcece4c36558347458fc65bdb8901034a498fcaf92fc31165716cd3fcb4f7a"
    )


def test_what_a_user_wrote_is_never_taken_for_a_place() -> None:
    wording = Wording(pair="{query}|{document}", yes="a")
    assert wording.text(None, "{document}", "{query}¦") == "{document}|{query}¦"
