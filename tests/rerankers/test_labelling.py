"""Labels by judges: pools, votes over the real wire, the folder that comes of it, and how tables mark it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakes
import pytest
from typer.testing import CliRunner
from wire import Answer, Asked, Wire

from memeval import datasets
from memeval.cli import app
from memeval.core import results
from memeval.core.errors import DataError
from memeval.runs.labelling import Vote, levels

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
ROOT = Path(__file__).parents[2]
OPENAI, GEMINI = "openai/m", "gemini/m"
MEMORIES = {"a": "tea at four rel=1", "b": "tea is hot rel=.5", "c": "coffee rel=0", "d": "tea again rel=.25"}
QUESTION = {"query_id": "q1", "query": "when is tea", "store_id": "s", "context": ["hello"], "asked_at": "2024-05-01"}


def data(folder: Path, **query: Any) -> str:
    """A file of one store and one query, to be labelled."""
    memories = [{"doc_id": name, "text": text, "speaker": "Ann"} for name, text in MEMORIES.items()]
    rows = [{"store_id": "s", "memories": memories}, QUESTION | query]
    (folder / "mine.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return f"jsonl/{folder / 'mine.jsonl'}"


def label(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["label", *words, "--quiet"])
    assert done.exit_code == code, done.output
    return done.output


def speak(asked: Asked) -> Answer:
    service = "openai" if "messages" in asked.body else "gemini"
    return fakes.SPEAKERS[service](fakes.ideal(asked), "stop")


def test_the_folder_is_a_data_set_that_says_who_labelled_it(tmp_path: Path, serve: Callable[..., Wire]) -> None:
    server = serve(speak)
    out = tmp_path / "labelled"
    words = [data(tmp_path), "--judge", OPENAI, "--judge", GEMINI, "--depth", "2", "-o", str(out)]
    told = label(*words, "--system", "bm25", "--system", "random")
    found = datasets.load(f"beir/{out}")
    assert found.judges == (OPENAI, GEMINI)
    assert "Labels by judges, not by people: openai/m, gemini/m" in found.rules[-1]
    wanted = {"a": 4, "b": 2, "c": 0, "d": 1}
    assert found.qrels["q1"] == {doc_id: wanted[doc_id] for doc_id in found.qrels["q1"]}
    assert len(server.asked) == 2 * len(found.qrels["q1"]) <= 2 * 4
    assert found.queries == datasets.load(data(tmp_path)).queries
    assert found.stores == datasets.load(data(tmp_path)).stores
    card = results.read_judged(out / "judged.json")
    assert (card.systems, card.depth, card.pairs, card.missing) == (("bm25", "random"), 2, len(found.qrels["q1"]), 0)
    assert card.judges[0].prompt.startswith("graded-five-levels-1-")
    assert card.judges[0].answered == {"gpt-4o-mini-2024-07-18": card.pairs}
    assert [(row.first, row.second, row.same) for row in card.agreement] == [(OPENAI, GEMINI, 1.0)]
    assert "openai/m and gemini/m" in told
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    label(*words, "--system", "bm25", "--system", "random")
    assert len(server.asked) == 2 * card.pairs
    assert before == {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}


def test_ids_that_a_spreadsheet_would_run_are_text_in_the_file_and_themselves_when_it_is_read(
    tmp_path: Path, serve: Callable[..., Wire]
) -> None:
    serve(speak)
    odd = ["=HYPERLINK(1)", "'=1", "+4;=2", "plain"]
    rows = [
        {"store_id": "s", "memories": [{"doc_id": one, "text": "tea rel=1"} for one in odd]},
        {"query_id": "@q", "query": "when is tea", "store_id": "s"},
    ]
    (tmp_path / "odd.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    out = tmp_path / "labelled"
    label(f"jsonl/{tmp_path / 'odd.jsonl'}", "--judge", OPENAI, "--system", "random", "-o", str(out))
    assert datasets.load(f"beir/{out}").qrels == {"@q": dict.fromkeys(odd, 4)}
    cells = [line.split("\t") for line in (out / "qrels/test.tsv").read_text().splitlines()[1:]]
    assert sorted(cells) == [["'@q", one, "4"] for one in sorted(["'=HYPERLINK(1)", "''=1", "'+4;'=2", "plain"])]
    (out / "judged.json").unlink()  # a folder of somebody else's means what it says
    with pytest.raises(DataError, match="@q"):
        datasets.load(f"beir/{out}")


def test_labels_are_medians_and_two_middle_votes_give_the_lower() -> None:
    def votes(*told: int | None) -> dict[tuple[str, str], int]:
        return levels(
            [Vote("q", "d", str(n), level, "ok" if level is not None else "failed") for n, level in enumerate(told)]
        )

    assert votes(4, 1) == {("q", "d"): 1}
    assert votes(0, 4, 3) == {("q", "d"): 3}
    assert votes(None, 4) == {("q", "d"): 4}
    assert votes(None, None) == {}


def test_a_failure_is_no_vote_and_the_other_judges_count(tmp_path: Path, serve: Callable[..., Wire]) -> None:
    def rule(asked: Asked) -> Answer:
        if "messages" in asked.body and "coffee" in json.dumps(asked.body):
            return fakes.openai("", "refused")
        if "hot" in json.dumps(asked.body):
            return fakes.SPEAKERS["openai" if "messages" in asked.body else "gemini"]("no idea", "stop")
        return speak(asked)

    serve(rule)
    out = tmp_path / "labelled"
    told = label(
        data(tmp_path),
        "--judge",
        OPENAI,
        "--judge",
        GEMINI,
        "--depth",
        "4",
        "--system",
        "random",
        "-o",
        str(out),
        code=4,
    )
    assert datasets.load(f"beir/{out}").qrels["q1"] == {"a": 4, "c": 0, "d": 1}
    votes = {
        (row["judge"], row["doc_id"]): row for row in map(json.loads, (out / "votes.jsonl").read_text().splitlines())
    }
    assert len(votes) == 8
    assert (votes[OPENAI, "c"]["status"], votes[OPENAI, "c"]["level"]) == ("refused", None)
    assert (votes[GEMINI, "b"]["status"], votes[GEMINI, "c"]["level"]) == ("unparsable", 0)
    card = results.read_judged(out / "judged.json")
    assert (card.missing, card.unlabelled, card.judges[0].statuses) == (3, 1, {"ok": 2, "refused": 1, "unparsable": 1})
    assert "1 pairs have no vote" in told and "3 of 8 votes are missing" in datasets.load(f"beir/{out}").rules[-1]


def test_labels_are_held_against_those_of_people(tmp_path: Path, serve: Callable[..., Wire]) -> None:
    serve(speak)
    name, out = data(tmp_path, labels={"a": 1, "b": 0, "c": 0}), tmp_path / "labelled"
    label(name, "--judge", OPENAI, "--depth", "4", "--system", "random", "-o", str(out))
    [found] = results.read_judged(out / "judged.json").agreement
    assert (found.first, found.second, found.pairs, found.same) == (OPENAI, "people", 3, pytest.approx(2 / 3))


def test_labels_of_people_may_be_fractions(tmp_path: Path, serve: Callable[..., Wire]) -> None:
    serve(speak)
    name, out = data(tmp_path, labels={"a": 0.9, "b": 0.5, "c": 0, "d": 0.25}), tmp_path / "labelled"
    label(name, "--judge", OPENAI, "--depth", "4", "--system", "random", "-o", str(out))
    [found] = results.read_judged(out / "judged.json").agreement
    assert (found.pairs, found.same, found.rank) == (4, 1.0, None)
    assert '"rank"' not in (out / "judged.json").read_text()


def test_the_budget_stops_the_work_and_more_money_goes_on_with_it(tmp_path: Path, serve: Callable[..., Wire]) -> None:
    server, out = serve(speak), tmp_path / "labelled"
    words = [
        data(tmp_path),
        "--judge",
        f"{OPENAI}?price=1000/1000-calls&in_flight=1",
        "--system",
        "random",
        "-o",
        str(out),
    ]
    told = label(*words, "--max-cost", "2", code=4)
    assert len(server.asked) == 2 and "spent 2.0000 USD" in told
    assert not (out / "qrels").exists()
    assert "2 calls" in label(*words, "--plan") and "2 pairs remembered" in label(*words, "--plan")
    assert len(server.asked) == 2
    label(*words, "--max-cost", "2")
    assert len(server.asked) == 4


def test_what_was_answered_before_a_kill_is_not_asked_again(tmp_path: Path, serve: Callable[..., Wire]) -> None:
    victim: list[int] = []
    seen: list[str] = []

    def rule(asked: Asked) -> Answer:
        seen.append(fakes.given(asked)["Memory"])
        if len(seen) == 3 and victim:
            os.kill(victim.pop(), signal.SIGKILL)
        return speak(asked)

    server, out = serve(rule), tmp_path / "labelled"
    judge = f"openai/m?url={server.url}/v1&key_from=none&in_flight=1"
    words = ["label", data(tmp_path), "--judge", judge, "--system", "random", "-o", str(out), "--quiet"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MEMEVAL_CACHE": str(tmp_path / "cache")}

    def run(kill: bool) -> int:
        process = subprocess.Popen([sys.executable, "-m", "memeval", *words], env=env, stdout=subprocess.DEVNULL)
        victim[:] = [process.pid] if kill else []
        return process.wait(timeout=120)

    assert run(kill=True) == -signal.SIGKILL
    assert not (out / "qrels").exists()
    assert run(kill=False) == 0
    assert len(seen) == 5 and len(set(seen)) == 4
    assert datasets.load(f"beir/{out}").qrels["q1"] == {"a": 4, "b": 2, "c": 0, "d": 1}


def test_tables_say_whose_labels_they_are_and_mark_a_judge_on_its_own(
    tmp_path: Path, serve: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(speak)
    out = tmp_path / "labelled"
    label(data(tmp_path), "--judge", OPENAI, "--system", "random", "-o", str(out))
    judged, people = f"beir/{out}", tmp_path / "people"
    for file in (*out.glob("*.jsonl"), out / "qrels" / "test.tsv"):
        (people / file.relative_to(out)).parent.mkdir(parents=True, exist_ok=True)
        (people / file.relative_to(out)).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    words = [
        "run",
        "--dataset",
        judged,
        "--dataset",
        f"beir/{people}",
        "--system",
        "openai/m?logprobs=false",
        "--quiet",
    ]
    serve(lambda asked: fakes.openai(fakes.ideal(asked)))
    done = CliRunner().invoke(app, [*words, "-o", "x.md", "-o", "x.csv", "-o", "x.html", "-o", "x.tex"])
    assert done.exit_code == 0, done.output
    assert "beir/labelled (labels by openai/m)" in done.output and "Labels by judges, not by people" in done.output
    assert done.output.count("is circular and shows nothing") == 1
    for name in ("x.md", "x.csv", "x.html", "x.tex"):
        assert "labels by openai/m" in (tmp_path / name).read_text(), name
    assert "(circular)" in (tmp_path / "x.md").read_text()
    assert datasets.load(judged).digest != datasets.load(f"beir/{people}").digest


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--judge", "bm25"], "'bm25' is no judge: name a chat model"),
        (["--judge", "openai/m?mode=listwise"], "leave mode out"),
        (["--judge", "openai/m", "--judge", "openai/m"], "stands twice"),
        (["--judge", "openai/m", "--system", "oracle"], "'oracle' is a control"),
        (["--judge", "openai/m", "--system", "openai/m"], "calls a service for every memory"),
        (["--judge", "openai/m", "-o", "."], "holds something that `memeval label` did not write"),
    ],
)
def test_what_cannot_be_is_one_line_and_nobody_is_asked(
    words: list[str], message: str, tmp_path: Path, serve: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(speak)
    monkeypatch.chdir(tmp_path)
    told = label(data(tmp_path), *([] if "-o" in words else ["-o", "out"]), *words, code=2)
    assert message in told and not server.asked


def test_a_broken_card_is_refused_rather_than_taken_for_people(tmp_path: Path, serve: Callable[..., Wire]) -> None:
    serve(speak)
    out = tmp_path / "labelled"
    label(data(tmp_path), "--judge", OPENAI, "-o", str(out))
    (out / "judged.json").write_text("{}")
    with pytest.raises(Exception, match=r"judged\.json: is no memeval judged file"):
        datasets.load(f"beir/{out}")
