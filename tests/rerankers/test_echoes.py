"""A service may repeat the key that it was sent, in whatever way: it is kept in no file and shown nowhere."""

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from memeval.cli import app
from memeval.core.outside import forms
from tests.rerankers.conftest import Rule
from tests.wire import Answer, Asked, Wire

ODD = "cAnArY/4711+xy=="
"""A key that is written otherwise in JSON, in a URL and in base64."""


def echoes() -> dict[str, Rule]:
    """Replies that repeat what was sent, each in its own way."""

    def fine(asked: Asked, **more: object) -> Answer:
        scores = [{"index": place, "relevance_score": 1 / (place + 2)} for place in range(len(asked.body["documents"]))]
        return Answer({"results": scores, "usage": {"total_tokens": 1}, **more})

    def key(asked: Asked) -> str:
        return asked.headers["authorization"].removeprefix("Bearer ")

    return {
        "as it is": lambda asked: Answer(raw=f"bad key {key(asked)}".encode(), status=400, content_type="text/plain"),
        "all headers": lambda asked: Answer({"detail": dict(asked.headers)}, status=400),
        "twice JSON": lambda asked: Answer({"message": json.dumps({"sent": key(asked)})}, status=400),
        "as PHP has it": lambda asked: Answer(raw=json.dumps(key(asked)).replace("/", r"\/").encode(), status=400),
        "in a URL": lambda asked: Answer({"message": f"see https://h/?q={quote(key(asked))}"}, status=401),
        "base64": lambda asked: Answer({"message": b64encode(key(asked).encode()).decode()}, status=400),
        "cut off": lambda asked: Answer({"message": "x" * 285 + key(asked)}, status=400),
        "as the model": lambda asked: fine(asked, model=key(asked)),
        "as usage": lambda asked: fine(asked, usage={key(asked): 1, "total_tokens": 3}),
        "as an error in a 200": lambda asked: Answer({"error": {"message": key(asked)}}),
    }


@pytest.mark.parametrize("way", echoes())
def test_a_key_that_a_service_repeats_is_kept_nowhere_however_it_writes_it(
    tmp_path: Path, way: str, listen: Callable[[Rule], Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEMEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MINE", ODD)  # no variable's name tells that it is one
    wire = listen(echoes()[way])
    system = f"rerank-api/m?url={wire.url}&key_from=MINE&price=0"
    asked = ["run", "--system", system, "--trust", "127.0.0.1", "--limit", "2", "--quiet", "-o", "r.html", "-o", "r.md"]
    done = CliRunner().invoke(app, asked)
    assert wire.asked and done.exit_code in (0, 3, 4)
    told = {"stdout and stderr": done.output.encode()}
    told |= {str(file): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    for place, content in told.items():
        for form in (*forms(ODD), json.dumps(json.dumps(ODD))[3:-3], ODD[:6]):
            assert form.encode() not in content, (place, form)
