"""Llama with attention in both directions, the mean of its states and one logit (llama-nemotron-rerank).

The folder names code of its own, which is not run: it turns attention round in a way that transformers 5 does not ask
for, so that its scores would be others without a word. transformers' own Llama has a setting for it.
"""

from pathlib import Path
from typing import Any

from memeval.core.errors import PrerequisiteError

CLASS = "LlamaBidirectionalForSequenceClassification"
"""The class that the folder names."""


def load(config: dict[str, Any], folder: Path, **told: Any) -> Any:
    """What transformers' `from_pretrained` gives for such a folder; `config`: what its config.json says.

    Raises PrerequisiteError for another pooling than the mean.
    """
    import torch
    from transformers import LlamaConfig, LlamaModel, LlamaPreTrainedModel
    from transformers.modeling_outputs import SequenceClassifierOutput

    pooling, temperature = config.get("pooling", "avg"), config.get("temperature", 1.0)
    if pooling != "avg" or not isinstance(temperature, int | float) or not temperature > 0:
        raise PrerequisiteError(f"unsupported pooling {pooling!r} or temperature {temperature!r}")

    class Averaging(LlamaPreTrainedModel):  # type: ignore[misc]
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.model = LlamaModel(config)
            self.score = torch.nn.Linear(config.hidden_size, config.num_labels, bias=False)
            for layer in self.model.layers:
                layer.self_attn.is_causal = False
            self.post_init()

        def forward(self, input_ids: Any, attention_mask: Any, **_: Any) -> Any:
            states = self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).last_hidden_state
            seen = attention_mask[..., None].to(states.dtype)
            return SequenceClassifierOutput(logits=self.score((states * seen).sum(1) / seen.sum(1)) / temperature)

    own = LlamaConfig.from_dict({**config, "model_type": "llama", "is_causal": False})
    return Averaging.from_pretrained(folder, config=own, **told)
