"""How fast memeval's local engines are beside the model card's code and sentence-transformers: `make bench-speed`.

One process, the same pairs, interleaved rounds; what counts are the medians of the ratios within a round, because other
work on the machine hits neighbours in time alike. On a machine that others use, read the ratios of CPU seconds instead,
with `--threads 1`: waiting for a processor does not enter them. The models have the exact shapes of
Qwen3-Reranker-0.6B, of MiniLM cross-encoders (L6) and of bge-reranker-base, with random weights: speed and rounding do
not depend on their values, and quality is not measured. The texts are LoCoMo's turns (MEMEVAL_DATA), else invented;
the long ones are several turns in one.

    python benchmarks/speed_local.py [--shapes qwen minilm xlmr] [--loads short long] [--rounds 3] [--json FILE]
"""

import argparse
import json
import logging
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
import transformers

from memeval import datasets
from memeval.core.errors import MemevalError
from memeval.core.types import Memory, Query
from memeval.datasets import render
from memeval.rerankers import recipes
from memeval.rerankers.local import prompt
from memeval.rerankers.local import transformers as local
from memeval.rerankers.local.checkpoint import Settings
from tests import models

SHORT = (115, 150)
FIXED = 73
"""What the prompt takes of them; the classifiers, which have none, get documents of the same length."""
LONG = {"qwen": 1000, "minilm": 500, "xlmr": 500}
"""Tokens of a long pair: what the classifiers were made for ends at 512."""
PEAK_SECONDS = 1.0
"""How long the best rate of a matrix product is looked for."""
LOADS = {"short": 100, "long": 20}
"""Candidates of each length."""
SHAPES: dict[str, dict[str, Any]] = {
    "qwen": {
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151669,
        "initializer_range": 0.05,
    },
    "minilm": {
        "hidden_size": 384,
        "intermediate_size": 1536,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "initializer_range": 0.05,
    },
    "xlmr": {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "initializer_range": 0.05,
    },
}
WORDING = recipes.wordings()[prompt.QWEN3]
BUILD = {"qwen": models.qwen, "minilm": models.bert, "xlmr": models.xlm_roberta}
Contestant = Callable[[], list[float]]


def texts() -> tuple[str, list[str], list[str], str]:
    """A query, candidates, texts to train a tokenizer on, and where they are from."""
    try:
        dataset = render.rendered(datasets.load("locomo"), render.DEFAULT)
        turns = [memory.text for store in dataset.stores.values() for memory in store]
        query, origin = dataset.queries[0].text, "LoCoMo"
    except MemevalError:
        chosen = random.Random(0)
        words = "the a I you we went saw bought garden boat tea june painting support group really nice time".split()
        turns = [" ".join(chosen.choices(words, k=chosen.randint(25, 60))) for _ in range(2000)]
        query, origin = "When did you go to the painting group?", "invented"
    turns = sorted(turns, key=lambda text: random.Random(text).random())
    return query, turns, turns[:3000] + models.TEXTS, origin


def card(folder: Path, dtype: str, query: str, documents: list[str], batch: int) -> Contestant:
    """The code of Qwen3-Reranker's model card (transformers usage), in batches."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    token_false_id = tokenizer.convert_tokens_to_ids("no")
    token_true_id = tokenizer.convert_tokens_to_ids("yes")
    wording = WORDING
    prefix_tokens = tokenizer.encode(wording.prefix, add_special_tokens=False)
    suffix_tokens = tokenizer.encode(wording.suffix, add_special_tokens=False)
    pairs = [f"<Instruct>: {wording.instruction}\n<Query>: {query}\n<Document>: {text}" for text in documents]

    def process_inputs(pairs: list[str]) -> Any:
        longest = 8192 - len(prefix_tokens) - len(suffix_tokens)
        inputs = tokenizer(
            pairs, padding=False, truncation="longest_first", return_attention_mask=False, max_length=longest
        )
        for i, ids in enumerate(inputs["input_ids"]):
            inputs["input_ids"][i] = prefix_tokens + ids + suffix_tokens
        return tokenizer.pad(inputs, padding=True, return_tensors="pt", max_length=8192)

    def score() -> list[float]:
        scores: list[float] = []
        with torch.no_grad():
            for start in range(0, len(pairs), batch):
                logits = model(**process_inputs(pairs[start : start + batch])).logits[:, -1, :]
                scores += (logits[:, token_true_id] - logits[:, token_false_id]).tolist()
        return scores

    return score


def sentence_transformers(
    folder: Path, dtype: str, query: str, documents: list[str], device: str = "cpu"
) -> Contestant:
    """CrossEncoder.predict with its defaults and memeval's template, raw scores."""
    from sentence_transformers import CrossEncoder

    causal = (folder / "chat_template.jinja").exists() or "ForCausalLM" in (folder / "config.json").read_text()
    model = CrossEncoder(
        str(folder),
        device=device,
        local_files_only=True,
        activation_fn=torch.nn.Identity(),
        model_kwargs={"dtype": getattr(torch, dtype)},
        processor_kwargs={"chat_template": prompt.template()} if causal else {},
    )
    pairs = [(query, text) for text in documents]
    return lambda: [float(score) for score in model.predict(pairs, show_progress_bar=False)]


def memeval(folder: Path, dtype: str, query: str, documents: list[str], device: str = "cpu") -> Contestant:
    """The kind `transformers`, as `memeval run` calls it."""
    reranker = local.Transformers(str(folder), settings=Settings(dtype=dtype), device=device)
    reranker.warm_up()
    asked = Query("q", query, "store")
    memories = [Memory(str(place), text) for place, text in enumerate(documents)]
    return lambda: list(reranker.score(asked, memories))


def matmul_peak(dtype: str) -> float:
    """The best rate of a matrix product seen on this machine, in FLOP/s."""
    best = 0.0
    product: Callable[[Any, Any], Any] = torch._int_mm if dtype == "int8" else torch.matmul
    for size in (1024, 2048):
        a, b = ((torch.randn(size, size) * 40).to(getattr(torch, dtype)) for _ in range(2))
        product(a, b)
        clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
        end = time.perf_counter() + PEAK_SECONDS / 2
        while time.perf_counter() < end:
            start = clock()
            product(a, b)
            best = max(best, 2.0 * size**3 / (clock() - start))
    return best


def products(folder: Path, query: str, documents: list[str]) -> float:
    """Floating-point operations of the matrix products that must be computed for these pairs, once each.

    For a causal model: all but embeddings and vocabulary, for the query's head once and for each document with the
    suffix; attention apart. For a classifier: the encoder, for every token of every pair, but in the last layer what is
    behind the attention for the first token alone.
    """
    config = json.loads((folder / "config.json").read_text())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    if "num_key_value_heads" in config:
        head = config["head_dim"]
        heads, shared = config["num_attention_heads"] * head, 2 * config["num_key_value_heads"] * head
        weights = width * (2 * heads + shared) + 3 * width * inner
        rendered = prompt.Prompt(tokenizer, WORDING, WORDING.instruction, config["max_position_embeddings"]).render(
            query, documents
        )
        tokens = len(rendered.head) + sum(map(len, rendered.tails))
        return float(2 * layers * weights * tokens)
    tokens = sum(len(tokenizer(query, text)["input_ids"]) for text in documents)
    attention, behind = 3 * width * width, width * width + 2 * width * inner
    return float(2 * (tokens * (layers * attention + (layers - 1) * behind) + len(documents) * behind))


def busy() -> tuple[float, float]:
    """CPU seconds of all processes, and of this one."""
    stat = Path("/proc/stat")
    if not stat.is_file():
        return 0.0, time.process_time()
    ticks = [int(value) for value in stat.read_text().splitlines()[0].split()[1:]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK"), time.process_time()


@dataclass
class Times:
    """Seconds of one contestant in each round, by the clock and of the processors."""

    clock: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def compare(contestants: dict[str, Contestant], rounds: int) -> tuple[dict[str, Times], dict[str, list[float]]]:
    """Times and scores of each contestant."""
    times = {name: Times() for name in contestants}
    scores: dict[str, list[float]] = {}
    for number in range(rounds):
        names = list(contestants)
        random.Random(number).shuffle(names)
        for name in names:
            everyone, mine = busy()
            start = time.perf_counter()
            scores[name] = contestants[name]()
            elapsed = time.perf_counter() - start
            after, mine_after = busy()
            times[name].clock.append(elapsed)
            times[name].cpu.append(mine_after - mine)
            others = max(0.0, (after - everyone) - (mine_after - mine)) / elapsed
            print(
                f"  round {number + 1} {name:<32} {elapsed:8.2f} s, {mine_after - mine:8.2f} of CPUs;"
                f" others took {others:4.2f} CPUs, load {os.getloadavg()[0]:.2f}"
            )
    return times, scores


def ratios(theirs: list[float], ours: list[float]) -> list[float]:
    """Round by round."""
    return [other / mine for other, mine in zip(theirs, ours, strict=True)]


def against(ours: list[float], theirs: list[float]) -> dict[str, float]:
    """How far two lists of scores are apart, the pairs of candidates they order differently, and what ours ties."""
    pairs = list(combinations(zip(ours, theirs, strict=True), 2))
    return {
        "largest_difference": max(abs(a - b) for a, b in zip(ours, theirs, strict=True)),
        "flips": sum((a - b) * (x - y) < 0 for (a, x), (b, y) in pairs),
        "ties": sum(a == b and x != y for (a, x), (b, y) in pairs),
    }


def chosen(name: str, load: str, turns: list[str], folder: Path) -> list[str]:
    """The candidates of a load: turns of the wanted length, or as many turns in one as give it."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if load == "short":
        low, high = SHORT
        return [text for text in turns if low <= FIXED + len(tokenizer.tokenize(text)) <= high][: LOADS[load]]
    found, rest = [], iter(turns)
    wanted = LONG[name] - (FIXED if name == "qwen" else 0)
    for _ in range(LOADS[load]):
        text = next(rest)
        while len(tokenizer.tokenize(text)) < wanted - 30:
            text = f"{text} {next(rest)}"
        found.append(text)
    return found


def shape(name: str, where: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """All comparisons at one shape."""
    query, turns, corpus, origin = texts()
    folder = BUILD[name](where / name, corpus=corpus, vocabulary=8000, **SHAPES[name])
    rows = []
    for load in arguments.loads:
        kept = chosen(name, load, turns, folder)
        tokens = statistics.median(map(len, transformers.AutoTokenizer.from_pretrained(folder)(kept)["input_ids"]))
        print(f"\n{name}: {len(kept)} candidates of {tokens:.0f} tokens (median) from {origin}, {query!r}")
        rows += loaded(name, load, folder, query, kept, arguments)
    return rows


def loaded(
    name: str, load: str, folder: Path, query: str, kept: list[str], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """All comparisons at one shape and load, in each dtype."""
    others: dict[str, Contestant] = {}
    if name == "qwen" and load == "short" and not arguments.no_card:
        others["model card float32"] = card(folder, "float32", query, kept, 8)
    for dtype in arguments.dtypes:
        # sentence-transformers has no int8; Qwen3's card there is of float32.
        if dtype == "float32" or (name != "qwen" and dtype != "int8"):
            others[f"sentence-transformers {dtype}"] = sentence_transformers(folder, dtype, query, kept)
    ours = {f"memeval {dtype}": memeval(folder, dtype, query, kept) for dtype in arguments.dtypes}
    times, scores = compare(others | ours, arguments.rounds)
    for other in others:
        print(f"  {other:<32} {len(kept) / statistics.median(times[other].clock):8.2f} pairs/s")
    rows = []
    reference = scores[next(iter(ours))]
    for mine, dtype in zip(ours, arguments.dtypes, strict=True):
        peak = matmul_peak(dtype)
        seconds = times[mine].cpu if torch.get_num_threads() == 1 else times[mine].clock
        share = products(folder, query, kept) / statistics.median(seconds) / peak
        of_peak = f"{share:.0%} of the matrix-product peak seen here ({peak / 1e9:.0f} GFLOP/s)"
        print(
            f"  {mine:<32} {len(kept) / statistics.median(times[mine].clock):8.2f} pairs/s; "
            + (of_peak if share <= 1 else f"this processor has no {dtype} products: read its ratios as of an emulation")
        )
        for other in (*others, *ours):
            if other == mine:
                continue
            ratio = ratios(times[other].clock, times[mine].clock)
            cpu = ratios(times[other].cpu, times[mine].cpu)
            row = {
                "shape": name,
                "load": load,
                "ours": mine,
                "other": other,
                "pairs_per_second": len(kept) / statistics.median(times[mine].clock),
                "ratio": statistics.median(ratio),
                "ratio_of_cpu_seconds": statistics.median(cpu),
                **against(scores[mine], scores[other]),
                "peak_share": share if share <= 1 else None,
            }
            rows.append(row)
            print(
                f"    {row['ratio']:6.2f}x ({min(ratio):.2f}-{max(ratio):.2f}) {other}, "
                f"{row['ratio_of_cpu_seconds']:5.2f}x in CPU seconds; largest difference "
                f"{row['largest_difference']:.1e}; {row['flips']} rank flips, {row['ties']} new ties"
            )
    pairs, spread = math.comb(len(kept), 2), statistics.pstdev(reference)
    print(f"  {pairs} pairs of candidates; scores of {next(iter(ours))} spread by {spread:.2f}")
    return rows


def main() -> None:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16", "int8"])
    parser.add_argument("--loads", nargs="+", default=list(LOADS), choices=list(LOADS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-card", action="store_true", help="leave out the model card's code, the slowest")
    parser.add_argument("--threads", type=int, help="threads of torch; default: its own choice")
    parser.add_argument("--json", type=Path, help="write the rows to a file")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    transformers.utils.logging.disable_progress_bar()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for name in arguments.shapes for row in shape(name, Path(folder), arguments)]
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
