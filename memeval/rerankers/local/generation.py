"""A causal model that writes: always the most probable token, until it ends, says what it is to end with, or is cut.

What a model's generation_config.json says of sampling, penalties or lengths is not used, its tokens for the end are.
Prompts of different lengths are padded on the left; the next token depends on them up to rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from memeval.rerankers.local import probe
from memeval.rerankers.local.batching import Batches, budget, padded
from memeval.rerankers.local.opened import Opened

MARKED = 8
"""Tokens among which the text is sought that ends the writing."""
CLASSES = ("ForCausalLM", "ForConditionalGeneration")
"""Ends of the names of what writes; the second are models that see pictures, too, and are asked with texts alone."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote to a prompt: the ids without the token that ended it, their text, and whether it ended."""

    ids: list[int]
    text: str
    whole: bool


class Writer:
    """A loaded model that writes at most `most` tokens; `end`: a text that ends the writing, too."""

    def __init__(self, found: Opened, most: int, batch_tokens: int | None, end: str = "") -> None:
        from transformers import GenerationConfig

        self.model, self.tokenizer = found.load("CausalLM")
        self.device, self.most, self.end = found.device, most, end
        said = self.model.generation_config.eos_token_id
        ends = [self.tokenizer.eos_token_id] if said is None else said if isinstance(said, list) else [said]
        self.ends = [token for token in ends if token is not None]
        self.model.generation_config = GenerationConfig(
            max_new_tokens=most, do_sample=False, num_beams=1, eos_token_id=self.ends or None, pad_token_id=0
        )
        self.batches = Batches(budget(self.device, batch_tokens))

    def write(self, prompts: Sequence[list[int]]) -> list[Written]:
        """What the model writes to each prompt."""
        return self.batches.score(prompts, lambda places: self._written([prompts[p] for p in places]), more=self.most)

    def log_odds(self, prompts: Sequence[list[int]], yes: int, no: int) -> list[float]:
        """logit(yes) - logit(no) of the token behind each prompt."""
        import torch

        rows = self.model.get_output_embeddings()
        direction = rows.weight[yes].float() - rows.weight[no].float()
        bias = getattr(rows, "bias", None)
        offset = 0.0 if bias is None else float(bias[yes].float() - bias[no].float())

        def compute(places: list[int]) -> list[float]:
            with torch.inference_mode():
                batch = padded([prompts[place] for place in places], self.device, left=True)
                last = self.model.base_model(**batch, use_cache=False).last_hidden_state[:, -1]
                return [score + offset for score in (last.float() @ direction).tolist()]

        return self.batches.score(prompts, compute)

    def plain(self, prompt: list[int], yes: int, no: int) -> float:
        """The same for one prompt, from the logits that the model itself makes."""
        import torch

        with torch.inference_mode():
            logits = self.model(torch.tensor([prompt], device=self.device)).logits[0, -1].float()
        return float(logits[yes] - logits[no])

    def check(self, name: str, dtype: str, length: int, prompts: Callable[[list[str]], list[list[int]]]) -> None:
        """Raises PrerequisiteError where it does not read prompts of full length, or reads one otherwise in company."""
        yes, no = 0, 1

        def compare(texts: list[str]) -> None:
            asked = prompts(texts)
            theirs = [self.plain(ids, yes, no) for ids in asked]
            probe.agree(f"{name}: a prompt is read otherwise in company", dtype, self.log_odds(asked, yes, no), theirs)

        probe.words(name, lambda text: prompts([text]))
        probe.whole(name, length, self.model, compare)

    def _written(self, rows: list[list[int]]) -> list[Written]:
        import torch

        start, ended = max(map(len, rows)), dict[int, int]()

        def marked(ids: Any, scores: Any, **_: Any) -> Any:
            """Which rows have said what ends them; where they did is noted."""
            for row, tail in enumerate(ids[:, max(start, ids.shape[1] - MARKED) :].tolist()):
                if row not in ended and self.end in self.tokenizer.decode(tail):
                    ended[row] = ids.shape[1] - start
            return torch.tensor([row in ended for row in range(len(rows))], device=ids.device)

        with torch.inference_mode():
            told = {"stopping_criteria": [marked]} if self.end else {}
            asked = padded(rows, self.device, left=True)
            del asked["position_ids"]  # made anew at each step
            made = self.model.generate(**asked, **told)[:, start:].tolist()
        found = []
        for row, ids in enumerate(made):
            stops = [place for place, token in enumerate(ids) if token in self.ends]
            stop = min([*stops, *([ended[row]] if row in ended else [])], default=None)
            found.append(Written(ids[:stop], self.tokenizer.decode(ids[:stop]), stop is not None))
        return found
