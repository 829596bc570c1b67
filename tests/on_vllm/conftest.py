"""Settings that vLLM reads when it is imported, tiny models, and plain forward passes.

This folder is not called vllm, which would hide the package of that name.
"""

import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

SETTINGS = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
}
if importlib.util.find_spec("vllm") is not None:
    os.environ.update(SETTINGS)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny random models; heads are 32 or 64 wide, which attention on processors wants."""
    from tests import models

    root = tmp_path_factory.mktemp("models")
    return {
        "tied": models.qwen(root / "tied"),
        "untied": models.qwen(root / "untied", tied=False, seed=1, head_dim=64),
        "xlm_roberta": models.xlm_roberta(root / "xlm_roberta", num_attention_heads=2),
        "bert": models.bert(root / "bert", num_attention_heads=2),
    }


@pytest.fixture(scope="session")
def forward() -> Callable[..., list[float]]:
    """Scores of a plain forward pass, one pair at a time, over the ids that the engines are to read."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    from memeval.rerankers.local import checkpoint

    def scores(
        folder: Path,
        query: str,
        documents: Sequence[str],
        instruction: str | None = None,
        max_length: int | None = None,
    ) -> list[float]:
        asked = checkpoint.read("vllm", str(folder), settings=checkpoint.Settings(instruction, max_length))
        texts = asked.texts()
        read = texts.render(query, documents)
        kind = AutoModelForCausalLM if asked.wording else AutoModelForSequenceClassification
        model = kind.from_pretrained(folder, dtype=torch.float32)
        found = []
        yes, no = (texts.tokenizer.convert_tokens_to_ids(answer) for answer in ("yes", "no"))
        with torch.inference_mode():
            for ids, second in zip(read.whole, read.second, strict=True):
                types = None if second is None else torch.tensor([[0] * second + [1] * (len(ids) - second)])
                logits = model(torch.tensor([ids]), **({} if types is None else {"token_type_ids": types})).logits
                if asked.wording:
                    found.append(float(logits[0, -1, yes] - logits[0, -1, no]))
                else:
                    found.append(float(logits[0, 0]))
        return found

    return scores
