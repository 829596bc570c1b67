"""What a whole process took, with all that it started: for scripts that measure memeval from outside."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Taken(NamedTuple):
    """CPU seconds of a process and its children, seconds by the clock, and the peak bytes of the largest of them."""

    cpu: float
    clock: float
    peak: int


def taken(command: Sequence[str], *, folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Taken:
    """Runs a command whose output is of no interest, and says what it took. Ends the script where the command fails."""
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
        )
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        clock = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            last = said.read().decode(errors="replace").splitlines()[-1:]
            sys.exit(f"{' '.join(command)} ended with {process.returncode}: {' '.join(last)}")
    return Taken(used.ru_utime + used.ru_stime, clock, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
