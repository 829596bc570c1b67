"""What is committed under results/ can be made again: every derived number from its raw run."""

import math
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from memeval import datasets
from memeval.core import files, results
from memeval.core.types import Dataset, Result
from memeval.datasets import slices
from memeval.measures import scoring
from memeval.runs import benchmark, measuring
from memeval.runs.suite import Suite, load

ROOT = Path(__file__).parents[2] / "results"
FILES = results.find(ROOT) if ROOT.is_dir() else []
DATA = Path(os.environ.get("MEMEVAL_DATA", ""))
NEEDS = {"locomo": DATA / "locomo" / "locomo10.json"}


@pytest.fixture(scope="module")
def rendered() -> dict[str, tuple[Suite, Dataset, Dataset]]:
    return {}


def test_there_are_committed_results() -> None:
    assert {"hard-cases", "locomo"} <= {file.parent.name for file in FILES}


def test_they_stay_small() -> None:
    assert sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file()) < 10_000_000


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_committed_result_follows_from_its_run(
    file: Path, rendered: dict[str, tuple[Suite, Dataset, Dataset]]
) -> None:
    name = file.parent.name
    if name in NEEDS and not NEEDS[name].is_file():
        pytest.skip(f"MEMEVAL_DATA has no {NEEDS[name].relative_to(DATA)}")
    if name not in rendered:
        suite = load(file.parent.parent.name)
        loaded = datasets.load(name)
        rendered[name] = suite, loaded, benchmark.load(suite, loaded)
    suite, loaded, dataset = rendered[name]
    candidates = results.read_candidates(files.stored(file.parent / "candidates.jsonl") or file)
    known = results.read_result(file)
    again = measuring.measure(
        file.with_suffix(".run.jsonl"), dataset, candidates, suite, slices.members(loaded, candidates)
    )
    assert known.signature.run_digest == again.signature.run_digest
    assert known.query_ids == again.query_ids
    assert known.slices == again.slices
    for measure, values in known.values.items():
        assert again.values[measure] == pytest.approx(values, abs=1e-9, nan_ok=True)
    for category, estimates in known.measures.items():
        for measure, estimate in estimates.items():
            found = asdict(again.measures[category][measure])
            for key, value in asdict(estimate).items():
                assert math.isclose(found[key], value, abs_tol=1e-9) or math.isnan(value), (category, measure, key)
    assert _rounded(known) == _rounded(again)


def test_no_text_of_locomo_is_in_the_results() -> None:
    if not NEEDS["locomo"].is_file():
        pytest.skip("MEMEVAL_DATA has no locomo/locomo10.json")
    dataset = datasets.load("locomo-all")
    texts = {memory.text for memories in dataset.stores.values() for memory in memories if len(memory.text) > 30}
    texts |= {query.text for query in dataset.queries}
    for path in (path for path in (ROOT / "locomo").rglob("*") if path.is_file()):
        content = "".join(str(row) for row in files.lines(path)) if "jsonl" in path.name else path.read_text()
        assert not [text for text in texts if text in content], path


def _rounded(result: Result) -> str:
    """What is neither a measure nor exact prose: ties, truncation, failures, thresholds."""
    facts = {"ties": result.ties.rate, **result.truncation, "failed": result.failures.failed}
    return str({key: round(value, 9) for key, value in facts.items()}) + str(scoring.SCHEMA)
