"""How fast memeval's causal engine is on a CUDA device, beside sentence-transformers: 100 short and 20 long candidates.

One process, the same pairs, interleaved rounds, the medians of the ratios within a round. The models have the exact
shapes of Qwen3-Reranker-0.6B and -4B, with random weights: speed and rounding do not depend on their values, and
quality is not measured. What is printed: pairs a second, the share of the matrix-product peak measured here, memory
beside the weights, the largest difference in log-odds from the plain forward pass in float32, and which attention
kernels ran.
"memeval, unfused" is the same engine with fused attention switched off.

    python benchmarks/speed_gpu.py [--shapes 0.6b 4b] [--rounds 7] [--json FILE]
"""

import argparse
import gc
import json
import logging
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

import torch
import transformers
from speed_local import SHAPES, Contestant, against, memeval, products, sentence_transformers, texts

from memeval.rerankers.local import transformers as local
from tests import models

MODELS: dict[str, dict[str, Any]] = {
    "0.6b": SHAPES["qwen"],
    "4b": {
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151669,
        "initializer_range": 0.03,
    },
}
LOADS = {"100 of 115 tokens": (100, 115), "20 of 1,000 tokens": (20, 1000)}
"""Candidates of one query, and the tokens of a whole prompt."""
FIXED = 90
"""About what the prompt takes of them."""


def peak() -> float:
    """The best rate of a bfloat16 matrix product seen here, in FLOP/s."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    best = 0.0
    for _ in range(20):
        torch.cuda.synchronize()
        start = time.perf_counter()
        a @ b
        torch.cuda.synchronize()
        best = max(best, 2 * 8192**3 / (time.perf_counter() - start))
    return best


def documents(tokenizer: Any, turns: list[str], count: int, tokens: int) -> list[str]:
    """Texts that make prompts of about so many tokens, each another one."""
    stream = [word for text in turns for word in text.split()]
    found, place = [], 0
    for _ in range(count):
        wanted = (tokens - FIXED) * random.Random(place).uniform(0.8, 1.2)
        words: list[str] = []
        while len(tokenizer.tokenize(" ".join(words))) < wanted:
            words += stream[place % len(stream) : place % len(stream) + 5]
            place += 5
        found.append(" ".join(words))
    return found


def kernels(score: Contestant) -> list[str]:
    """The names of the attention kernels that a call ran, shortened."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        score()
    names = {event.key for event in profiler.key_averages()}
    return sorted({name[:60] for name in names if any(word in name.lower() for word in ("flash", "fmha", "softmax"))})


def unfused(score: Contestant) -> Contestant:
    """The same without fused attention."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    def slow() -> list[float]:
        with sdpa_kernel([SDPBackend.MATH]):
            return score()

    return slow


def memory(score: Contestant) -> float:
    """MiB that a call takes beside what was there before it."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    score()
    return float(torch.cuda.max_memory_allocated() - before) / 2**20


def reference(folder: Path, query: str, kept: list[str]) -> list[float]:
    """The plain forward pass in float32, one prompt at a time."""
    reranker = local.Transformers(str(folder), device="cuda")
    engine: Any = reranker.engine
    scores: list[float] = engine.plain(query, kept)
    return scores


def shape(name: str, where: Path, rounds: int, best: float) -> list[dict[str, Any]]:
    """All comparisons at one shape."""
    query, turns, corpus, origin = texts()
    torch.set_default_dtype(torch.bfloat16)
    torch.set_default_device("cuda")
    folder = models.qwen(where / name, corpus=corpus, vocabulary=8000, **MODELS[name])
    torch.set_default_device("cpu")
    torch.set_default_dtype(torch.float32)
    gc.collect()
    torch.cuda.empty_cache()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = []
    for load, (count, tokens) in LOADS.items():
        kept = documents(tokenizer, turns, count, tokens)
        right = reference(folder, query, kept)
        gc.collect()
        torch.cuda.empty_cache()
        ours = memeval(folder, "bfloat16", query, kept, "cuda")
        theirs = sentence_transformers(folder, "bfloat16", query, kept, "cuda")
        contestants = {"memeval": ours, "memeval, unfused": unfused(ours), "sentence-transformers": theirs}
        took = {other: memory(score) for other, score in contestants.items()}
        seconds: dict[str, list[float]] = {other: [] for other in contestants}
        scores: dict[str, list[float]] = {}
        for number in range(rounds):
            order = list(contestants)
            random.Random(number).shuffle(order)
            for other in order:
                torch.cuda.synchronize()
                start = time.perf_counter()
                scores[other] = contestants[other]()
                seconds[other].append(time.perf_counter() - start)
        work = products(folder, query, kept)
        print(f"\n{name}, {load} ({origin} texts), bfloat16; spread of the scores {statistics.pstdev(right):.2f}")
        for other in contestants:
            middle = statistics.median(seconds[other])
            ratio = [a / b for a, b in zip(seconds[other], seconds["memeval"], strict=True)]
            row = {
                "shape": name,
                "load": load,
                "system": other,
                "pairs_per_second": len(kept) / middle,
                "memeval_is_faster": statistics.median(ratio),
                "peak_share": work / middle / best if other == "memeval" else None,
                "activations_mib": took[other],
                **against(scores[other], right),
                "attention": kernels(contestants[other]),
            }
            rows.append(row)
            share = "" if row["peak_share"] is None else f", {row['peak_share']:.0%} of the peak"
            print(
                f"  {other:<22} {row['pairs_per_second']:8.1f} pairs/s{share}; memeval is"
                f" {row['memeval_is_faster']:5.2f}x ({min(ratio):.2f}-{max(ratio):.2f}); {took[other]:7.0f} MiB;"
                f" from float32 by {row['largest_difference']:.1e}, {row['flips']} flips; {row['attention']}",
                flush=True,
            )
        del ours, theirs, contestants
        gc.collect()
        torch.cuda.empty_cache()
    return rows


def main() -> None:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the rows to a file")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("there is no CUDA device here: benchmarks/speed_local.py compares on a processor")
    logging.disable(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()
    best = peak()
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, transformers {transformers.__version__};"
        f" bfloat16 products peak at {best / 1e12:.0f} TFLOP/s"
    )
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for name in arguments.shapes for row in shape(name, Path(folder), arguments.rounds, best)]
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
