"""Losses and rows: against formulas written out, and against sentence-transformers' own losses."""

import math
from pathlib import Path
from typing import Any

import pytest

from memeval.training import losses
from memeval.training.learner import Learner
from memeval.training.losses import Example
from memeval.training.recipe import Loss
from tests import models
from tests.training.planted import made

pytest.importorskip("sentence_transformers")
pytestmark = pytest.mark.local
BCE, INFONCE = Loss(loss="bce"), Loss(loss="infonce", temperature=0.5, negatives=2)
ROWS = [
    Example("is there a leak", ("the boat leaks", "tea at four", "roses need water"), (0.9, 0.1, 0.3)),
    Example("when do the roses bloom", ("the roses bloom in june", "the shed is green"), (0.7, 0.1)),
]


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    base = models.bert(tmp_path_factory.mktemp("bert"), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return Learner(made("hard-cases", base), base, 0)


def number(value: Any) -> float:
    return float(value.detach())


def scored(learner: Learner, rows: list[Example]) -> Any:
    return learner.score([pair for row in rows for pair in learner.read(row.query, row.texts)])


def test_binary_cross_entropy_is_the_formula(learner: Learner) -> None:
    rows = [Example(row.query, (text,), (t,)) for row in ROWS for text, t in zip(row.texts, row.targets, strict=True)]
    scores = scored(learner, rows)
    by_hand = 0.0
    for row, score in zip(rows, scores.tolist(), strict=True):
        p, [t] = 1 / (1 + math.exp(-score)), row.targets
        by_hand -= t * math.log(p) + (1 - t) * math.log(1 - p)
    assert number(losses.value(BCE, scores, rows)) == pytest.approx(by_hand, abs=1e-5)


def test_infonce_is_the_formula_for_rows_of_any_length(learner: Learner) -> None:
    scores, by_hand, start = scored(learner, ROWS), 0.0, 0
    for row in ROWS:
        own = [math.exp(score / 0.5) for score in scores.tolist()[start : start + len(row.texts)]]
        by_hand -= math.log(own[0] / sum(own))
        start += len(row.texts)
    assert number(losses.value(INFONCE, scores, ROWS)) == pytest.approx(by_hand, abs=1e-5)


def test_both_are_those_of_sentence_transformers(learner: Learner, tmp_path: Path) -> None:
    import torch
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder import losses as theirs

    learner.save(tmp_path / "model")
    model = CrossEncoder(str(tmp_path / "model"), device="cpu")
    pair = [ROWS[0].query] * 3, list(ROWS[0].texts)
    rows = [Example(ROWS[0].query, (text,), (t,)) for text, t in zip(pair[1], ROWS[0].targets, strict=True)]
    told = theirs.BinaryCrossEntropyLoss(model)(list(pair), torch.tensor(ROWS[0].targets))
    assert number(losses.value(BCE, scored(learner, rows), rows)) / 3 == pytest.approx(number(told), abs=1e-5)
    infonce = theirs.MultipleNegativesRankingLoss(model, num_negatives=None, scale=2.0, activation_fn=None)
    told = infonce([[pair[0][0]], *([text] for text in pair[1])], torch.tensor([0]))
    assert number(losses.value(INFONCE, scored(learner, ROWS[:1]), ROWS[:1])) == pytest.approx(number(told), abs=1e-5)


def test_a_causal_base_learns_the_difference_of_its_answers_logits(tmp_path: Path) -> None:
    import torch

    base = models.qwen(tmp_path / "qwen")
    learner = Learner(made("hard-cases", base, prompt="qwen3-reranker", max_length=256), base, 0)
    [pair] = learner.read("is there a leak", ["the boat leaks"])
    logits = learner.model(input_ids=torch.tensor([pair[0]])).logits[0, -1]
    yes, no = (learner.tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
    assert number(learner.score([pair])[0]) == pytest.approx(number(logits[yes] - logits[no]), abs=1e-5)
    assert learner.tokenizer.decode(pair[0]).endswith("</think>\n\n")


def test_a_batch_in_parts_has_the_loss_of_the_whole(learner: Learner) -> None:
    apart = Loss(loss="infonce", temperature=0.5, together=3)
    parts = list(losses.parts(apart, ROWS))
    assert parts == [ROWS[:1], ROWS[1:]]
    split = sum(number(losses.value(apart, scored(learner, list(part)), part)) for part in parts)
    assert split == pytest.approx(number(losses.value(apart, scored(learner, ROWS), ROWS)), abs=1e-5)


def test_infonce_takes_one_memory_at_the_top_and_some_at_the_bottom() -> None:
    memories = [{"doc_id": str(place), "text": f"text {place}"} for place in range(6)]
    targets = {"0": 0.9, "1": 0.7, "2": 0.5, "3": 0.3, "4": 0.1}  # the last one has no label
    rows = [{"query_id": "q", "query": "ask", "memories": memories}, {"query_id": "r", "query": "", "memories": []}]
    for seed in range(20):
        [row] = losses.examples(INFONCE, rows, {"q": targets, "r": {}}, str(seed))
        assert row.targets[0] >= 0.7 and len(row.texts) == 3 and set(row.targets[1:]) == {0.3, 0.1}
    assert len(losses.examples(BCE, rows, {"q": targets}, "0")) == 5
