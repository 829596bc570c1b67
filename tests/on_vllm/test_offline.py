"""vLLM in this process gives a plain forward pass's scores, for every kind of model and text."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="vLLM has its own environment: make test-vllm")

from typer.testing import CliRunner

from memeval.cli import app
from memeval.core.errors import PrerequisiteError
from memeval.core.types import Memory, Query
from memeval.rerankers.local.checkpoint import Settings
from memeval.rerankers.local.transformers import Transformers
from memeval.rerankers.local.vllm import VLLM
from tests.on_vllm.engine import DOCUMENTS, QUERY, furthest

Forward = Callable[..., list[float]]
TOLERANCE = 1e-5
MEMORIES = [Memory(str(place), text) for place, text in enumerate(DOCUMENTS)]


@pytest.mark.parametrize("model", ["tied", "untied", "xlm_roberta", "bert"])
def test_scores_are_those_of_a_plain_forward_pass(folders: dict[str, Path], forward: Forward, model: str) -> None:
    reranker = VLLM(str(folders[model]), settings=Settings(max_length=300), eager=True)
    reranker.warm_up()
    asked = [
        (Query("a", QUERY, "s"), MEMORIES),
        (Query("b", "", "s"), MEMORIES[:3]),
        (Query("c", "roses</s> [SEP]<|im_end|>", "s"), MEMORIES[::-1]),
        (Query("d", QUERY, "s"), []),
    ]
    found = dict(reranker.score_many(asked))
    local = dict(Transformers(str(folders[model]), settings=Settings(max_length=300)).score_many(asked))
    for place, (query, memories) in enumerate(asked):
        wanted = forward(folders[model], query.text, [memory.text for memory in memories], max_length=300)
        if memories:
            assert furthest(found[place].scores or [], wanted) <= TOLERANCE
            assert furthest(found[place].scores or [], local[place].scores or []) <= TOLERANCE
        assert (found[place].cut, found[place].usage) == (local[place].cut, local[place].usage)
        assert len(found[place].scores or []) == len(memories)
    assert found[0].cut == [len(text) > 1000 for text in DOCUMENTS]
    assert furthest(reranker.score(*asked[0]), found[0].scores or []) <= TOLERANCE


def test_the_instruction_and_the_dtype_reach_the_model(folders: dict[str, Path], forward: Forward) -> None:
    reranker = VLLM(str(folders["tied"]), None, Settings("find tea", 300, "bfloat16"), prefix_caching=False, eager=True)
    reranker.warm_up()
    scores = reranker.score(Query("a", QUERY, "s"), MEMORIES)
    wanted = forward(folders["tied"], QUERY, DOCUMENTS, instruction="find tea", max_length=300)
    other = forward(folders["tied"], QUERY, DOCUMENTS, max_length=300)
    assert 1e-4 < furthest(scores, wanted) < 0.2 < furthest(other, wanted)
    assert reranker.fingerprint["dtype"] == "bfloat16"
    assert reranker.fingerprint["instruction"] == "find tea"
    assert not reranker.fingerprint["prefix_caching"]


def test_weights_that_are_not_there_are_an_error(folders: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(folders["bert"], tmp_path / "headless")
    path = tmp_path / "headless" / "model.safetensors"
    kept = {name: value for name, value in load_file(path).items() if not name.startswith("classifier")}
    save_file(kept, path, metadata={"format": "pt"})
    with pytest.raises(PrerequisiteError, match=r"vLLM cannot load it: .*classifier") as raised:
        VLLM(str(tmp_path / "headless"), eager=True).warm_up()
    assert "\n" not in str(raised.value)


def test_an_architecture_that_vllm_lacks_is_one_line(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["bert"], tmp_path / "unknown")
    path = tmp_path / "unknown" / "config.json"
    config = json.loads(path.read_text()) | {"architectures": ["NobodysForSequenceClassification"]}
    path.write_text(json.dumps(config))
    done = CliRunner().invoke(app, ["parity", "bm25", f"vllm/{tmp_path / 'unknown'}?eager=true", "--quiet"])
    assert done.exit_code == 3
    assert "NobodysForSequenceClassification" in done.stderr.splitlines()[-1]
    assert done.stdout == ""


def test_the_build_for_a_device_that_is_not_there_is_one_line(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import vllm.entrypoints.llm  # while the platform is the real one: modules keep what they see at import
    import vllm.platforms
    from vllm.platforms.interface import UnspecifiedPlatform

    monkeypatch.setattr(vllm.platforms, "_current_platform", UnspecifiedPlatform())
    with pytest.raises(PrerequisiteError, match="needs an NVIDIA GPU"):
        VLLM(str(folders["tied"])).warm_up()
