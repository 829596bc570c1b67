"""What all tests share: a cache of their own, no network, nothing of the user's shell, nothing that another test left,
and a small data set whose numbers can be checked by hand.
"""

import os
import re
import signal
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from memeval.core.types import Dataset, Memory, Query
from memeval.report import texts

os.environ.setdefault("HF_HUB_OFFLINE", "1")
SHELL = re.compile(
    r"(_API_KEY|_TOKEN|_BASE_URL)$|^(GITHUB_\w+|CI|COLUMNS|LINES|TERMINAL_WIDTH|NO_COLOR|FORCE_COLOR|CLICOLOR\w*|\w+_PROXY"
    r"|MPLBACKEND|PYTHONIOENCODING|PYTHONWARNINGS|SSL_CERT_\w+|SOURCE_DATE_EPOCH)$",
    re.IGNORECASE,
)
"""Variables of a user's shell that change what a command says or whom it asks."""
for _name in [name for name in os.environ if SHELL.search(name)]:
    del os.environ[_name]
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)
if find_spec("hypothesis"):  # where vLLM is tested it is not installed
    from hypothesis import settings

    settings.register_profile("memeval", deadline=None)  # how fast the machine is decides no test
    settings.load_profile("memeval")


@pytest.fixture(autouse=True)
def own_cache(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """No test reads or writes the user's cache, or finds texts and modules that another test had loaded."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MEMEVAL_CACHE", str(folder))
    monkeypatch.setattr(sys, "path", list(sys.path))
    texts.load.cache_clear()
    yield folder
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(f"{tmp_path_factory.getbasetemp()}{os.sep}"):
            del sys.modules[name]


@pytest.fixture
def garden() -> Dataset:
    """Two stores of four memories, three queries: one has its answer first by words, one last, one has none."""
    texts = {
        "ann": ("the roses bloom in june", "roses need water", "the shed is green", "tea at four"),
        "bob": ("the boat leaks", "a leak in the roof", "the roof is new", "boats and oars"),
    }
    return Dataset(
        name="garden",
        version="1",
        licence="none",
        url="",
        queries=(
            Query("q1", "when do the roses bloom", "ann", "when"),
            Query("q2", "what colour is the shed", "ann", "what"),
            Query("q3", "is there a leak in the boat", "bob", "what"),
        ),
        stores={
            store: tuple(Memory(f"{store[0]}{place}", text) for place, text in enumerate(lines))
            for store, lines in texts.items()
        },
        qrels={"q1": {"a0": 2, "a1": 1}, "q2": {"a2": 1}, "q3": {"b0": 1}},
    )
