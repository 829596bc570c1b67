"""Processes give what one would."""

import sys
import threading

import pytest

from memeval.report import processes


def twice(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_two_processes_give_what_one_would_in_the_same_order(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if start == "fork" and sys.platform == "win32":
        pytest.skip("Windows does not fork")
    monkeypatch.setattr(processes, "_start", lambda: start)
    monkeypatch.setattr(processes.os, "cpu_count", lambda: 2)
    jobs = list(range(7))
    assert processes.each(twice, jobs, heavy=True) == processes.each(twice, jobs, heavy=False) == [2 * n for n in jobs]


def test_a_process_with_threads_is_never_forked() -> None:
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    try:
        assert processes._start() == "spawn"
    finally:
        stop.set()
        other.join()


def test_heavy_jobs_are_begun_first_and_come_back_in_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes.os, "cpu_count", lambda: 2)
    jobs = [3, 1, 2]
    assert processes.each(twice, jobs, heavy=True, weight=float) == [6, 2, 4]
