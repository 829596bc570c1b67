"""Progress of long commands: one line on a terminal, a line now and then elsewhere, nothing where it is quick."""

import io
import sys
import time

import pytest

from memeval.core import steps


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def walk(clock: list[float], seconds: float) -> None:
    with steps.shown():
        for done in range(1, 11):
            clock[0] += seconds
            steps.at("runs read", done, 10)


def test_a_quick_command_says_nothing(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        walk(clock, 0.01)
        assert stream.getvalue() == ""


def test_elsewhere_a_line_comes_every_few_seconds(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    walk(clock, 1.0)
    assert stream.getvalue().splitlines() == ["runs read: 5 of 10", "runs read: 10 of 10"]


def test_on_a_terminal_one_line_is_written_anew_and_wiped(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    walk(clock, 1.0)
    assert "\n" not in stream.getvalue()
    assert stream.getvalue().startswith("\r\x1b[Kruns read: 1 of 10\r")
    assert stream.getvalue().endswith("runs read: 10 of 10\r\x1b[K")


def test_nothing_is_said_of_what_nobody_watches(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    clock[0] = 99.0
    steps.at("runs read", 1, 2)
    assert capsys.readouterr().err == ""
