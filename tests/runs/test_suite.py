"""Benchmark files: each mistake is one line with the file, the key and a remedy."""

import tomllib
from pathlib import Path

import pytest

import memeval
from memeval.cli import topics
from memeval.core.errors import SuiteError, UsageError
from memeval.runs import suite

GOOD = """
schema = 1
name = "good"
datasets = ["hard-cases"]

[[systems]]
model = "bm25"

[[systems]]
name = "twice"
model = "random?seed=3"
"""


def test_the_suite_that_help_shows_is_read() -> None:
    text = "\n".join(line[4:] for line in topics.page("suite").splitlines() if line.startswith("    "))
    made = suite.make(tomllib.loads(text), "help")
    assert [entry.name for entry in made.systems] == ["first-stage", "oracle", "random", "ours", "minilm"]
    assert made.gates[0].system == "ours"


def test_what_is_missing_is_told_together() -> None:
    with pytest.raises(SuiteError, match=r"^x: missing: name, datasets, systems "):
        suite.make({"schema": 1}, "x")


@pytest.mark.parametrize("name", suite.shipped())
def test_shipped_suites_load_by_name_and_by_path(name: str) -> None:
    assert suite.load(name) == suite.load(str(suite.shipped()[name]))


def test_a_wheel_holds_every_shipped_suite_and_no_results() -> None:
    project = tomllib.loads((Path(memeval.__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    held = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert held == {
        f"benchmarks/{name}": f"memeval/benchmarks/{name}"
        for name in ("published", *(path.name for path in suite.shipped().values()))
    }


def test_a_system_is_named_after_its_model_unless_it_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(GOOD)
    assert [system.name for system in suite.load(str(tmp_path / "good.toml")).systems] == ["bm25", "twice"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema = 1", "schema = 2", "schema: schema 2 is not one this version reads (wanted 1)"),
        ("schema = 1", "", "missing: schema (`memeval help suite` shows a whole file)"),
        ('model = "bm25"', 'name = "bm25"', "systems[0]: missing: model (`"),
        ('["hard-cases"]', '["beir/a/b", "beir/a-b"]', "'beir/a-b' and 'beir/a/b' would share the folder 'beir-a-b'"),
        ('name = "twice"', 'name = "unavailable"', "would share the file 'unavailable'"),
        ("schema = 1", f"schema = {'[' * 3000}{']' * 3000}", "is TOML that is nested too deep to be read"),
        ("schema = 1", "schema = 1\ndeph = 3", "deph: unknown key (did you mean 'depth'?)"),
        ('model = "bm25"', 'model = "bm25"\nmodle = "x"', "systems[0].modle: unknown key (did you mean 'model'?)"),
        ('model = "bm25"', 'model = "bm24"', "systems[0].model: unknown system 'bm24' (did you mean 'bm25'?)"),
        (
            "random?seed=3",
            "random?sed=3",
            "systems[1].model: system 'random?sed=3': unknown option 'sed' (did you mean",
        ),
        ("random?seed=3", "random?seed", "what follows '?' must read option=value"),
        ("random?seed=3", "random?seed=3&seed=4", "each once, not 'seed=4'"),
        ('name = "twice"', 'sweep = {seed = ["4"]}', "each once, not 'seed=4'"),
        ("random?seed=3", "random/x", "systems[1].model: system 'random/x': write it as 'random'"),
        ("random?seed=3", "sentence-transformers", "write it as 'sentence-transformers/<model>'"),
        ('"hard-cases"', '"hard-case"', "unknown data set 'hard-case' (did you mean 'hard-cases'?)"),
        ("schema = 1", 'schema = 1\nmeasures = ["NDGC@10"]', "unknown measure 'NDGC@10' (did you mean"),
        ("schema = 1", 'schema = 1\nrendering = "date+speeker"', "unknown part 'speeker' (did you mean 'speaker'?)"),
        ("schema = 1", 'schema = 1\npool = "all"', "pool: "),
        ("schema = 1", "schema = 1\ndepth = 0", "depth: "),
        ("schema = 1", "schema = 1\nfailures = 2", "failures: "),
        ('name = "good"', 'name = "../up"', "name: "),
        ('name = "twice"', 'sweep = {sead = ["1"]}', "systems: system 'random?seed=3&sead=1': unknown option 'sead'"),
        ('name = "twice"', 'name = "bm25"', "would share the file 'bm25'"),
        ('name = "twice"', 'name = "BM25"', "'BM25' and 'bm25' would share the file 'BM25'"),
        ('name = "twice"', 'name = "suite"', "'suite' and 'the suite itself' would share the file 'suite'"),
        ('name = "twice"', 'name = "b\\u200bm25"', "'b\\u200bm25' and 'bm25' would look alike"),
        ('name = "twice"', 'name = "\\u200b "', "name: is blank: give the system one that tables can show"),
        (
            'model = "bm25"',
            'model = "bm25"\nname = "e\\u0301"\n[[systems]]\nmodel = "bm25"\nname = "\u00e9"',
            "look alike",
        ),
        (
            'model = "bm25"',
            'model = "bm25"\nrepeat = 2\n[[systems]]\nmodel = "oracle"\nname = "bm25.repeat-2"',
            "'bm25.repeat-2' and 'bm25' would share the file 'bm25.repeat-2'",
        ),
        (
            'name = "twice"',
            'name = "twice"\nsweep = {{{}}}'.format(
                ", ".join(f"{key} = {[str(n) for n in range(300)]}" for key in "abc")
            ),
            "systems: 'twice': its sweep stands for 27,000,000 systems: name 1,000 at most",
        ),
        (
            "schema = 1",
            f"schema = 1\nrendering = {[f'neighbours-{n}' for n in range(1, 1100)]}",
            "datasets: 'hard-cases' would have 1,099 grounds: name 1,000 at most",
        ),
        ("schema = 1", "schema = 1\nrendering = []", "rendering: must have at least 1 item, not 0 (is [])"),
        ("schema = 1", "schema = 1\ndepth = true", "depth: must be a valid integer (is true)"),
        ("schema = 1", "schema = 1\nfailures = true", "failures: must be a valid number (is true)"),
        ("schema = 1", 'schema = 1\nfailures = "0.5"', "failures: must be a valid number (is '0.5')"),
        ("schema = 1", 'schema = 1\ncompress = "no"', "compress: must be a valid boolean (is 'no')"),
        ("[[systems]]", "[[gates]]\nmargin = true\n[[systems]]", "gates[0].margin: must be a valid number (is true)"),
        ("[[systems]]", "[[systems]", "is no TOML"),
        ('datasets = ["hard-cases"]', "datasets = []", "datasets: "),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(SuiteError) as caught:
        suite.load(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_suite_is_named_with_a_suggestion() -> None:
    with pytest.raises(SuiteError, match=r"unknown suite 'locmo' \(did you mean 'locomo'\?\)"):
        suite.load("locmo")
    with pytest.raises(SuiteError, match="no such file"):
        suite.load("no/such.toml")


def test_a_swept_system_stands_for_one_with_each_value(tmp_path: Path) -> None:
    swept = GOOD.replace('model = "bm25"', 'model = "bm25"\nname = "b"\nsweep = {k1 = ["0.9", "1.5"], b = ["0.4"]}')
    (tmp_path / "swept.toml").write_text(swept)
    first, second, third = suite.load(str(tmp_path / "swept.toml")).systems
    assert (first.name, first.model) == ("b?k1=0.9&b=0.4", "bm25?k1=0.9&b=0.4")
    assert second.model == "bm25?k1=1.5&b=0.4"
    assert third.name == "twice"


def test_a_data_set_is_run_as_its_own_suite_says_and_not_as_a_sweep_does() -> None:
    assert {ground.dataset for ground in suite.grounds(suite.values(suite.load("axes")))} == {"hard-cases"}
    assert suite.settings("hard-cases")["rendering"] == suite.load("hard-cases").rendering


GROUNDS = GOOD.replace(
    '["hard-cases"]',
    """[
    {name = "hard-cases", first_stage = ["bm25", "rrf/bm25+random"], depth = 7, pool = "retrieved"},
    {name = "locomo", rendering = ["bare", "speaker"]},
    "pubmedqa",
]
depth = 50""",
)


def test_a_data_set_has_a_ground_for_each_of_its_first_stages_and_renderings(tmp_path: Path) -> None:
    (tmp_path / "grounds.toml").write_text(GROUNDS)
    made = suite.load(str(tmp_path / "grounds.toml"))
    found = {ground.folder: made.on(ground) for ground in suite.grounds(suite.values(made))}
    assert {name: (one.stage, one.rendered, one.depth, one.pool) for name, one in found.items()} == {
        "hard-cases.bm25": ("bm25", "speaker+caption", 7, "retrieved"),
        "hard-cases.rrf-bm25+random": ("rrf/bm25+random", "speaker+caption", 7, "retrieved"),
        "locomo.bare": ("bm25", "bare", 50, None),
        "locomo.speaker": ("bm25", "speaker", 50, None),
        "pubmedqa": ("bm25", "speaker+caption", 50, None),
    }
    assert suite.make(suite.values(made), "again") == made


def test_where_one_first_stage_is_taken_several_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"first_stage lists 2 \(bm25, random\), and this takes one"):
        memeval.run("bm25", "hard-cases", first_stage=["bm25", "random"])  # type: ignore[arg-type]
    (tmp_path / "grounds.toml").write_text(GROUNDS)
    [_, _, bare, *_] = suite.grounds(suite.values(made := suite.load(str(tmp_path / "grounds.toml"))))
    assert (made.on(bare).stage, made.on(bare).rendered) == ("bm25", "bare")


def test_a_suite_of_plain_names_is_written_as_ever(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(GOOD)
    values = suite.values(suite.load(str(tmp_path / "good.toml")))
    assert (values["datasets"], values["first_stage"]) == (["hard-cases"], "bm25")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            '{name = "hard-cases", first_stage = ["bm25", "random", "bm25"]}',
            "datasets[0].first_stage: 'bm25' is 'bm25' again: list each once",
        ),
        (
            '{name = "hard-cases", rendering = ["date+speaker", "speaker+date"]}',
            "datasets[0].rendering: 'date+speaker' is 'date+speaker' again: list each once",
        ),
        ('{name = "hard-cases", deph = 3}', "datasets[0].deph: unknown key (did you mean 'depth'?)"),
        ('{name = "hard-case"}', "datasets[0].name: unknown data set 'hard-case' (did you mean 'hard-cases'?)"),
        ("{depth = 3}", "datasets[0]: missing: name"),
        ("3", "datasets[0]: is a data set's name, or a table with its name and settings, not 3"),
        ('{name = "hard-cases", depth = 0}', "datasets[0].depth: "),
        ('{name = "hard-cases", first_stage = ["bm25", "oracle"]}', "'oracle' is a control and retrieves nothing"),
        ('{name = "hard-cases", first_stage = []}', "datasets[0].first_stage"),
        ('"hard-cases", {name = "hard-cases", depth = 3}', "would share the folder 'hard-cases'"),
        ('{name = "hard-cases", first_stage = ["rrf/bm25+random", "rrf/bm25+random?constant=1"]}', None),
    ],
)
def test_a_mistake_in_a_ground_is_named_with_its_place(tmp_path: Path, entry: str, message: str | None) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace('"hard-cases"', entry, 1))
    if message is None:
        assert len(suite.grounds(suite.values(suite.load(str(path))))) == 2
        return
    with pytest.raises(SuiteError) as caught:
        suite.load(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
