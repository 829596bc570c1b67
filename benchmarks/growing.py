"""What benchmarks/growth.py measures is drawn here: data sets of any size, in a process of its own.

    python benchmarks/growing.py FILE QUERIES STORES MEMORIES

A store's memories are sentences of words as rare as words are; a query takes half its words from the one or two
memories that answer it, so that a lexical system finds some of them.
"""

import json
import random
import sys
from itertools import accumulate
from pathlib import Path

VOCABULARY = 20_000
WORDS = (8, 24)
TAKEN = 4


def draw(file: Path, queries: int, stores: int, memories: int) -> None:
    """Writes a data set of `stores` stores with so many memories each, asked so many queries in all."""
    chance = random.Random(0)
    words = [f"w{rank:05x}" for rank in range(VOCABULARY)]
    weights = [*accumulate(1 / (rank + 1) for rank in range(VOCABULARY))]
    begun = file.with_name(f"{file.name}.begun")
    with begun.open("w", encoding="utf-8") as lines:
        for store in range(stores):
            texts = [chance.choices(words, cum_weights=weights, k=chance.randint(*WORDS)) for _ in range(memories)]
            held = [{"doc_id": f"m{place}", "text": " ".join(text)} for place, text in enumerate(texts)]
            print(json.dumps({"store_id": f"s{store}", "memories": held}), file=lines)
            for query in range(store * queries // stores, (store + 1) * queries // stores):
                answers = chance.sample(range(memories), 1 + query % 2)
                asked = [word for place in answers for word in chance.sample(texts[place], TAKEN)]
                asked += chance.choices(words, cum_weights=weights, k=TAKEN)
                labels = {f"m{place}": 1 for place in answers}
                row = {"query_id": f"q{query}", "store_id": f"s{store}", "query": " ".join(asked), "labels": labels}
                print(json.dumps(row | {"category": f"kind {query % 4}"}), file=lines)
    begun.replace(file)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), *map(int, sys.argv[2:]))
