"""Workers of Ray: the same bytes as one process, whoever dies in the middle of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memeval.core.errors import PrerequisiteError
from memeval.core.store import ScoreCache
from memeval.core.types import Dataset, Query, Ranking
from memeval.measures import latency
from memeval.rerankers.hosted.terms import Terms
from memeval.runs import benchmark, suite
from memeval.runs import cluster as clusters
from memeval.runs.cluster import Cluster
from memeval.runs.progress import Watcher
from memeval.runs.shift import LostError, Shift
from memeval.runs.worker import Worker

os.environ.update({name: value for name, value in clusters.QUIET.items() if name not in os.environ})
ray = pytest.importorskip("ray", reason="ray is not installed: its extra is called `ray`")

MODELS = '''
import os, time, zlib
from pathlib import Path
from memeval.core.types import Scored

HERE = Path(__file__).parent

def note(*words):
    with open(HERE / "asked.txt", "a") as file:
        file.write(" ".join(map(str, (os.getpid(), *words))) + "\\n")

class Rounding:
    """Its scores move with how much is asked at once, as those of models do in their last digits."""
    scope, window, fingerprint = "pair", 8, {"v": "1"}

    def score(self, query, memories):
        [(_, scored)] = self.score_many([(query, memories)])
        return scored.scores

    def score_many(self, requests):
        asked = list(requests)
        note(*(query.query_id for query, _ in asked))
        time.sleep(0.005)
        while (HERE / "hold").exists():
            time.sleep(0.01)
        pairs = sum(len(memories) for _, memories in asked)
        for place, (query, memories) in enumerate(asked):
            if zlib.crc32(query.text.encode()) % 50 == 0:
                raise ValueError(f"cannot read {query.query_id}")
            yield place, Scored([zlib.crc32((query.text + m.text).encode()) / 2**32 + pairs * 1e-9 for m in memories])

class Another(Rounding):
    """One of its own."""
    fingerprint = {"v": "another"}

class Prepared:
    """Prepares each store."""
    scope, fingerprint = "pair", {"v": "prepared"}

    def index(self, memories):
        note("index", zlib.crc32(" ".join(memory.text for memory in memories).encode()))
        self.known = {memory.text for memory in memories}

    def score(self, query, memories):
        time.sleep(0.002)
        assert {memory.text for memory in memories} <= self.known
        return [len(memory.text) % 11 for memory in memories]

class Deadly(Rounding):
    """Takes its process with it, at one query."""
    fingerprint = {"v": "deadly"}

    def score_many(self, requests):
        asked = list(requests)
        if any(zlib.crc32(query.text.encode()) % 9 == 0 for query, _ in asked):
            os._exit(1)
        return super().score_many(asked)

class Elsewhere(Rounding):
    """Another one in every process."""

    @property
    def fingerprint(self):
        return {"process": os.getpid()}

class Unsaid(Rounding):
    """Does not say what its scores depend on."""
    fingerprint = None
'''


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of two machines, as far as Ray is concerned, with a processor each."""
    from ray.cluster_utils import Cluster as Machines

    args = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": clusters.STORE}
    machines = Machines(initialize_head=True, head_node_args={**args, "include_dashboard": False})
    machines.add_node(**args)
    yield machines
    machines.shutdown()


@pytest.fixture
def cluster(nodes: Any) -> Iterator[Cluster]:
    with clusters.joined(nodes.address) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "spread_over_workers.py").write_text(MODELS)
    return tmp_path


def planned(folder: Path, *factories: str) -> suite.Suite:
    return of(
        *(
            {"name": factory.lower(), "model": f"python/{folder}/spread_over_workers.py:{factory}"}
            for factory in factories
        )
    )


def of(*systems: dict[str, Any]) -> suite.Suite:
    content = {"schema": 1, "name": "spread", "datasets": ["hard-cases"], "depth": 10, "systems": list(systems)}
    return suite.make(content, "test")


def run(
    plan: suite.Suite, into: Path, cluster: Cluster | None, advance: Callable[[int], None] = lambda done: None
) -> benchmark.Report:
    """Runs a suite with a cache of its own; `advance` is told how many queries are done."""
    told: list[str] = []
    done = [0]

    def advanced(ranking: Ranking | None) -> None:
        done[0] += ranking is not None
        advance(done[0])

    watcher = Watcher(step=told.append, advance=advanced, notice=told.append)
    into.mkdir(exist_ok=True)
    with ScoreCache(into / "scores.sqlite") as cache:
        [report] = benchmark.run(plan, into, cache=cache, watcher=watcher, cluster=cluster)
    (into / "told.txt").write_text("\n".join(told))
    return report


def written(report: benchmark.Report) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(report.folder.iterdir()) if ".times." not in path.name}


def asked(folder: Path) -> list[list[str]]:
    """(process, words) of each line that models have noted."""
    file = folder / "asked.txt"
    lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


def test_workers_leave_the_bytes_of_one_process_failures_windows_and_fusions_included(
    folder: Path, cluster: Cluster
) -> None:
    models = f"python/{folder}/spread_over_workers.py:"
    plan = of(
        {"name": "fused", "model": f"rrf/bm25+{models}Another"},
        {"name": "rounding", "model": f"{models}Rounding"},
        {"name": "prepared", "model": f"{models}Prepared"},
    )
    plain = run(plan, folder / "plain", None)
    alone = asked(folder)
    spread = run(plan, folder / "spread", cluster)
    assert written(spread) == written(plain)
    lines = asked(folder)
    assert sorted(words for _, *words in lines if words[0] != "index") == sorted(
        words for _, *words in alone if words[0] != "index"
    )
    processes = {process for process, *_ in lines}
    assert str(os.getpid()) not in processes
    assert len(processes) == 6  # two for each system
    # A store is prepared by the one worker that has it, but where the last ones are shared.
    prepared = [words[1] for _, *words in lines if words[0] == "index"]
    assert len(prepared) <= len(set(prepared)) + 2
    assert not plain.unavailable


def test_seconds_are_those_of_the_worker_and_it_is_told_that_there_were_several(folder: Path, cluster: Cluster) -> None:
    report = run(planned(folder, "Rounding"), folder / "spread", cluster)
    times = latency.read(report.folder / "rounding.times.jsonl")
    assert times is not None
    assert times.machine.device is not None
    assert times.machine.device.endswith("; 2 workers at a time")
    assert times.latency is not None
    assert times.latency.n > 80
    assert times.latency.p50 is not None
    assert times.latency.p50 >= 0.005
    assert times.batches


@pytest.mark.parametrize("victim", ["a worker", "a node"])
def test_what_dies_in_mid_run_loses_nothing_and_scores_nothing_twice(
    victim: str, folder: Path, nodes: Any, cluster: Cluster
) -> None:
    plan = planned(folder, "Rounding")
    plain = run(plan, folder / "plain", None)
    alone = sorted(words for _, *words in asked(folder))
    node = nodes.list_all_nodes()[-1]

    def kill(done: int) -> None:
        if done == 30 and victim == "a worker":
            os.kill(int((folder / "asked.txt").read_text().split()[0]), signal.SIGKILL)
        elif done == 30:
            (folder / "hold").touch()  # else all would be over before anybody knows of the death
            nodes.remove_node(node, allow_graceful=False)
            try:
                wait_for(lambda: sum(one["Alive"] for one in ray.nodes()) == 1)
            finally:
                (folder / "hold").unlink()

    try:
        spread = run(plan, folder / "spread", cluster, kill)
    finally:
        if victim == "a node":
            nodes.add_node(num_cpus=1, node_ip_address="127.0.0.1", object_store_memory=clusters.STORE)
    assert written(spread) == written(plain)
    found = sorted(words for _, *words in asked(folder))
    again = len(found) - len(alone)
    assert again <= 2  # what was lost with the worker alone
    assert [words for words in found if words not in alone] == []
    assert "is asked again" in (folder / "spread" / "told.txt").read_text()


def test_a_run_whose_driver_was_killed_goes_on_with_workers_or_without(
    folder: Path, nodes: Any, cluster: Cluster
) -> None:
    plan = planned(folder, "Rounding")
    plain = run(plan, folder / "plain", None)
    asked(folder)
    toml = folder / "spread.toml"
    toml.write_text(
        'schema = 1\nname = "spread"\ndatasets = ["hard-cases"]\ndepth = 10\n\n[[systems]]\nname = "rounding"\n'
        f'model = "python/{folder}/spread_over_workers.py:Rounding"\n'
    )
    into = folder / "spread"
    into.mkdir()
    environment = {**os.environ, "MEMEVAL_CACHE": str(into)}
    command = [sys.executable, "-m", "memeval", "run", str(toml), "--ray", nodes.address]
    command += ["--results", str(into), "-o", str(folder / "r.md"), "--quiet"]
    process = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
    file = into / "spread" / "hard-cases" / "rounding.run.jsonl.partial"
    wait_for(lambda: process.poll() is not None or (file.is_file() and file.read_bytes().count(b"\n") > 60))
    process.kill()
    process.wait()
    before = {word for _, *words in asked(folder) for word in words}
    assert 60 < len(before) < 240
    copied = folder / "copy"
    subprocess.run(["cp", "-r", str(into), str(copied)], check=True)
    assert written(run(plan, into, None)) == written(plain)
    again = [word for _, *words in asked(folder) for word in words if word in before]
    assert len(again) <= 16 + 5  # what was with two workers, and the queries that had failed
    assert written(run(plan, copied, cluster)) == written(plain)


def wait_for(true: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("factory", "why"),
    [
        ("Deadly", "3 workers have died at the query"),
        ("Elsewhere", "is another on a node of the cluster than here (process)"),
    ],
)
def test_a_system_that_workers_cannot_run_is_one_line(folder: Path, cluster: Cluster, factory: str, why: str) -> None:
    report = run(planned(folder, factory), folder / "spread", cluster)
    [error] = report.unavailable.values()
    assert why in str(error)
    assert "\n" not in str(error)
    assert error.exit_code == 3


def test_what_ray_has_to_say_of_workers_does_not_reach_stdout(nodes: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def says() -> str:
        told = {"lines": ["A worker died."], "pid": "raylet", "is_err": False}
        ray._private.worker.print_to_stdstream(told, ignore_prefix=False)
        return capsys.readouterr().out

    with clusters.joined(nodes.address):
        assert says() == ""
    assert "A worker died." in says()


def test_no_room_for_a_worker_is_one_line(folder: Path, cluster: Cluster) -> None:
    plan = of({"name": "big", "model": f"python/{folder}/spread_over_workers.py:Rounding", "worker": {"cpus": 64}})
    report = run(plan, folder / "spread", cluster)
    [error] = report.unavailable.values()
    assert str(error) == "big: no node of the cluster has 64 CPUs and 0 GPUs for a worker"
    assert error.exit_code == 3


def test_the_room_of_a_worker_stands_in_the_suite(folder: Path, cluster: Cluster) -> None:
    assert "worker" not in suite.values(planned(folder, "Rounding"))["systems"][0]
    plan = of({"model": f"python/{folder}/spread_over_workers.py:Rounding", "worker": {"most": 1}})
    assert suite.values(plan)["systems"][0]["worker"] == {"cpus": 1, "gpus": None, "most": 1}
    run(plan, folder / "spread", cluster)
    assert len({process for process, *_ in asked(folder)}) == 1


def test_what_does_not_say_what_its_scores_depend_on_is_not_spread_and_that_is_told(
    folder: Path, cluster: Cluster
) -> None:
    run(planned(folder, "Unsaid"), folder / "spread", cluster)
    assert {process for process, *_ in asked(folder)} == {str(os.getpid())}
    assert "unsaid: is not spread over workers: it has no fingerprint" in (folder / "spread/told.txt").read_text()


@pytest.mark.parametrize("name", ["openai/m?price=0", "rrf/bm25+gpt-4o-mini", "bm25", "oracle"])
def test_services_and_what_costs_nothing_stay_in_one_process(
    name: str, cluster: Cluster, garden: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    scorer = benchmark.load_scorer(name, garden, None, Terms())
    [entry] = of({"model": name}).systems
    assert cluster.crew(scorer, lambda **told: scorer, entry, None, Watcher()) is None


def test_queries_of_the_same_words_are_never_with_two_workers_at_a_time() -> None:
    tasks = [[Query("q1", "a", "ann")], [Query("q2", "a", "ann")], [Query("q3", "b", "bob")], [Query("q4", "a", "ann")]]
    shift = Shift(tasks, lambda scorer, number: number, "x")
    one, other = (Worker(None, suite.Room(), 0, shift.free, print) for _ in range(2))  # type: ignore[arg-type]
    assert shift.take(one) == 0
    assert shift.take(other) == 2
    lost = LostError("gone")
    shift.give_back(0, lost)
    assert shift.take(one) == 0
    shift.do(0, None)  # type: ignore[arg-type]
    assert shift.take(one) == 1
    shift.do(2, None)  # type: ignore[arg-type]
    shift.do(1, None)  # type: ignore[arg-type]
    assert shift.take(other) == 3
    shift.do(3, None)  # type: ignore[arg-type]
    assert shift.take(one) is None
    assert [shift.outcome(number) for number in range(4)] == [(0,), (1,), (2,), (3,)]


def memeval(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "memeval", *words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def test_an_address_where_nothing_answers_is_one_line(folder: Path) -> None:
    done = memeval("run", "--system", "bm25", "--ray", "127.0.0.1:9", "--results", str(folder))
    assert done.returncode == 3
    assert done.stderr.startswith("memeval: --ray 127.0.0.1:9: nothing answers there (")
    assert done.stderr.count("\n") == 1


def test_without_ray_the_option_names_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "installed", lambda module: False)
    with pytest.raises(PrerequisiteError, match=r'--ray needs ray: pip install "memeval-bench\[ray\]"'):
        clusters.joined("local").__enter__()


def test_nothing_of_ray_is_imported_without_the_option(folder: Path) -> None:
    code = (
        "import sys; from memeval.cli import app; sys.argv[1:] = ['run', '--system', 'bm25', '--quiet', '--results',"
        f" {str(folder)!r}, '-o', {str(folder / 'r.md')!r}]\ntry: app()\nfinally: assert 'ray' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, f"report {folder / 'r.md'}\n")


def test_a_cluster_of_this_machine_alone_says_nothing_and_ctrl_c_leaves_nothing_of_it(folder: Path) -> None:
    command = [sys.executable, "-m", "memeval", "run", "--system", f"python/{folder}/spread_over_workers.py:Rounding"]
    command += ["--quiet", "--results", str(folder), "-o", str(folder / "r.md"), "--ray"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)
    wait_for(
        lambda: (
            process.poll() is not None or len((folder / "asked.txt").read_text().split()) > 30
            if (folder / "asked.txt").exists()
            else process.poll() is not None
        )
    )
    actors = {int(process) for process, *_ in asked(folder)}
    assert actors
    assert process.pid not in actors
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert errors.startswith("memeval: interrupted; what was finished is saved, resume with: memeval run")
    assert errors.count("\n") == 1
    wait_for(lambda: not any(Path(f"/proc/{actor}").exists() for actor in actors), 20)
