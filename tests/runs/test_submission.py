"""Three people measure, one of them cheats: the board joins what is honest, and names what is not."""

import bz2
import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import memeval as package
from memeval.cli import app
from memeval.core import archive, files, results
from memeval.core.types import canonical
from memeval.report import joining

PLUG = """
class {kind}:
    fingerprint = {{"kind": "{kind}"{more}}}
    def score(self, query, memories): return [{score} for memory in memories]
"""
SUITE = """
schema = 1
name = "board"
datasets = ["hard-cases"]
measures = ["NDCG@10", "MRR", "F1"]
systems = [
 {model = "first-stage"}, {model = "oracle"}, {model = "bm25"}, {name = "mine", model = "python/./plug.py:KIND"}
]
"""
PEOPLE = {
    "ann": ("Long", "float(len(memory.text))"),
    "bob": ("Short", "-float(len(memory.text))"),
    "cy": ("Late", "0.0"),
}
WORKFLOW = Path(package.__file__).parents[1] / ".github" / "workflows" / "board-example.yml"
GROUND = Path("board/hard-cases")


def memeval(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def measured(folder: Path, kind: str, score: str, more: str = "") -> None:
    (folder / "plug.py").write_text(PLUG.format(kind=kind, score=score, more=more))
    (folder / "board.toml").write_text(SUITE.replace("KIND", kind))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert memeval("run", "board.toml", "--quiet", "-o", "x.json")[0] == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    for who, (kind, score) in PEOPLE.items():
        (root / who).mkdir()
        measured(root / who, kind, score)
    return root


@pytest.fixture
def board(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path / "board")
    for who in PEOPLE:
        shutil.move(tmp_path / "board" / who / "results", tmp_path / "board" / f"{who}.results")
        shutil.rmtree(tmp_path / "board" / who)
        shutil.move(tmp_path / "board" / f"{who}.results", tmp_path / "board" / who)
    monkeypatch.chdir(tmp_path / "board")
    return tmp_path / "board"


def reported(*paths: str, page: bool = False) -> tuple[dict[str, Any], str]:
    """System → its row in the JSON report, and what was said."""
    outputs = ["-o", "r.json", *(["-o", "r.html", "--public", "--detail", "none"] if page else [])]
    code, _, told = memeval("report", *paths, *outputs)
    assert code == 0, told
    [one] = json.loads(Path("r.json").read_text())["leaderboards"]
    assert len(one["left_out"]) == told.count("left out: ")
    return {row["system"]: row for row in one["rows"]}, told


def test_equal_results_are_one_and_others_get_the_prefix_that_is_asked_for_once(board: Path) -> None:
    code, _, told = memeval("report", "ann", "bob", "cy", "-o", "r.json")
    assert code == 2 and told.count("\n") == 1
    assert "ann/board/hard-cases/mine.json and bob/board/hard-cases/mine.json both tell of 'mine'" in told
    remedy = told.split(": ")[-1].split()
    assert remedy == ["ann=ann", "bob=bob", "cy=cy"]
    rows, told = reported(*remedy, page=True)
    assert {name for name in rows if "mine" in name} == {"ann: mine", "bob: mine", "cy: mine"}
    assert {name: row["measured_by"] for name, row in rows.items()} == {
        **{name: list(PEOPLE) for name in ("bm25", "first-stage", "oracle")},
        **{f"{who}: mine": [who] for who in PEOPLE},
    }
    assert all(len(row["measured_on"]) == len("2026-11-27") for row in rows.values())
    page = Path("r.html").read_text()
    assert ">measured by<" in page and "<td>ann, bob, cy</td>" in page and "left out" not in page
    assert "measured by" not in (memeval("report", "ann", "-o", "r.md") and Path("r.md").read_text())


def test_folders_that_end_alike_are_told_apart_by_as_much_of_their_paths_as_differs(board: Path) -> None:
    for who in ("ann", "bob"):
        shutil.move(who, "moved")
        Path(who).mkdir()
        shutil.move("moved", f"{who}/results")
    told = memeval("report", "ann/results", "bob/results", "-o", "r.json")[2]
    assert told.rstrip().endswith("ann-results=ann/results bob-results=bob/results")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["one"], [""]),
        (["one", "two"], ["one", "two"]),
        ([".", "/srv/other"], ["results", "other"]),
        (["x", "./x"], ["x", "x"]),
        (["x/y/z", "y/z"], ["x-y-z", "y-z"]),
        (["z=x/y", "p/z", "q/z"], ["z", "p-z", "q-z"]),
    ],
    ids=" ".join,
)
def test_sources_are_called_by_as_little_of_their_paths_as_tells_them_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], told: list[str]
) -> None:
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path / "results")
    with joining.opened([*map(Path, given)]) as sources:
        assert [source.who for source in sources] == told


def test_for_what_folders_are_called_each_is_looked_at_twice_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends, looked = joining._ends, []
    monkeypatch.setattr(joining, "_ends", lambda source: looked.append(source) or ends(source))
    with joining.opened([Path(f"p{number}/deep/results") for number in range(60)]) as sources:
        assert len({source.who for source in sources}) == 60
    assert len(looked) == 120


def test_an_archive_holds_the_same_bytes_and_neither_labels_nor_texts(board: Path) -> None:
    for name in ("one", "two"):
        code, _, told = memeval("submit", "ann", "-o", f"{name}.tar.bz2")
        assert code == 0 and "4 runs in" in told and "verified" in told
    assert Path("one.tar.bz2").read_bytes() == Path("two.tar.bz2").read_bytes()
    (into := Path("into")).mkdir()
    names = archive.unpack(Path("one.tar.bz2"), into)
    assert not [name for name in names if "labels" in name] and "submission.json" in names
    told = json.loads((into / "submission.json").read_text())
    assert told["labels"] == {str(GROUND): results.labels_digest(results.read_labels("ann" / GROUND / "labels.jsonl"))}
    assert "Wharfedale" not in "".join((into / name).read_text() for name in names)


def test_a_board_of_archives_is_verified_and_built_as_the_workflow_says(board: Path) -> None:
    for who in PEOPLE:
        assert memeval("submit", who, "-o", f"submissions/{who}.tar.bz2")[0] == 0
        shutil.rmtree(who)
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["board"]["steps"]
    lines = [shlex.split(step["run"]) for step in steps if step.get("run", "").startswith("memeval ")]
    shown = []
    for _, *words in lines:  # as a shell would expand them
        code, out, told = memeval(
            *(
                one
                for word in words
                for one in (sorted(map(str, Path().glob(word))) or [word] if "*" in word else [word])
            )
        )
        assert code == 0 and "left out" not in told, told
        shown.append(out)
    assert [words[1] for words in lines] == ["verify", "report"] and "verified: 12 results" in shown[0]
    assert memeval("verify", "submissions")[1] == shown[0]
    assert {"ann: mine", "bob: mine", "cy: mine"} < reported("submissions")[0].keys()
    page = Path("board/index.html").read_text()
    assert all(f"{who}: mine" in page for who in PEOPLE) and "ann, bob, cy" in page


def edit(path: Path, change: Callable[[dict[str, Any]], None], *, sealed: bool) -> None:
    content = json.loads(path.read_text())
    change(content)
    if sealed:
        rest = {key: value for key, value in content.items() if key not in ("schema", "version", "digest")}
        content["digest"] = hashlib.sha256(canonical(rest)).hexdigest()
    path.write_text(json.dumps(content))


def better(content: dict[str, Any]) -> None:
    content["values"]["NDCG@10"] = [1.0] * len(content["values"]["NDCG@10"])


def higher(content: dict[str, Any]) -> None:
    content["measures"]["all"]["NDCG@10"][0] += 0.1


def edited_value(folder: Path) -> None:
    edit(folder / "mine.json", better, sealed=False)


def edited_value_with_a_digest_that_fits(folder: Path) -> None:
    edit(folder / "mine.json", better, sealed=True)


def edited_mean_with_a_digest_that_fits(folder: Path) -> None:
    edit(folder / "mine.json", higher, sealed=True)


def swapped_run(folder: Path) -> None:
    shutil.copy(folder / "oracle.run.jsonl", folder / "mine.run.jsonl")


def swapped_run_with_a_digest_that_fits(folder: Path) -> None:
    swapped_run(folder)
    digest = files.digest(folder / "mine.run.jsonl")
    edit(folder / "mine.json", lambda content: content["signature"].update(run_digest=digest), sealed=True)


def hidden_failures_with_a_digest_that_fits(folder: Path) -> None:
    edit(folder / "mine.json", lambda content: content["failures"].update(failed=7), sealed=True)


def run_left_away(folder: Path) -> None:
    edit(folder / "mine.json", better, sealed=True)
    (folder / "mine.run.jsonl").unlink()


def run_cut_short_with_a_digest_that_fits(folder: Path) -> None:
    run = folder / "mine.run.jsonl"
    run.write_bytes(b"".join(run.read_bytes().splitlines(keepends=True)[:-1]))
    edit(folder / "mine.json", better, sealed=True)
    edit(folder / "mine.json", lambda content: content["signature"].update(run_digest=files.digest(run)), sealed=True)


def memory_ranked_twice_with_a_digest_that_fits(folder: Path) -> None:
    run = folder / "mine.run.jsonl"
    head, first, *rest = run.read_text().splitlines(keepends=True)
    row = json.loads(first)
    row["doc_ids"] = row["doc_ids"][:1] * len(row["doc_ids"])
    run.write_text("".join([head, json.dumps(row) + "\n", *rest]))
    edit(folder / "mine.json", lambda content: content["signature"].update(run_digest=files.digest(run)), sealed=True)


def candidates_of_their_own(folder: Path) -> None:
    text = (folder / "candidates.jsonl").read_text().splitlines(keepends=True)
    row = json.loads(text[1])
    row["doc_ids"].reverse()
    (folder / "candidates.jsonl").write_text("".join([text[0], json.dumps(row) + "\n", *text[2:]]))


CHEATS = {
    memory_ranked_twice_with_a_digest_that_fits: "has no whole run beside it",
    run_left_away: "has no whole run beside it",
    run_cut_short_with_a_digest_that_fits: "it was edited|no whole run beside it|of its values",
    hidden_failures_with_a_digest_that_fits: "it tells of other failures than the run beside it",
    edited_value: "does not match its digest, it was edited",
    edited_value_with_a_digest_that_fits: "its NDCG@10 is not what the run beside it gives",
    edited_mean_with_a_digest_that_fits: "its mean or interval of NDCG@10 is not that of its values",
    swapped_run: "is not of the mine.run.jsonl beside it",
    swapped_run_with_a_digest_that_fits: "is not what the run beside it gives",
}


def test_candidates_that_somebody_altered_leave_nothing_to_rely_on(board: Path) -> None:
    assert memeval("submit", "cy", "-o", "cy.tar.bz2")[0] == 0
    forge(Path("cy.tar.bz2"), lambda folder: candidates_of_their_own(folder / GROUND))
    assert memeval("verify", "cy.tar.bz2")[0] == 1
    rows, told = reported("ann=ann", "cy.tar.bz2")
    assert "mine" in rows and told.count("has no candidates beside it") == 4


@pytest.mark.parametrize(("cheat", "why"), CHEATS.items(), ids=[cheat.__name__ for cheat in CHEATS])
def test_what_somebody_altered_is_named_left_out_and_counted(
    board: Path, cheat: Callable[[Path], None], why: str
) -> None:
    cheat("cy" / GROUND)
    rows, told = reported("ann=ann", "bob=bob", "cy=cy")
    assert {"ann: mine", "bob: mine"} < rows.keys() and "cy: mine" not in rows
    assert told.count("left out: cy/board/hard-cases/mine.json: ") == 1 and re.search(why, told)
    assert [*json.loads(Path("r.json").read_text())["leaderboards"][0]["left_out"]] == [f"cy/{GROUND}/mine.json"]
    code, shown, said = memeval("submit", "cy", "-o", "cy.tar.bz2")
    assert code == 1 and "mine" in shown and "nothing was written" in said and not Path("cy.tar.bz2").exists()


@pytest.mark.parametrize(("cheat", "why"), CHEATS.items(), ids=[cheat.__name__ for cheat in CHEATS])
def test_an_archive_that_was_made_by_hand_is_verified_again(
    board: Path, cheat: Callable[[Path], None], why: str
) -> None:
    assert memeval("submit", "cy", "-o", "cy.tar.bz2")[0] == 0
    forge(Path("cy.tar.bz2"), lambda folder: cheat(folder / GROUND))
    code, shown, _ = memeval("verify", "cy.tar.bz2")
    assert code == 1 and shown.startswith("cy.tar.bz2/board/hard-cases") and "mine" in shown
    rows, told = reported("ann=ann", "bob=bob", "cy.tar.bz2")
    assert "cy: mine" not in rows and f"left out: cy.tar.bz2/{GROUND}/mine.json: " in told and re.search(why, told)


def forge(
    path: Path, change: Callable[[Path], None], *, told: bool = True, more: Mapping[str, bytes] = MappingProxyType({})
) -> None:
    """An archive with other files in it, and where it is to be believed, with their digests."""
    folder = path.with_name("forged")
    folder.mkdir()
    names = archive.unpack(path, folder)
    change(folder)
    if told:
        digests = {
            name: files.digest(folder / name)
            for name in names
            if name != "submission.json" and (folder / name).is_file()
        }
        edit(folder / "submission.json", lambda content: content.update(files=digests), sealed=False)
    content = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
    path.write_bytes(bz2.compress(archive.packed({**content, **more})))
    shutil.rmtree(folder)


def test_an_archive_that_holds_another_file_than_it_says_is_left_out_whole(board: Path) -> None:
    assert memeval("submit", "cy", "-o", "cy.tar.bz2")[0] == 0
    forge(Path("cy.tar.bz2"), lambda folder: swapped_run(folder / GROUND), told=False)
    rows, told = reported("ann=ann", "bob=bob", "cy.tar.bz2")
    assert "cy: mine" not in rows and told.count("left out") == 1
    assert "cy.tar.bz2: holds another 'board/hard-cases/mine.run.jsonl'" in told.replace("left out: ", "")
    code, shown, _ = memeval("verify", "cy.tar.bz2")
    assert code == 1 and "holds another" in shown


def other_labels(folder: Path) -> None:
    """All that he found first is relevant, and everything is measured by that."""
    path, mine = folder / "labels.jsonl", folder / "mine.run.jsonl"
    tops = {row["query_id"]: row["doc_ids"][0] for row in map(json.loads, mine.read_text().splitlines()[1:])}
    head, *rows = map(json.loads, path.read_text().splitlines())
    rows = [row | {"grades": {tops[row["query_id"]]: 1}, "forbidden": []} for row in rows]
    path.write_bytes(b"".join(map(canonical, [head, *rows])))

    def ones(content: dict[str, Any]) -> None:
        better(content)
        content["values"]["MRR"] = content["values"]["NDCG@10"]
        for row in content["measures"].values():
            for name in ("NDCG@10", "MRR"):
                row[name][:3] = [1.0, 1.0, 1.0]

    edit(folder / "mine.json", ones, sealed=True)


def test_other_labels_are_known_beside_those_of_others_and_by_the_data_set(board: Path) -> None:
    other_labels("cy" / GROUND)
    rows, told = reported("ann=ann", "bob=bob", "cy=cy", page=True)
    assert "<dt>left out</dt><dd>4</dd>" in Path("r.html").read_text()
    assert "cy: mine" not in rows and told.count("left out: cy/board/hard-cases/") == 4
    assert "its labels are not those of the data set" in told
    code, shown, _ = memeval("verify", "cy")
    assert code == 1 and "labels.jsonl: does not hold the labels of the data set" in shown
    assert memeval("submit", "cy", "-o", "cy.tar.bz2")[0] == 1


def test_labels_that_cannot_be_read_spoil_no_others(board: Path) -> None:
    path = "cy" / GROUND / "labels.jsonl"
    path.write_text(path.read_text() + "{")
    rows, told = reported("ann=ann", "bob=bob", "cy=cy")
    assert "cy: mine" not in rows and told.count("the labels beside it cannot be read (cy/board/") == 4


def test_an_archive_that_brings_labels_is_refused(board: Path) -> None:
    assert memeval("submit", "cy", "-o", "cy.tar.bz2")[0] == 0
    forge(Path("cy.tar.bz2"), lambda folder: None, more={f"{GROUND}/labels.jsonl": b"{}"})
    code, shown, _ = memeval("verify", "cy.tar.bz2")
    assert code == 1 and "holds 'board/hard-cases/labels.jsonl', which no submission has" in shown


def test_an_archive_of_other_labels_is_known_by_their_digest(board: Path) -> None:
    assert memeval("submit", "cy", "-o", "cy.tar.bz2")[0] == 0
    false = {"labels": {str(GROUND): "0" * 64}}
    forge(
        Path("cy.tar.bz2"),
        lambda folder: edit(folder / "submission.json", lambda told: told.update(false), sealed=False),
    )
    code, shown, _ = memeval("verify", "cy.tar.bz2")
    assert code == 1
    assert "cy.tar.bz2/board/hard-cases: was measured by other labels than those of hard-cases here" in shown


def test_who_says_that_he_was_trained_on_the_test_data_is_marked_and_not_recommended(
    board: Path, tmp_path: Path
) -> None:
    """An honest cheat: his scores are the answers, and his own fingerprint says what he was trained on."""
    path = tmp_path / "taught"
    path.mkdir()
    measured(path, "Taught", "0.0", ', "trained_on": ["locomo", "hard-cases"]')
    assert memeval("verify", str(path / "results"))[0] == 0
    rows, _ = reported("ann=ann", f"cy={path / 'results'}", page=True)
    page = Path("r.html").read_text()
    assert "cy: mine" in rows and '<span class="chip warn">trained on this</span>' in page
    assert "cy: mine is said to have been trained on hard-cases: its row shows what it kept." in page
    assert page.count("trained on this</span>") == page.count('cy: mine<span class="chips">')
    assert "Take cy: mine" not in page


def test_what_cannot_be_submitted_is_one_line(board: Path) -> None:
    for words, said in (
        (("submit", "ann"), "-o FILE is missing: an archive called after yourself"),
        (("submit", "ann", "-o", "ann.zip"), "ann.zip: name an archive after yourself, as in ann.tar.bz2"),
        (("submit", "nowhere", "-o", "ann.tar.bz2"), "nowhere: no such file or folder"),
        (("report", "who=nowhere"), "nowhere: no such file or folder"),
    ):
        code, _, told = memeval(*words)
        assert code == 2 and said in told and told.count("\n") == 1


def suite_of(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "board" / "suite.json"
        content = json.loads(path.read_text())
        content["suite"]["datasets"] = [name]
        content["digest"] = hashlib.sha256(canonical(content["suite"])).hexdigest()
        path.write_text(json.dumps(content))

    return change


def bomb(folder: Path) -> None:
    (folder / GROUND / "mine.run.jsonl").write_text("[" * 100_000)


def nothing(folder: Path) -> None:
    for path in folder.rglob("*.json*"):
        path.write_bytes(path.read_bytes() if path.name == "submission.json" else b"")


HOSTILE = {
    "a place": (suite_of("jsonl//etc/passwd"), "suite.json: names the data set 'jsonl//etc/passwd' by a place"),
    "a place above": (suite_of("beir/a/../../b"), "suite.json: names the data set 'beir/a/../../b' by a place"),
    "another data set": (suite_of("constant"), "suite.json: datasets[0].name: unknown data set 'constant'"),
    "a run that is deep": (bomb, "mine.run.jsonl: line 1: is no JSON"),
    "empty files": (nothing, "suite.json: is no JSON"),
}


@pytest.mark.parametrize(("change", "why"), HOSTILE.values(), ids=HOSTILE)
def test_an_archive_that_means_harm_is_told_by_its_own_names(
    board: Path, change: Callable[[Path], None], why: str
) -> None:
    assert memeval("submit", "cy", "-o", "cy.tar.bz2")[0] == 0
    forge(Path("cy.tar.bz2"), change)
    code, shown, told = memeval("verify", "cy.tar.bz2")
    assert code == 1 and why in shown and "cy.tar.bz2/board/" in shown and not told
    assert "memeval-" not in shown.replace("longmemeval-", "") and "Traceback" not in shown
    assert memeval("report", "ann", "cy.tar.bz2", "-o", "r.md")[0] in (0, 2)
