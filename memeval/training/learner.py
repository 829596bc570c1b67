"""A model that learns to score pairs: an encoder with one logit, or a causal model's logit(yes) - logit(no).

It reads the very token ids that memeval's own `transformers/…` reads of the saved folder, so that what is trained is
what is measured.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from memeval.core import plugins
from memeval.core.errors import PrerequisiteError, UsageError, install
from memeval.rerankers import addresses, recipes
from memeval.rerankers.local import checkpoint, folder, weights
from memeval.rerankers.local.batching import padded
from memeval.rerankers.local.pairs import Pairs
from memeval.rerankers.local.prompt import QWEN3, Prompt, template
from memeval.training.recipe import Distillation

Read: TypeAlias = tuple[list[int], list[int]]
"""Token ids of a pair, and of which text each is; nothing where the model is not told."""


def base(recipe: Distillation) -> weights.Weights:
    """The folder that training starts from, and its fingerprint. Nothing is loaded, so that this is known beforehand.

    Raises PrerequisiteError where it is not here or is none that learns here, and where a package is missing;
    UsageError where the recipe does not fit it.
    """
    needs = ("torch", "transformers", *(("peft",) if recipe.lora else ()))
    if lacking := [name for name in needs if not plugins.installed(name)]:
        raise PrerequisiteError(
            f"{'lora' if lacking == ['peft'] else 'training'} needs {lacking[0]}: {install('train')}"
        )
    found = weights.find(addresses.located(recipe.base, recipe.base))
    said = _read(recipe, found.folder)
    if said.code:
        raise PrerequisiteError(f"{said.name}: brings code of its own: only models that transformers knows learn here")
    if _causal(said) != (recipe.prompt is not None):
        need = "leave prompt out" if recipe.prompt else f'say prompt = "{QWEN3}" or another family'
        raise UsageError(f"{said.name} is {'a' if _causal(said) else 'no'} causal model: {need}")
    wording = recipes.wordings().get(recipe.prompt) if recipe.prompt else None
    if recipe.prompt and (wording is None or wording.no is None):
        raise UsageError(f"{said.name}: prompt = {recipe.prompt!r} is no yes/no prompt (known: {QWEN3}, …)")
    if said.positions is not None and recipe.max_length > said.positions:
        raise UsageError(f"{said.name}: max_length = {recipe.max_length}, but it has {said.positions} positions")
    return found


def _read(recipe: Distillation, path: Path) -> folder.Folder:
    return folder.read(f"base {recipe.base!r}", path)


def _causal(said: folder.Folder) -> bool:
    return said.architecture.endswith("ForCausalLM")


class Learner:
    """A loaded model with all its weights, or those of LoRA, to be trained. `score` is its log-odds of pairs."""

    def __init__(self, recipe: Distillation, start: Path, seed: int) -> None:
        import torch

        self.said = _read(recipe, start)
        self.device = checkpoint.device(self.said.name, None)
        self.causal = _causal(self.said)
        torch.manual_seed(seed)
        with checkpoint.loading(self.said):
            self._load(recipe, start)
        self.model.to(self.device)
        self.dtype = getattr(torch, recipe.dtype)
        self.text: Any
        if recipe.prompt:
            wording = recipes.wordings()[recipe.prompt]
            self.text = Prompt(self.tokenizer, wording, wording.instruction, recipe.max_length)
            if self.tokenizer.chat_template is None and recipe.prompt == QWEN3:
                self.tokenizer.chat_template = template()
        else:
            self.text = Pairs(self.tokenizer, recipe.max_length, "longest")
        self.tokenizer.model_max_length = recipe.max_length

    def _load(self, recipe: Distillation, start: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(start, local_files_only=True)
        auto, told = (
            (AutoModelForCausalLM, {}) if self.causal else (AutoModelForSequenceClassification, {"num_labels": 1})
        )
        self.model: Any = auto.from_pretrained(start, local_files_only=True, dtype="float32", **told)
        if recipe.lora is None:
            return
        import peft  # type: ignore[import-not-found, unused-ignore]

        how = peft.LoraConfig(
            r=recipe.lora.rank,
            lora_alpha=recipe.lora.alpha,
            lora_dropout=recipe.lora.dropout,
            target_modules="all-linear",
            task_type=None if self.causal else "SEQ_CLS",
        )
        self.model = peft.get_peft_model(self.model, how)

    def read(self, query: str, texts: Sequence[str]) -> list[Read]:
        """What the model reads of each pair: token ids, and of which text each is where it is told that."""
        made = self.text.render(query, texts)
        return [
            (made.head + tail, kinds) for tail, kinds in zip(made.tails, made.types or [[]] * len(texts), strict=True)
        ]

    def score(self, pairs: Sequence[Read]) -> Any:
        """Log-odds [pairs] in float32, with what is needed for gradients."""
        import torch

        rows, kinds = [row for row, _ in pairs], [told for _, told in pairs if told]
        with torch.autocast(self.device.partition(":")[0], self.dtype, enabled=self.dtype != torch.float32):
            if self.causal:
                logits = self.model(**padded(rows, self.device, left=True), logits_to_keep=1).logits[:, -1]
                return (logits[:, self.text.yes] - logits[:, self.text.no]).float()
            made = padded(rows, self.device, padding=self.tokenizer.pad_token_id, types=kinds)
            return self.model(**made).logits[:, 0].float()

    def save(self, into: Path) -> None:
        """Writes a folder that transformers and sentence-transformers load; weights of LoRA are merged."""
        with checkpoint.loading(self.said):
            whole = self.model.merge_and_unload() if hasattr(self.model, "merge_and_unload") else self.model
            whole.save_pretrained(into)
            self.tokenizer.save_pretrained(into)
