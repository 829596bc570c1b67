"""`memeval show <results> --query <id>`: one query, system by system."""

import io
import re
from pathlib import Path

import pytest
from pages import HOSTILE, MODELS, found, measure, shop, without_runs
from rich.console import Console
from typer.testing import CliRunner

from memeval.cli import app
from memeval.core.errors import DataError, UsageError
from memeval.report import reporting
from memeval.report.reporting import Found

QUERY = "s0:q1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return measure(shop(), tmp_path_factory.mktemp("results") / "shop", MODELS)


def shown(one: Found, query_id: str = QUERY, **options: object) -> str:
    console = Console(file=io.StringIO())
    reporting.show_query(one, query_id, console, **options)  # type: ignore[arg-type]
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def orders(text: str) -> dict[int, list[str]]:
    """Rank → the cells of its line, by the width of a column."""
    lines = re.findall(r"^ *(\d+)  (\S.*)$", text, re.MULTILINE)
    return {int(rank): [rest[start : start + 22].strip() for start in range(0, len(rest), 22)] for rank, rest in lines}


def test_each_column_is_the_order_of_its_system(folder: Path) -> None:
    one = found((shop(), folder))
    text = shown(one, systems=["first-stage", "words", "oracle"], top=10)
    [(board, evidence)] = one.boards
    labelled = evidence.labelled
    assert labelled is not None
    place = labelled.query_ids.index(QUERY)
    for column, name in enumerate(("first-stage", "words", "oracle")):
        order = evidence.ranked[name].order[place].tolist()
        wanted = [labelled.doc_ids[place][candidate] for candidate in order]
        cells = [cells[column] for _, cells in sorted(orders(text).items())]
        assert [re.match(r"m\d+", cell)[0] for cell in cells] == wanted  # type: ignore[index]
        starred = {cell.split("*")[0] for cell in cells if "*" in cell}
        assert starred == set(shop().qrels[QUERY]) & set(wanted)
        for rank, (cell, candidate) in enumerate(zip(cells, order, strict=True)):
            moved = candidate - rank
            assert (f"↑{moved}" in cell, f"↓{-moved}" in cell) == (moved > 0, moved < 0)
        row = next(row for row in board.rows if row.system == name)
        value = row.result.values["NDCG@10"][row.result.query_ids.index(QUERY)]
        assert f"NDCG@10 {value:.3f}" in text


def test_the_query_its_labels_and_texts_are_named(folder: Path) -> None:
    text = shown(found((shop(), folder)))
    assert text.startswith("s0:q1 · what · store s0\nrelevant: m1, m2\n")
    assert "“how many pears in order 1 of store 0”" in text
    assert "  Hello.\n" in text
    assert re.search(r"^m1\*  order 1 of store 0 has 3 pears", text, re.MULTILINE)


def test_without_texts_only_ids_are_shown(folder: Path) -> None:
    text = shown(found((shop(), folder), texts="none"))
    assert "pears" not in text
    assert "(no texts: this page was made without texts (--public))" in text
    assert "m1*" in text


def test_top_leaves_places_out_but_no_relevant_memory(folder: Path) -> None:
    text = shown(found((shop(), folder)), systems=["random"], top=1)
    ranks = orders(text)
    assert 1 in ranks
    assert len(ranks) < 10
    there = {cells[0].split("*")[0] for cells in ranks.values() if "*" in cells[0]}
    missed = re.search(r"relevant, but no candidates: (.*)", text)
    assert there | set(missed[1].split(", ") if missed else []) == set(shop().qrels[QUERY])
    gaps = [rank for rank in ranks if rank > 1 and rank - 1 not in ranks]
    assert text.count("   …\n") == len(gaps)


def test_a_narrow_place_shows_the_first_stage_and_as_many_systems_as_fit(folder: Path) -> None:
    header = next(line for line in shown(found((shop(), folder))).splitlines() if line.startswith("rank"))
    assert header.split()[:2] == ["rank", "first-stage"]
    assert len(header.split()) == 1 + min(4, (100 - 6) // 22)
    assert len(header) <= 100


def test_what_is_unknown_is_said_with_what_is_meant(folder: Path) -> None:
    one = found((shop(), folder))
    with pytest.raises(UsageError, match=r"no result has the query 's0:q11' \(did you mean 's0:q1'\?\)"):
        shown(one, "s0:q11")
    with pytest.raises(UsageError, match=r"no system 'wrds' in these results \(did you mean 'words'\?\)"):
        shown(one, systems=["wrds"])
    with pytest.raises(DataError, match="`memeval run` makes them"):
        shown(without_runs(one))


def test_hostile_names_and_texts_stay_in_their_columns(tmp_path: Path) -> None:
    dataset = shop(hostile=True)
    one = found((dataset, measure(dataset, tmp_path / "r", [(name, "python/pages:Words") for name in HOSTILE])))
    text = shown(one, systems=[*HOSTILE])
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "(1,000,000 characters)" in shown(one, "s0:q2") or "x" * 301 not in shown(one, "s0:q2")
    header = next(line for line in text.splitlines() if line.startswith("rank"))
    assert [header[6 + 22 * n :][:9] for n in (0, 2)] == ["</script>", "=cmd()|'/"]


def command(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["show", *arguments], env={"COLUMNS": "100"})
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.stdout, done.stderr


def test_the_command_shows_a_query_and_only_the_systems_asked_for(folder: Path) -> None:
    code, out, _ = command(str(folder), "--query", QUERY, "--system", "words", "--top", "2")
    assert code == 0
    assert next(line for line in out.splitlines() if line.startswith("rank")).split() == ["rank", "words"]
    assert "s0:q1" in out


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--query", "nothing-like-it"], ["no result has the query 'nothing-like-it'"]),
        (["--query", QUERY, "--system", "wrds"], ["no system 'wrds'", "did you mean 'words'"]),
    ],
)
def test_a_mistake_is_one_line_with_exit_code_two(folder: Path, arguments: list[str], parts: list[str]) -> None:
    code, out, err = command(str(folder), *arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert all(part in err for part in parts)


def test_an_unknown_query_says_where_ids_are_found(folder: Path) -> None:
    _, _, err = command(str(folder), "--query", "nothing-like-it")
    assert "s0:q0" in err  # an example of an id that is there


def test_results_that_are_not_there_are_one_line(tmp_path: Path) -> None:
    code, out, err = command(str(tmp_path / "none"), "--query", QUERY)
    assert (code, out) == (2, "")
    assert "no such file or folder" in err
