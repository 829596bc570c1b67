"""What every data set on offer keeps to. A new name is under test by being there: FILES says what it is tried on."""

import json
import lzma
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from memeval import datasets
from memeval.core.types import Dataset
from memeval.datasets import (
    financebench,
    liveqa,
    lmeb,
    locomo,
    longmemeval,
    mteb_reranking,
    precisionmembench,
    pubmedqa,
)

DATA = Path(__file__).parents[1] / "data"
TEATIME = lmeb.Task(
    "dialogue", "teapots/Teatime", "0" * 40, "mit", "https://example.org", "Teatime", "prefix", {"plain": "Find it"},
    {"plain": (2, 4, 2)},
)  # fmt: skip
AUDIT = locomo.Audit("1", {(0, 0): ("D1:2",)}, {"wrong": 1})
IKAT = {"ikat": "ikat"}
QUESTIONS = {
    "financebench/questions.jsonl": financebench.QUESTIONS.path,
    "financebench/pages.jsonl": financebench.PAGES.path,
}
ANSWERS = {
    "liveqa/questions.xml": liveqa.QUESTIONS.path,
    "liveqa/answers.csv": liveqa.ANSWERS.path,
    "liveqa/qrels.txt": liveqa.GRADES_FILE.path,
}
FILES: Mapping[str, Mapping[str, str]] = {
    "beam-100k": {"beam/chats/100K": "beam/chats/100K"},
    "beam-500k": {"beam/chats/100K": "beam/chats/500K"},
    "beam-1m": {"beam/chats/100K": "beam/chats/1M"},
    "beir": {"beir/garden": "garden"},
    **{name: {"mteb_reranking": said["repository"]} for name, said in mteb_reranking.PINNED.items()},
    "financebench": QUESTIONS,
    "financebench-global": QUESTIONS,
    "hard-cases": {},
    "ikat": IKAT,
    "ikat-authors": IKAT,
    "ikat-organisers": IKAT,
    "jsonl": {"jsonl/notes.jsonl": "notes.jsonl"},
    "liveqa-med": ANSWERS,
    "liveqa-med-judged": ANSWERS,
    "lmeb": {"lmeb": "lmeb"},
    **{name: {"locomo/tiny.json": locomo.FILE.path} for name in locomo.ABOUT},
    **{name: {"longmemeval/tiny.json": longmemeval.S.path} for name in longmemeval.ABOUT},
    "longmemeval-oracle": {"longmemeval/tiny.json": longmemeval.ORACLE.path},
    "mteb-reranking": {"mteb_reranking": "rows"},
    "precisionmembench": {
        "precisionmembench/beliefs.seed.json": precisionmembench.BELIEFS.path,
        "precisionmembench/retrieval.cases.json": precisionmembench.CASES.path,
    },
    "pubmedqa": {"pubmedqa/tiny.json": pubmedqa.FILE.path},
}
"""Name → what it reads: a small file or folder in tests/data → its place in the data folder."""
ARGUMENTS = {"beir": "garden", "jsonl": "notes.jsonl", "lmeb": "Teatime/plain", "mteb-reranking": "rows"}
"""What stands behind the slash of a name that wants something there."""
UNTOUCHED = {
    "hard-cases": "what is embedded in memeval has no query without text",
    **dict.fromkeys(("liveqa-med", "liveqa-med-judged"), "a question stands in several places: see its own tests"),
}
"""Where the text of a query cannot just be taken out of the files, and why."""


@pytest.fixture(params=datasets.on_offer())
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A name as it is asked for, its files in place."""
    name = str(request.param)
    if name not in FILES:
        pytest.fail(
            f"{name!r} has no files: say in FILES of {Path(__file__).name} which small ones it reads", pytrace=False
        )
    monkeypatch.setenv("MEMEVAL_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(lmeb, "tasks", lambda: {"Teatime": TEATIME})
    monkeypatch.setattr(locomo, "shipped_audit", lambda: AUDIT)
    for source, place in FILES[name].items():
        found, target = DATA / source, tmp_path / "data" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if found.is_dir():
            shutil.copytree(found, target)
        else:
            target.write_bytes(lzma.compress(found.read_bytes()) if target.suffix == ".xz" else found.read_bytes())
    options = "?unverified=1" if "unverified" in datasets.manual(name) else ""
    return f"{name}{'/' if name in ARGUMENTS else ''}{ARGUMENTS.get(name, '')}{options}"


@pytest.fixture
def dataset(address: str) -> Dataset:
    return datasets.load(address)


def test_ids_are_unique_and_labels_resolve(dataset: Dataset) -> None:
    ids = [query.query_id for query in dataset.queries]
    assert ids and len(ids) == len(set(ids)) and not set(ids) & dataset.excluded.keys()
    for memories in dataset.stores.values():
        assert len(memories) == len({memory.doc_id for memory in memories})
    assert dataset.qrels.keys() <= set(ids)
    relevant = 0
    for query in dataset.queries:
        known = dataset.memories(query.store_id).keys() | dataset.absent.get(query.query_id, set())
        assert dataset.qrels.get(query.query_id, {}).keys() <= known
        assert dataset.pools is None or set(dataset.pools[query.query_id]) <= known
        relevant += sum(grade > 0 for grade in dataset.qrels.get(query.query_id, {}).values())
    assert relevant


def test_its_card_says_where_it_comes_from_and_what_it_allows(address: str, dataset: Dataset) -> None:
    about = datasets.about(address)
    assert about and "\n" not in about and datasets.manual(datasets.parse(address).kind)
    assert dataset.name and dataset.version and dataset.licence
    facts = datasets.facts(address)
    assert dataset.url or facts.get("url") or datasets.parse(address).argument, "nothing says where it comes from"
    for fact, value in facts.items():
        # What a local copy of a set on the Hub was copied from cannot be known.
        local_copy = fact == "url" and not dataset.url and not dataset.verified
        assert getattr(dataset, fact) == value or local_copy, f"{fact} is told otherwise without the files"


def test_a_query_without_text_is_kept_and_fails_for_every_system(
    address: str, dataset: Dataset, tmp_path: Path
) -> None:
    if (kind := datasets.parse(address).kind) in UNTOUCHED:
        pytest.skip(UNTOUCHED[kind])
    answered = {query_id for query_id, grades in dataset.qrels.items() if any(grade > 0 for grade in grades.values())}
    query = next(query for query in dataset.queries if query.query_id in answered and not query.context)
    blank(tmp_path / "data", query.text)
    emptied = datasets.load(address)
    assert query.query_id in {each.query_id for each in emptied.queries if each.blank}
    before, after = (sorted(each.qrels[query.query_id].values()) for each in (dataset, emptied))
    assert after == before


def blank(folder: Path, text: str) -> None:
    """Takes the text of a query out of the files below a folder."""
    found = 0
    for path in filter(Path.is_file, folder.rglob("*")):
        content = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        for written in {text, json.dumps(text)[1:-1]}:
            count = content.count(written.encode())
            found, content = found + count, content.replace(written.encode(), b" ")
        path.write_bytes(lzma.compress(content) if path.suffix == ".xz" else content)
    assert found, f"{text!r} stands in no file"


def test_two_readings_are_the_same(address: str, dataset: Dataset) -> None:
    again = datasets.load(address)
    assert (again.digest, again.version, again.splits) == (dataset.digest, dataset.version, dataset.splits)


def test_its_address_leads_back_to_it(dataset: Dataset) -> None:
    assert not Path(dataset.address or dataset.name).is_absolute()
    assert datasets.load(dataset.address or dataset.name).digest == dataset.digest
