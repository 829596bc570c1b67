"""The scripts that measure memeval run, at sizes that measure nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "benchmarks"
TINY_LOCAL = """
import speed_local

for wanted in speed_local.SHAPES.values():
    wanted |= {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
speed_local.SHAPES["qwen"] |= {"num_key_value_heads": 1, "head_dim": 16, "vocab_size": 9000}
speed_local.PEAK_SECONDS = 0.02
speed_local.LOADS = {"short": 4, "long": 2}
speed_local.main()
"""


def ran(folder: Path, *words: str | Path, codes: tuple[int, ...] = (0,)) -> str:
    """What a script prints, run in a folder of its own."""
    path = os.pathsep.join([str(SCRIPTS.parent), str(SCRIPTS), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in codes, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(
    ("name", "words", "told"),
    [
        ("speed_score", ["--queries", "40", "--depth", "9", "--rounds", "1"], "       40         360 "),
        ("speed_report", ["--systems", "5", "--queries", "40", "--depth", "10"], " CPU s, "),
        ("intervals", ["2"], "one holds a third"),
    ],
)
def test_it_measures(tmp_path: Path, name: str, words: list[str], told: str) -> None:
    folder = ["--folder", str(tmp_path)] if name.startswith("speed") else []
    assert told in ran(tmp_path, SCRIPTS / f"{name}.py", *words, *folder)


@pytest.mark.local
@pytest.mark.parametrize("kind", ["openai", "gemini", "rerank-api"])
def test_it_asks_a_judge(tmp_path: Path, kind: str) -> None:
    # 1: later than the bound, which is no test's business
    assert f"{kind}: 12 calls in" in ran(
        tmp_path, SCRIPTS / "speed_judges.py", "--calls", "12", "--kind", kind, codes=(0, 1)
    )


@pytest.mark.local
def test_it_compares_local_engines(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    told = ran(tmp_path, "-c", TINY_LOCAL, "--rounds", "1", "--json", tmp_path / "rows.json")
    for shape in ("qwen", "minilm", "xlmr"):
        assert f"{shape}: 4 candidates of" in told and f"{shape}: 2 candidates of" in told
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert len(rows) == 69 and {row["ours"] for row in rows} >= {"memeval float32", "memeval int8"}
    assert all(row["largest_difference"] < 0.1 for row in rows) and "0 rank flips, 0 new ties" in told


@pytest.mark.local
@pytest.mark.skipif(
    not (Path(os.environ.get("MEMEVAL_DATA", "")) / "locomo").is_dir(), reason="LoCoMo is not in MEMEVAL_DATA"
)
def test_it_measures_what_a_run_adds(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert "3 queries, 300 pairs" in ran(tmp_path, SCRIPTS / "overhead.py", "--queries", "3", "--threads", "1")


@pytest.mark.local
@pytest.mark.skipif(
    not (Path(os.environ.get("MEMEVAL_DATA", "")) / "locomo").is_dir(), reason="LoCoMo is not in MEMEVAL_DATA"
)
def test_it_measures_workers(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("ray", reason="ray is not installed: its extra is called `ray`")
    told = ran(tmp_path, SCRIPTS / "speed_ray.py", "--queries", "3", "--rounds", "1")
    assert "in 1 rounds of 3 queries" in told
