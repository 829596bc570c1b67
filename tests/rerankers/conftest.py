"""Local servers that stand for hosted services, closed behind the test that started them."""

from collections.abc import Callable, Iterator

import pytest

from tests import fakes
from tests.wire import Answer, Asked, Wire

Rule = Callable[[Asked], Answer]
BASES = {"OPENAI_BASE_URL": "/v1", "GOOGLE_GEMINI_BASE_URL": "", "MEMOS_BASE_URL": ""}
"""The variable of a service's base URL, and what stands behind the host in it."""


def ideal(asked: Asked) -> Answer:
    return fakes.openai(fakes.ideal(asked))


@pytest.fixture
def listen() -> Iterator[Callable[[Rule], Wire]]:
    """Starts a server that answers by a rule; nothing knows of it but who started it."""
    servers: list[Wire] = []

    def start(rule: Rule) -> Wire:
        servers.append(Wire(rule))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, listen: Callable[[Rule], Wire]) -> Callable[..., Wire]:
    """Starts a server where the shell says that the services are, each with a key; retries come at once."""

    def start(rule: Rule = ideal) -> Wire:
        server = listen(rule)
        for name, path in BASES.items():
            monkeypatch.setenv(name, server.url + path)
        return server

    for service in ("openai", "gemini", "memos"):
        monkeypatch.setenv(f"{service.upper()}_API_KEY", f"planted-{service}")
    monkeypatch.setattr("memeval.rerankers.hosted.caller.FIRST_WAIT", 0.01)
    return start
