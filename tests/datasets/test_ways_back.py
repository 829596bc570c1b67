"""From results back to the data: whatever a data set was asked for as, from wherever, every command finds its texts,
and every command that a page prints works. No file that is given away holds an absolute path of the machine.
"""

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memeval import datasets
from memeval.cli import app
from memeval.datasets import download
from memeval.report import methods, reporting

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(autouse=True)
def afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is a process of its own: nothing is known from another, and there is no data folder."""
    forget()
    monkeypatch.delenv("MEMEVAL_DATA", raising=False)


def forget() -> None:
    from memeval.report import texts

    download._told.clear()
    texts.load.cache_clear()


def memeval(*words: str, code: int = 0) -> str:
    forget()
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": "100"})
    assert done.exit_code == code, done.stderr or done.exception
    return done.stdout + done.stderr


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with data below it."""
    folder = tmp_path / "work"
    (folder / "data").mkdir(parents=True)
    shutil.copy(DATA / "jsonl" / "notes.jsonl", folder / "data" / "notes.jsonl")
    shutil.copytree(DATA / "beir" / "garden", folder / "data" / "garden")
    shutil.copytree(DATA / "mteb_reranking", folder / "data" / "rows")
    monkeypatch.chdir(folder)
    return folder


SETS = ["jsonl/data/notes.jsonl", "beir/data/garden", "beir/data/garden?split=dev", "mteb-reranking/data/rows"]
RELATIVE = [*SETS, "hard-cases"]


def run(dataset: str, *more: str) -> None:
    memeval("run", "--dataset", dataset, "--system", "bm25", "-o", "page.html", "--quiet", *more)


def printed() -> Iterator[list[str]]:
    """Every command of the pages' tables, in words."""
    for board, _ in reporting.read([Path("results")]).boards:
        for row in board.rows:
            yield shlex.split(methods.command(row))[1:]


def first_query() -> str:
    return str(json.loads(next(Path("results").rglob("labels.jsonl")).read_text().splitlines()[1])["query_id"])


def ways_back(results: Path, query_id: str) -> None:
    """Every command that goes from results to the texts or labels of their data set."""
    assert "no texts" not in memeval("show", str(results), "--query", query_id)
    run_file = next(results.rglob("bm25.run.jsonl"))
    assert "bm25" in memeval("score", str(run_file))
    memeval("report", str(results), "--texts", "all", "-o", "all.html")
    assert "is not on the machine" not in Path("all.html").read_text()
    assert "verified" in memeval("verify", str(results))
    memeval("merge", str(results), "-o", "merged")


@pytest.mark.parametrize(
    ("dataset", "absolute"), [("hard-cases", False), *((name, absolute) for name in SETS for absolute in (False, True))]
)
def test_every_way_back_works_here_and_from_elsewhere_and_on_another_machine(
    dataset: str, absolute: bool, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, _, argument = dataset.partition("/")
    run(f"{kind}/{work / argument}" if absolute and argument else dataset)
    query_id = first_query()
    ways_back(Path("results"), query_id)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    ways_back(work / "results", query_id)
    if argument:
        moved = shutil.move(work, tmp_path / "moved")
        monkeypatch.setenv("MEMEVAL_CACHE", str(tmp_path / "another machine"))
        ways_back(Path(moved) / "results", query_id)


@pytest.mark.parametrize("dataset", SETS)
def test_results_far_from_their_data_find_it_on_the_machine_where_they_were_made(
    dataset: str, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, _, argument = dataset.partition("/")
    far = tmp_path / "far"
    far.mkdir()
    monkeypatch.chdir(far)
    run(f"{kind}/{work / argument}")
    query_id = first_query()
    assert str(work) not in next(Path("results").rglob("suite.json")).read_text()
    monkeypatch.chdir(tmp_path)
    ways_back(far / "results", query_id)


@pytest.mark.parametrize("dataset", RELATIVE)
@pytest.mark.parametrize("part", [["--limit", "2"], ["--shard", "1/2"]])
def test_each_command_that_a_page_prints_works_and_gives_the_numbers_of_its_row(
    dataset: str, part: list[str], work: Path
) -> None:
    run(dataset, *part)
    boards = reporting.read([Path("results")]).boards
    before = {row.system: row.result for board, _ in boards for row in board.rows}
    commands = list(printed())
    assert len(commands) == len(before) > 3
    for number, words in enumerate(commands):
        memeval(*words, "--results", f"again-{number}", "-o", "again.md", "--quiet")
        again = reporting.read([Path(f"again-{number}")]).collection.results
        assert again
        for result in again:
            assert repr(result.values) == repr(before[result.signature.system].values)
            assert result.signature.partial == before[result.signature.system].signature.partial


@pytest.mark.parametrize("dataset", SETS)
def test_no_absolute_path_is_written_where_it_could_be_given_away(
    dataset: str, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, _, argument = dataset.partition("/")
    away = tmp_path / "away"
    away.mkdir()
    monkeypatch.chdir(away)
    asked = ["memeval", "run", "--dataset", f"{kind}/{work / argument}", "--system", "bm25", "--results", "results"]
    monkeypatch.setattr("sys.argv", asked)
    memeval(*asked[1:], *(word for suffix in ("html", "md", "json", "csv") for word in ("-o", f"page.{suffix}")))
    for file in [*Path("results").rglob("*"), *Path().glob("page.*")]:
        assert "work-data" not in str(file)
        assert file.is_dir() or str(tmp_path) not in file.read_text(), file


def test_two_files_of_one_name_keep_two_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        line = {"query": place, "candidates": [{"text": "x", "label": 1}, {"text": "y"}]}
        (tmp_path / place / "mine.jsonl").write_text(json.dumps(line))
    found = [datasets.load(f"jsonl/{tmp_path / place / 'mine.jsonl'}") for place in ("a", "b")]
    assert [one.address for one in found] == ["jsonl/mine.jsonl", "jsonl/b/mine.jsonl"]
    forget()
    assert [datasets.load(str(one.address)).queries[0].text for one in found] == ["a", "b"]


def test_what_is_looked_at_is_found_beside_it_before_it_is_found_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        line = {"query": place, "candidates": [{"text": "x", "label": 1}, {"text": "y"}]}
        (tmp_path / place / "mine.jsonl").write_text(json.dumps(line))
    monkeypatch.chdir(tmp_path / "here")
    assert datasets.load("jsonl/mine.jsonl").queries[0].text == "here"
    with download.beside(tmp_path / "there" / "results"):
        assert datasets.load("jsonl/mine.jsonl").queries[0].text == "there"
    assert datasets.load("jsonl/mine.jsonl").queries[0].text == "here"


def test_a_cache_that_cannot_be_read_or_written_only_forgets(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (work / "no-folder").write_text("")
    monkeypatch.setenv("MEMEVAL_CACHE", str(work / "no-folder"))
    assert datasets.load(f"jsonl/{work / 'data' / 'notes.jsonl'}").address == "jsonl/data/notes.jsonl"


def test_a_gate_names_the_data_set_as_the_suite_does(work: Path) -> None:
    suite = """schema = 1
name = "mine"
datasets = ["jsonl/data/notes.jsonl"]
[[systems]]
model = "bm25"
[[gates]]
system = "bm25"
dataset = "jsonl/data/notes.jsonl"
measure = "NDCG@10"
"""
    (work / "mine.toml").write_text(suite)
    memeval("run", "mine.toml", "-o", "x.md", "--quiet")
    memeval("check", "results", "--baseline", "b.json", "--update", "--reason", "first")
    assert "bm25" in memeval("check", "results", "--baseline", "b.json")


@pytest.mark.parametrize("name", ["jsonl", "beir", "mteb-reranking"])
def test_the_manual_of_a_data_set_tells_its_options(name: str) -> None:
    shown = memeval("show", name)
    for option in getattr(datasets._loader(name), "OPTIONS", ()):
        assert f"?{option}=" in shown
    assert "cluster" in shown or name == "mteb-reranking"


def test_exported_qrels_hold_every_grade(work: Path) -> None:
    import pytrec_eval

    from memeval.measures import trec

    grades = {"a": 1, "b": -2, "c": 0, "d": 2, "e": -1}
    candidates = [{"doc_id": name, "text": f"word {name}", "label": value} for name, value in grades.items()]
    line = {"query": "word", "query_id": "q", "candidates": candidates}
    (work / "data" / "graded.jsonl").write_text(json.dumps(line))
    suite = 'schema = 1\nname = "m"\ndatasets = ["jsonl/data/graded.jsonl"]\nmeasures = ["BPref", "NDCG@10"]\n'
    (work / "m.toml").write_text(suite + '[[systems]]\nmodel = "random"\n')
    memeval("run", "m.toml", "-o", "x.md", "--quiet")
    memeval("report", "results", "--trec", "trec")
    qrels = trec.read_qrels(next(Path("trec").rglob("qrels.txt")))
    assert qrels == {"q": grades}
    run = trec.read_run(next(Path("trec").rglob("random.run.txt")))
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"bpref", "ndcg_cut.10"}).evaluate(run)["q"]
    [result] = reporting.read([Path("results")]).collection.results
    assert result.values["BPref"][0] == pytest.approx(theirs["bpref"])
    assert result.values["NDCG@10"][0] == pytest.approx(theirs["ndcg_cut_10"])


def test_a_relative_name_is_the_file_that_is_here_whatever_was_loaded_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, text in (("one", "the first"), ("other", "the second")):
        (tmp_path / folder).mkdir()
        row = {"query": text, "candidates": [{"doc_id": "d", "text": text, "label": 1}]}
        (tmp_path / folder / "mine.jsonl").write_text(json.dumps(row) + "\n")
    datasets.load(f"jsonl/{tmp_path / 'one' / 'mine.jsonl'}")
    monkeypatch.chdir(tmp_path / "other")
    assert datasets.load("jsonl/mine.jsonl").queries[0].text == "the second"
