"""What `memeval score` of a TREC run takes beside pytrec_eval, as whole processes: CPU seconds, their ratio, memory.

pytrec_eval reads the same run and labels and computes the measures of the same names that it has; memeval adds F1 above
a threshold, intervals, ties and a digest. Rounds take turns, and the least of each counts, so that a busy machine
moves the ratio little.

    python benchmarks/speed_score.py [--queries 2000 20000 200000] [--depth 100] [--rounds 5] [--folder FOLDER]
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from processes import taken

LABELS = 10
THEIRS = """
import sys, pytrec_eval
with open(sys.argv[2]) as file: qrels = pytrec_eval.parse_qrel(file)
with open(sys.argv[1]) as file: run = pytrec_eval.parse_run(file)
names = {"map", "recip_rank", "ndcg", "ndcg_cut.1,3,10", "recall.3,5,20"}
values = pytrec_eval.RelevanceEvaluator(qrels, names).evaluate(run)
for name in next(iter(values.values())): print(name, sum(row[name] for row in values.values()) / len(values))
"""


def main() -> None:
    """Draws runs where they are missing, scores them in turns, and prints a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, nargs="+", default=[2_000, 20_000, 200_000])
    parser.add_argument("--depth", type=int, default=100, help="memories a query ranks")
    parser.add_argument("--rounds", type=int, default=5, help="of the smaller sizes; the largest has one")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "memeval-speed-score")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    print(f"{'queries':>9} {'pairs':>11} {'memeval s':>10} {'pytrec_eval s':>14} {'ratio':>6} {'MB':>7} {'MB':>7}")
    for queries in asked.queries:
        run, qrels = drawn(asked.folder, queries, asked.depth)
        commands = (
            [sys.executable, "-m", "memeval", "score", str(run), "--qrels", str(qrels)],
            [sys.executable, "-c", THEIRS, str(run), str(qrels)],
        )
        rounds = 1 if queries >= 100_000 else asked.rounds
        found = [[taken(command) for command in commands] for _ in range(rounds)]
        (ours, _, our_bytes), (theirs, _, their_bytes) = (min(one[place] for one in found) for place in range(2))
        print(
            f"{queries:9,} {queries * asked.depth:11,} {ours:10.2f} {theirs:14.2f} {ours / theirs:6.2f}"
            f" {our_bytes / 1e6:7,.0f} {their_bytes / 1e6:7,.0f}",
            flush=True,
        )


def drawn(folder: Path, queries: int, depth: int) -> tuple[Path, Path]:
    """A run and its labels: the scores fall, ten labels a query, most of them of memories that are ranked."""
    run, qrels = folder / f"{queries}x{depth}.run", folder / f"{queries}x{depth}.qrels"
    if not (run.is_file() and qrels.is_file()):
        random = np.random.default_rng(0)
        with run.open("w") as ranked, qrels.open("w") as labelled:
            for query in range(queries):
                doc_ids = random.choice(100_000, depth + LABELS, replace=False).tolist()
                scores = np.sort(random.normal(size=depth))[::-1].tolist()
                ranked.writelines(
                    f"q{query} Q0 d{doc_id} {rank} {score:.6f} drawn\n"
                    for rank, (doc_id, score) in enumerate(zip(doc_ids[:depth], scores, strict=True), 1)
                )
                places = random.choice(depth + LABELS, LABELS, replace=False).tolist()
                grades = [1, *random.integers(0, 4, LABELS - 1).tolist()]
                labelled.writelines(
                    f"q{query} 0 d{doc_ids[place]} {grade}\n" for place, grade in zip(places, grades, strict=True)
                )
    return run, qrels


if __name__ == "__main__":
    main()
