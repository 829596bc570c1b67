"""A system that is asked for by a path: no file or page says where it is, and every way back finds it."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memeval import rerankers
from memeval.cli import app
from memeval.core import outside, results
from memeval.core.errors import PrerequisiteError
from memeval.datasets import download
from memeval.report import methods, reporting

MINE = """
from factor import FACTOR

class Made:
    scope = "pair"
    asked = 0

    def __init__(self):
        self.fingerprint = {"factor": FACTOR, "where": __file__}

    def score(self, query, memories):
        Made.asked += 1
        return [FACTOR * len(memory.text) for memory in memories]
"""
TREC = "hard-cases"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody's folder, and next to it the one where memeval is called."""
    for name, code in (("ann", MINE), ("ben", MINE.replace("from factor import FACTOR", "FACTOR = -1"))):
        folder = tmp_path / "private" / name
        folder.mkdir(parents=True)
        (folder / "mine.py").write_text(code)
    (tmp_path / "private" / "ann" / "factor.py").write_text("FACTOR = 1\n")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("MEMEVAL_DATA", raising=False)
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    monkeypatch.setattr(outside, "_names", {})
    forget()
    return tmp_path / "private"


def forget() -> None:
    import sys

    download._told.clear()
    for name in [name for name in sys.modules if name == "factor" or name.startswith("mine_")]:
        del sys.modules[name]


def memeval(*words: str, code: int = 0) -> str:
    forget()
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    assert done.exit_code == code, done.output
    return done.output


def run(*systems: str, code: int = 0, results: str = "results") -> str:
    asked = [word for system in systems for word in ("--system", system)]
    return memeval("run", *asked, "--results", results, "-o", "page.html", "-o", "page.json", "--quiet", code=code)


def trec(folder: Path, system: str = "bm25") -> Path:
    """A TREC run in somebody's folder."""
    run(system, results="first")
    memeval("report", "first", "--trec", "trec")
    [made] = [file for file in Path("trec").rglob("*.trec") if system in file.name] or list(
        Path("trec").rglob("*bm25*")
    )
    shutil.copy(made, folder / "run.trec")
    shutil.rmtree("first")
    return folder / "run.trec"


def nothing_private(*more: str) -> None:
    """No file below the working folder says where somebody's files are."""
    files = [file for file in Path().rglob("*") if file.is_file()]
    assert files
    for file in files:
        assert b"private" not in file.read_bytes(), file
    assert "private" not in "".join(more)


def system(kind: str, home: Path) -> str:
    if kind == "file":
        return f"file/{trec(home / 'ann')}"
    return f"python/{home / 'ann'}/mine.py:Made" if kind == "python" else f"rrf/bm25+file/{trec(home / 'ann')}"


@pytest.mark.parametrize("kind", ["file", "python", "rrf"])
def test_no_file_says_where_a_system_lies_and_every_way_back_works(
    kind: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = system(kind, home)
    told = run(name)
    shared = rerankers.address(name)
    assert "./" in shared and str(tmp_path) not in shared
    nothing_private(told, memeval("report"), memeval("plan", "--system", name), memeval("verify"))
    assert "done already" in memeval("plan", "--system", name)
    assert "NDCG@10" in memeval("compare", name, "random")
    [command] = [
        methods.command(row)
        for board, _ in reporting.read([Path("results")]).boards
        for row in board.rows
        if row.model == shared
    ]
    before = {file: file.read_bytes() for file in Path("results").rglob("*.run.jsonl")}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    memeval(*shlex.split(command)[1:], "--quiet", "-o", "x.json", "--results", "again")
    for file, content in before.items():
        assert next(Path("again").rglob(file.name)).read_bytes() == content


def test_two_of_one_name_stay_two(home: Path) -> None:
    names = [f"python/{home / who}/mine.py:Made" for who in ("ann", "ben")]
    told = run(*names)
    nothing_private(told)
    found = sorted(Path("results").rglob("python-*.json"))
    assert len(found) == 2
    assert results.read_result(found[0]).values != results.read_result(found[1]).values


def test_neighbours_of_one_name_are_not_mistaken_for_each_other(home: Path) -> None:
    shutil.copy(home / "ann" / "mine.py", home / "ben" / "mine.py")
    (home / "ben" / "factor.py").write_text("FACTOR = -1\n")
    told = run(*[f"python/{home / who}/mine.py:Made" for who in ("ann", "ben")], code=2)
    assert "another factor.py than its own is loaded: run it by itself" in told


def test_what_is_remembered_is_found_again_from_anywhere(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"python/{home / 'ann'}/mine.py:Made"
    run(name)
    shutil.rmtree("results")
    monkeypatch.chdir(tmp_path)
    assert "100%" in re.sub(r"\s+", " ", memeval("plan", "--system", name).split("python/")[1])


def test_errors_that_are_kept_say_no_place(home: Path) -> None:
    broken = home / "ann" / "broken.py"
    broken.write_text("raise ValueError(f'in {__file__}')\n")
    short = home / "ann" / "short.trec"
    short.write_text(trec(home / "ann").read_text().splitlines()[0] + "\n")
    run(f"python/{broken}:Made", f"file/{short}", f"file/{home / 'ann' / 'nowhere.trec'}", code=4)
    assert "nowhere.trec" in "".join(file.read_text() for file in Path("results").rglob("unavailable.json"))
    nothing_private()


def test_what_a_library_or_a_data_set_says_of_its_files_is_kept_without_their_place(home: Path) -> None:
    opens = home / "ann" / "opens.py"
    opens.write_text(
        f"class Made:\n def score(self, query, memories):\n"
        f"  if query.query_id < 'k': open({str(home / 'ann' / 'lexicon.txt')!r})\n  return [0.0] * len(memories)\n"
    )
    (home / "bad.jsonl").write_text("{}\n")
    Path("mine.toml").write_text(
        f'schema = 1\nname = "mine"\ndatasets = ["jsonl/{home / "bad.jsonl"}", "hard-cases"]\n'
        f'systems = [{{model = "python/{opens}:Made", name = "{home / "ann"}"}}, {{model = "bm25"}}]\n'
    )
    memeval("run", "mine.toml", "--results", str(home / "out"), "-o", "page.html", "-o", "page.json", "--quiet", code=4)
    Path("mine.toml").unlink()
    shutil.copytree(home / "out", "results")
    told = "".join(file.read_text() for file in Path().rglob("*.js*"))
    assert "No such file or directory: 'lexicon.txt'" in told and "bad.jsonl: 1 bad line" in told
    nothing_private()


def test_files_that_are_left_out_and_people_are_named_without_the_place(home: Path) -> None:
    for who in ("ann", "ben"):
        run("bm25", results=str(home / who / "results"))
    [edited] = (home / "ann").rglob("bm25.json")
    edited.write_text(edited.read_text().replace("0.", "0.1", 1))
    memeval("report", *(str(home / who / "results") for who in ("ann", "ben")), "-o", "page.html", "-o", "page.json")
    assert "ann-results/adhoc/hard-cases/bm25.json" in Path("page.json").read_text()
    assert "ben-results" in Path("page.html").read_text()
    nothing_private()


def test_a_model_folder_is_no_model_of_a_hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = home / "ann" / "gpt2"
    folder.mkdir()
    assert rerankers.address(f"transformers/{folder}") == "transformers/./gpt2"
    assert rerankers.address("transformers/gpt2") == "transformers/gpt2"
    at = home / "ann" / "gpt2@2"
    at.mkdir()
    named = rerankers.parse(rerankers.address(f"transformers/{at}"))
    assert (named.argument, named.revision) == ("./gpt2@2", None)


def test_a_server_may_have_paths_of_its_own(home: Path) -> None:
    assert rerankers.address("openai//models/m?url=http://h/v1") == "openai//models/m?url=http://h/v1"
    (home / "ann" / "m").mkdir()
    assert rerankers.address(f"openai/{home / 'ann' / 'm'}?url=http://h/v1") == "openai/./m?url=http://h/v1"
    assert rerankers.address(f"vllm-server/m?tokenizer={home / 'ann' / 'm'}") == "vllm-server/m?tokenizer=./m"


def test_a_system_that_is_not_here_says_what_to_pass(tmp_path: Path) -> None:
    from memeval import datasets

    with pytest.raises(PrerequisiteError, match=r"there is no \./gone\.trec here: .* name its whole path"):
        rerankers.load("file/./gone.trec", datasets.load("hard-cases"))


def test_suites_and_sweeps_and_gates_say_no_place_either(home: Path) -> None:
    path = trec(home / "ann")
    Path("mine.toml").write_text(
        f'schema = 1\nname = "mine"\ndatasets = ["hard-cases"]\nfirst_stage = "file/{path}"\n'
        f'systems = [{{model = "file/{path}"}}]\ngates = [{{system = "file/{path}"}}]\n'
    )
    memeval("run", "mine.toml", "--quiet", "-o", "x.json")
    memeval("check", "--baseline", "b.json", "--update", "--reason", "first")
    Path("mine.toml").unlink()
    nothing_private(memeval("check", "--baseline", "b.json"), memeval("verify"))


@pytest.mark.parametrize(
    ("system", "said"),
    [
        ("bm25?k1=nan", "k1 is from 0 to 1,000"),
        ("bm25?k1=-1", "k1 is from 0 to 1,000"),
        ("bm25?b=5", "b from 0 to 1"),
        ("rrf/bm25+random?constant=-1", "the constant is 0 or more"),
        ("openai/m?max_tokens=-1", "max_tokens is a number from 1"),
        ("openai/m?temperature=nan", "temperature is a number from 0"),
        ("openai/m?top_logprobs=-2", "top_logprobs is a number from 0"),
        ("rerank-api/m?url=http://127.0.0.1:1&documents=0", "documents is a number from 1"),
        ("rerank-api/m?url=http://127.0.0.1:1&tokens=-5", "tokens is a number from 1"),
    ],
)
def test_an_option_beyond_reason_is_refused_before_the_first_query(system: str, said: str) -> None:
    done = CliRunner().invoke(app, ["plan", "--dataset", "hard-cases", "--system", system], env={"COLUMNS": "300"})
    assert done.exit_code == 3 and said in done.stdout
