"""How cost grows: the script measures, goes on where it was stopped, and its documents follow from its measurements."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import growth

growing, scale, processes = growth.growing, growth.scale, growth.growing.processes

DOCS = Path(__file__).parents[1] / "docs"


def row(what: str, unit: str, n: int, cpu: float, peak: int, **bytes_of: int) -> growth.Row:
    told = {"at": "2026-01-01T00:00:00+00:00", "cpu_seconds": cpu, "clock_seconds": 2 * cpu, "peak_bytes": peak}
    return growth.Row(what, unit, n, "a machine", [told], bytes_of)


def test_documents_follow_from_the_measurements_beside_them() -> None:
    rows = growth.read(DOCS / "growth.json")
    assert growth.document(rows) == (DOCS / "growth.md").read_text(encoding="utf-8")
    assert scale.document(rows) == (DOCS / "scale.md").read_text(encoding="utf-8")
    assert 0 < (DOCS / "growth.png").stat().st_size < 60_000


@pytest.mark.parametrize(("unit", "n"), [("pairs", 1_000_000), ("queries", 200_000)])
def test_what_is_measured_or_extended_to_the_largest_size_takes_less_than_four_gigabytes(unit: str, n: int) -> None:
    sized_of = growth.by_command(growth.read(DOCS / "growth.json"))
    found = {what: sized for what, sized in sized_of.items() if sized[0].unit == unit and len(sized) > 1}
    assert found.keys() >= {"pairs": {"run BM25", "verify"}, "queries": {"score", "merge", "check", "report"}}[unit]
    for what, sized in found.items():
        further = scale.slope(sized, lambda one: one.peak) * (n - sized[-1].n)
        assert sized[-1].peak + further < 4e9, what


def test_whole_processes_are_measured_and_not_again_what_has_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--pairs", "100", "--queries", "--systems", "--only", "verify", "--rounds", "1"]
    asked += ["--into", str(tmp_path), "--folder", str(tmp_path / "made")]
    growth.main(asked)
    rows = growth.read(tmp_path / "growth.json")
    assert sorted(rows) == [("verify", 100)]
    assert all(one.cpu > 0.2 and one.peak > 5e7 and len(one.rounds) == 1 for one in rows.values())
    written = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    assert sorted(written) == ["growth.json", "growth.md", "growth.png"]
    monkeypatch.setattr(processes, "taken", lambda *given, **more: pytest.fail("measured again"))
    growth.main(asked)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == written


def test_a_measurement_goes_on_where_it_was_stopped_and_does_again_what_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, ...]] = []
    most = 2

    def taken(place: Path, *command: str) -> Any:
        if len(done) == most:
            raise KeyboardInterrupt
        done.append(command)
        return processes.Taken(1.0, 2.0, 10**8)

    def steps(place: Path, n: int) -> Iterator[Any]:
        yield "one", lambda: None, ["one", str(n)], dict
        yield "two", lambda: None, ["two", str(n)], dict

    monkeypatch.setattr(growing, "memeval", taken)
    monkeypatch.setattr(growing, "of_pairs", steps)
    asked = ["--pairs", "1", "10", "--queries", "--systems", "--rounds", "1"]
    asked += ["--into", str(tmp_path), "--folder", str(tmp_path)]
    with pytest.raises(KeyboardInterrupt):
        growth.main(asked)
    assert done == [("one", "1"), ("two", "1")]
    done.clear()
    growth.main(asked)
    assert done == [("one", "10"), ("two", "10")]
    done.clear()
    most = 4
    growth.main([*asked, "--since", "2100-01-01"])
    assert len(done) == len(growth.read(tmp_path / "growth.json")) == 4


def test_an_exponent_is_the_slope_between_the_last_two_sizes() -> None:
    sizes = [row("run", "pairs", n, cpu, 10**8) for n, cpu in ((10, 5.0), (100, 6.0), (1000, 60.0))]
    assert growth.exponent(sizes, lambda one: one.cpu) == pytest.approx(1.0)
    assert growth.exponent(sizes, lambda one: one.peak) == 0.0
    assert math.isnan(growth.exponent(sizes[:1], lambda one: one.cpu))


def test_what_grows_faster_than_linearly_is_said() -> None:
    found = [row("run", "pairs", n, n / 10, 10**8) for n in (10, 100)]
    found += [row("sort", "pairs", n, n**1.2, 10**8) for n in (10, 100)]
    text = growth.document({(one.what, one.n): one for one in found})
    assert "| run | 1.00 | 0.00 | linear or slower |" in text
    assert "| sort | 1.20 | 0.00 | faster than linear |" in text
    assert text.endswith("- `sort`: not explained.\n")


def test_a_thousand_systems_cost_what_the_two_largest_sizes_say() -> None:
    sizes = [row("verify", "pairs", n, 2.0 + n / 1000, 10**8) for n in (1000, 3000)]
    assert scale.slope(sizes, lambda one: one.cpu) == pytest.approx(0.001)
    page = [row("report of systems", "systems", n, 1.0 + n + n * n / 100, 10**8) for n in (10, 20, 40)]
    assert scale.curve(page, lambda one: one.cpu) == pytest.approx(1 + 1000 + 10_000)
    straight = [row("report of systems", "systems", n, 5.0 + n, 10**8) for n in (10, 20, 40)]
    assert scale.curve(straight, lambda one: one.cpu) == pytest.approx(1005)


def test_numbers_for_people_have_two_digits() -> None:
    assert [scale.size(many) for many in (900, 1234, 98.7e6, 1.26e12, 2.5e15)] == [
        "900 B",
        "1.2 kB",
        "99 MB",
        "1.3 TB",
        "2500 TB",
    ]
    assert [scale.hours(seconds) for seconds in (90, 3600, 123_456_789)] == ["0.025", "1", "34,000"]
