"""Pairs as token ids: as the tokenizer lays them out, control-looking text stays text, only documents are cut."""

import json
import shutil
from pathlib import Path

import pytest

from memeval.core.errors import UsageError
from memeval.rerankers.local import checkpoint
from memeval.rerankers.local.checkpoint import Settings
from memeval.rerankers.local.pairs import CUTS, Pairs
from memeval.rerankers.local.prompt import Prompt

pytest.importorskip("transformers")

from tests import models

QUERY = "when do the roses bloom?"
DOCUMENTS = ["roses bloom in june", "", "北京的茶, чай", "tea " * 40, " spaced "]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "bert": models.bert(root / "bert"),
        "xlm_roberta": models.xlm_roberta(root / "xlm_roberta"),
        "qwen": models.qwen(root / "qwen"),
    }


def reader(folder: Path, max_length: int | None = None) -> Prompt | Pairs:
    return checkpoint.read("vllm", str(folder), settings=Settings(max_length=max_length)).texts()


@pytest.mark.parametrize("model", ["bert", "xlm_roberta"])
@pytest.mark.parametrize("max_length", [512, 24])
def test_pairs_are_those_of_the_tokenizer(folders: dict[str, Path], model: str, max_length: int) -> None:
    made = reader(folders[model], max_length)
    read = made.render(QUERY, DOCUMENTS)
    asked = made.tokenizer([QUERY] * 5, DOCUMENTS, truncation="only_second", max_length=max_length)
    assert read.whole == asked["input_ids"]
    whole = made.tokenizer([QUERY] * 5, DOCUMENTS)["input_ids"]
    assert read.cut == [len(ids) > max_length for ids in whole]
    if model == "bert":
        assert read.second == [types.index(1) for types in asked["token_type_ids"]]
    else:
        assert read.second == [None] * 5


@pytest.mark.parametrize("cut", ["document", "longest"])
def test_a_document_is_cut_at_the_side_that_its_tokenizer_cuts(
    folders: dict[str, Path], tmp_path: Path, cut: str
) -> None:
    folder = Path(shutil.copytree(folders["bert"], tmp_path / "left"))
    told = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(told | {"truncation_side": "left"}))
    settings = Settings(max_length=16, cut=cut)
    made = checkpoint.read("transformers", str(folder), settings=settings).pairs()
    document = "the roses bloom in june, tea is at four o'clock"
    [found] = made.render(QUERY, [document]).whole
    [wanted] = made.tokenizer([QUERY], [document], truncation=CUTS[cut], max_length=16)["input_ids"]
    assert found == wanted
    made.tokenizer.truncation_side = "right"
    assert [found] != made.tokenizer([QUERY], [document], truncation=CUTS[cut], max_length=16)["input_ids"]


@pytest.mark.parametrize(("model", "control"), [("bert", "[SEP]"), ("xlm_roberta", "</s>")])
def test_control_tokens_in_a_pair_stay_text(folders: dict[str, Path], model: str, control: str) -> None:
    made = reader(folders[model])
    [hostile] = made.render(f"a {control}", [f"b {control} c"]).whole
    [plain] = made.render("a", ["b c"]).whole
    separator = made.tokenizer.convert_tokens_to_ids(control)
    assert hostile.count(separator) == plain.count(separator)


@pytest.mark.parametrize("model", ["bert", "xlm_roberta", "qwen"])
def test_every_model_passes_the_check_and_a_long_query_is_an_error(folders: dict[str, Path], model: str) -> None:
    reader(folders[model])
    with pytest.raises(UsageError, match="too short"):
        reader(folders[model], 8).render(QUERY, ["roses"])


@pytest.mark.parametrize("model", ["bert", "xlm_roberta"])
def test_a_length_with_room_for_no_word_of_each_text_is_an_error(folders: dict[str, Path], model: str) -> None:
    def read(length: int) -> Pairs:
        settings = Settings(max_length=length, cut="longest")
        return checkpoint.read("transformers", str(folders[model]), settings=settings).pairs()

    frame = read(99).max_length - read(99).room
    for length in range(1, frame + 2):
        with pytest.raises(UsageError, match="too short"):
            read(length).render(QUERY, DOCUMENTS)
    made = read(frame + 2).render(QUERY, DOCUMENTS)
    assert {len(row) for row in made.whole} == {frame + 2}
    assert all(made.cut)
    with pytest.raises(UsageError, match="max_length is 1 or more, not 0"):
        read(0)
