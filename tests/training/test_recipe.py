"""Distillation files that are wrong: each is one line that names the file, the key and the remedy."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from memeval.cli import app
from memeval.core.errors import SuiteError
from memeval.training import recipe
from tests.training.planted import values

BAD: list[tuple[dict[str, Any], str]] = [
    ({"schema": 2}, "schema: schema 2 is not one this version reads (wanted 1): update memeval"),
    ({"nmae": "x"}, "nmae: unknown key (did you mean 'name'?)"),
    ({"base": ""}, "base: must have at least 1 character (is '')"),
    ({"name": "../x"}, "name: must match pattern"),
    ({"seed": -1}, "seed: must be greater than or equal to 0 (is -1)"),
    ({"data": {"queires": 3}}, "data.queires: unknown key (did you mean 'queries'?)"),
    ({"data": {"datasets": []}}, "data.datasets: must have at least 1 item"),
    ({"data": {"datasets": ["hard-case"]}}, "data.datasets: unknown data set 'hard-case' (did you mean 'hard-cases'?)"),
    ({"data": {"rendering": "colour"}}, "data.rendering: "),
    ({"pool": {"ranks": [9, 3]}}, "pool: ranks: from 9 to 3 there is none: write the first one first"),
    ({"pool": {"anchors": 0}}, 'pool.anchors: a common scale needs some: anchors = 2, or scale = "query"'),
    ({"pool": {"size": 2}}, "labels.degree: 4 comparisons of each of 4 memories would ask for some twice"),
    ({"pool": {"first_stage": "bm52"}}, "pool.first_stage: unknown system 'bm52' (did you mean 'bm25'?)"),
    ({"labels": {"kind": "binary"}}, "labels: levels need teachers, and binary labels none"),
    ({"labels": {"teachers": []}}, "labels: levels need teachers, and binary labels none"),
    ({"labels": {"teachers": ["oracle"]}}, "labels.teachers: teacher 'oracle': is a control and has nothing to teach"),
    ({"labels": {"teachers": ["bm25", "bm25"]}}, "labels.teachers: a teacher stands twice"),
    ({"labels": {"teachers": ["simulated"]}}, "labels.teachers: teacher 'simulated': write simulated?flips=0.2&seed=1"),
    ({"labels": {"teachers": ["simulated?flips=0.7"]}}, "labels.teachers: teacher 'simulated?flips=0.7': write"),
    ({"labels": {"degree": 3}}, "labels.degree: must be a multiple of 2 (is 3)"),
    ({"labels": {"alpha": 0}}, "labels.alpha: must be greater than 0 (is 0)"),
    ({"labels": {"ceiling": "sky"}}, "labels.ceiling: "),
    ({"losses": []}, "losses: must have at least 1 item"),
    ({"losses": [{"loss": "mse"}]}, "losses[0].loss: must be 'bce' or 'infonce' (is 'mse')"),
    ({"losses": [{"loss": "bce", "temprature": 1}]}, "losses[0].temprature: unknown key (did you mean 'temperature'?)"),
    ({"losses": [{"loss": "bce", "learning_rate": "nan"}]}, "losses[0].learning_rate: "),
    ({"lora": {"rank": 0}}, "lora.rank: must be greater than or equal to 1 (is 0)"),
    ({"guard": {"share": 2}}, "guard.share: must be less than or equal to 1 (is 2)"),
    ({"guard": {"tests": ["locmo"]}}, "guard.tests: unknown data set 'locmo' (did you mean 'locomo'?)"),
    ({"about": "key sk-aaaaaaaaaaaaaaaaaaaaaaaa"}, "holds a key or token: keys come from the shell"),
]


@pytest.mark.parametrize(("changed", "told"), BAD, ids=[told for _, told in BAD])
def test_a_wrong_value_is_one_line(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(SuiteError) as error:
        recipe.make(values("hard-cases", "a/model", **changed), "mine.toml")
    assert str(error.value).startswith(f"mine.toml: {told}")
    assert "\n" not in str(error.value)


def test_what_is_missing_is_named() -> None:
    told = values("hard-cases", "a/model")
    del told["base"]
    with pytest.raises(SuiteError, match=r"^mine\.toml: missing: base$"):
        recipe.make(told, "mine.toml")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("name = ", "is no TOML"),
        ("\xff", "is not UTF-8"),
        ("", "missing: schema, name, base"),
        ("data = 3\nschema = 1", "missing: name, base"),
    ],
)
def test_a_file_that_is_no_recipe_is_one_line_on_the_command_line(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content.encode("latin-1"))
    done = CliRunner().invoke(app, ["distil", str(path)])
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert f"mine.toml: {told}" in done.output


def test_a_file_that_is_not_there_is_one_line() -> None:
    done = CliRunner().invoke(app, ["distil", "none.toml"])
    assert (done.exit_code, done.output) == (2, "memeval: none.toml: no such file\n")


def test_the_recipes_of_the_ablation_are_recipes_and_differ_in_one_thing_each() -> None:
    folder = Path(__file__).parents[2] / "benchmarks" / "distil"
    arms = {path.stem: recipe.load(path) for path in sorted(folder.glob("arm-*.toml"))}
    assert len(arms) == 5
    shared = [recipe.values(arm) for arm in arms.values()]
    for key in ("base", "max_length", "data", "pool", "guard", "seed"):
        assert all(told[key] == shared[0][key] for told in shared)
