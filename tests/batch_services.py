"""Services that take jobs of many requests, behind one local server: OpenAI's, Gemini's and Anthropic's protocols.

What goes wrong is said by `fate` for each request and by `doom` for each job; what was taken is counted by its name.
"""

import importlib
import json
import os
import re
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fakes
from wire import Asked

from memeval.core.store import ScoreCache
from memeval.rerankers.hosted.batch import carrying
from memeval.rerankers.hosted.terms import Batching, Terms
from memeval.runs import benchmark, suite

Speak = Callable[[str, Any], tuple[int, Any]]
"""What a model says to a request: (name, body) → HTTP status and reply."""


@dataclass
class Job:
    """A job as the service has it; `looks` is how often it was asked about."""

    id: str
    name: str
    rows: list[Any]
    created: float
    doom: str = "done"
    looks: int = 0
    cancelled: bool = False
    results: dict[str, bytes] = field(default_factory=dict)


class Services:
    """The server. `doom(job number)` is done, failed, full, expired, lost or hushed (taken, but the reply is lost);
    `fate(name, times asked)` is ok, expired, busy, missing, twice, garbage or lonely (an id that nobody asked for)."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.files: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.online: list[Any] = []
        self.headers: list[str] = []
        self.looks = 1
        self.doom: Callable[[int], str] = lambda number: "done"
        self.fate: Callable[[str, int], str] = lambda name, times: "ok"
        self.speak: Speak = lambda name, body: (200, ideal(body))
        self.notice: Callable[[bool], None] = lambda replied: None
        self.lock = threading.RLock()
        services = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None: ...

            def do_GET(self) -> None:
                services.handle(self, "GET", b"")

            def do_POST(self) -> None:
                if self.headers.get("transfer-encoding") == "chunked":
                    body = b""
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    body = self.rfile.read(int(self.headers.get("content-length") or 0))
                services.handle(self, "POST", body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def handle(self, web: Any, method: str, body: bytes) -> None:
        with self.lock:
            self.headers.append(str(dict(web.headers)))
            path, _, query = web.path.partition("?")
            try:
                found = self.route(method, path, query, body, web)
            except KeyError:
                found = 404, {"error": {"message": "no such thing", "type": "not_found_error"}}, {}
        if found is None:  # taken, and the reply is lost
            web.close_connection = True
            web.connection.shutdown(socket.SHUT_RDWR)
            return
        self.notice(False)
        status, said, headers = found
        raw = said if isinstance(said, bytes) else json.dumps(said).encode()
        try:
            web.send_response(status)
            for name, value in {"content-type": "application/json", "content-length": str(len(raw)), **headers}.items():
                web.send_header(name, value)
            web.end_headers()
            web.wfile.write(raw)
        except OSError:  # the client was killed
            web.close_connection = True
        self.notice(True)

    def route(self, method: str, path: str, query: str, body: bytes, web: Any) -> Any:
        path = f"/google{path}" if "x-goog-api-key" in web.headers else path
        for pattern, answer in (
            (r"POST /v1/(chat/completions|responses)", self._now),
            (r"POST /v1/files", self._openai_file),
            (r"POST /v1/batches", self._openai_create),
            (r"GET /v1/batches", self._openai_list),
            (r"GET /v1/batches/(\w+)", self._openai_look),
            (r"POST /v1/batches/(\w+)/cancel", self._openai_cancel),
            (r"GET /v1/files/([\w.]+)/content", self._content),
            (r"POST /v1/messages/batches", self._anthropic_create),
            (r"GET /v1/messages/batches", self._anthropic_list),
            (r"GET /v1/messages/batches/(\w+)", self._anthropic_look),
            (r"GET /v1/messages/batches/(\w+)/results", self._anthropic_results),
            (r"POST /v1/messages/batches/(\w+)/cancel", self._anthropic_cancel),
            (r"POST /google/upload/v1(?:beta)?/files", self._gemini_begin),
            (r"POST (?:/google)?/upload/(\w+)", self._gemini_upload),
            (r"POST /google/v1(?:beta)?/models/[\w.-]+:batchGenerateContent", self._gemini_create),
            (r"POST /google/v1(?:beta)?/models/[\w.-]+:generateContent", self._now),
            (r"GET /google/v1(?:beta)?/batches", self._gemini_list),
            (r"GET /google/v1(?:beta)?/batches/(\w+)", self._gemini_look),
            (r"POST /google/v1(?:beta)?/batches/(\w+):cancel", self._gemini_cancel),
            (r"GET /google/v1(?:beta)?/files/([\w.]+):download", self._content),
        ):
            if found := re.fullmatch(pattern, f"{method} {path}"):
                return answer(body, *found.groups())
        raise AssertionError(f"nobody asks {method} {path}")

    def _now(self, body: bytes, *_: str) -> Any:
        asked = json.loads(body)
        self.online.append(asked)
        status, said = self.speak("online", asked)
        return status, said, {}

    def _content(self, body: bytes, name: str) -> Any:
        return 200, self.files[name], {}

    # --- jobs, whatever their protocol

    def take(self, name: str, rows: list[Any]) -> Job | None:
        """A new job; None where the service takes it and its reply is lost."""
        job = Job(f"job{len(self.jobs)}", name, rows, datetime.now(UTC).timestamp(), self.doom(len(self.jobs)))
        self.jobs.append(job)
        names = [row.get("custom_id") or row["key"] for row in rows]
        assert len(set(names)) == len(names)
        for one in names:
            self.asked[one] += 1
        return None if job.doom == "hushed" else job

    def look(self, name: str) -> tuple[Job, str]:
        job = next(job for job in [*self.jobs, None] if job is None or job.id == name)
        if job is None or job.doom == "lost":
            raise KeyError(name)
        job.looks += 1
        if job.cancelled:
            return job, "cancelled"
        if job.looks < self.looks:
            return job, "running"
        return job, {"done": "done", "hushed": "done", "full": "failed"}.get(job.doom, job.doom)

    def outcomes(self, job: Job, state: str) -> list[tuple[str, str, int, Any]]:
        """(name, fate, status, reply) of each request, made once."""
        if state == "failed":
            return []
        found = []
        for place, row in enumerate(job.rows):
            name = row.get("custom_id") or row["key"]
            fate = self.fate(name, self.asked[name])
            if state == "expired" and place % 2:
                fate = "expired"
            if state == "cancelled" and place:
                fate = "cancelled"
            body = row.get("body") or row.get("params") or row["request"]
            status, said = (
                self.speak(name, body) if fate not in ("expired", "busy", "missing", "cancelled") else (0, None)
            )
            self.answered[name] += status == 200
            found.append((name, fate, status, said))
        return found[::-1]  # in no order

    # --- OpenAI

    def _openai_file(self, body: bytes) -> Any:
        name = f"file{len(self.files)}"
        found = re.search(rb'filename="[^"]*"\r\n.*?\r\n\r\n(.*?)\r\n--', body, re.DOTALL)
        assert found and b"batch" in body
        self.files[name] = found[1]
        return 200, {"id": name, "object": "file", "bytes": 1, "created_at": 1, "filename": "x", "purpose": "batch",
                     "status": "processed"}, {}  # fmt: skip

    def _openai_create(self, body: bytes) -> Any:
        asked = json.loads(body)
        assert asked["completion_window"] == "24h"
        rows = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        assert all(row["url"] == asked["endpoint"] and row["method"] == "POST" for row in rows)
        job = self.take(asked["metadata"]["memeval"], rows)
        return job and (200, self._openai(job, "running"), {})

    def _openai(self, job: Job, state: str) -> Any:
        told = {"running": "in_progress", "done": "completed"}.get(state, state)
        errors = {"object": "list", "data": [{"code": "token_limit_exceeded", "message": "Enqueued token limit"}]}
        broken = {"object": "list", "data": [{"code": "internal", "message": "went wrong"}]}
        files = {}
        if state not in ("running", "failed"):
            if not job.results:
                good, bad = [], []
                for name, fate, status, said in self.outcomes(job, state):
                    reply = {"status_code": status, "request_id": "r", "body": said}
                    line = {"id": "b", "custom_id": name, "response": reply, "error": None}
                    if fate in ("expired", "cancelled"):
                        told_of = {"code": f"batch_{fate}", "message": "not done"}
                        line = {"id": "b", "custom_id": name, "response": None, "error": told_of}
                    if fate == "busy":
                        reply = {"status_code": 503, "request_id": "r", "body": {"error": {"message": "busy"}}}
                        line = {"id": "b", "custom_id": name, "response": reply, "error": None}
                    self._written(good if status == 200 else bad, fate, line, "custom_id")
                job.results = {"output_file_id": b"".join(good), "error_file_id": b"".join(bad)}
            for kind, content in job.results.items():
                if content:
                    files[kind] = f"{job.id}.{kind}"
                    self.files[files[kind]] = content
        return {
            "id": job.id, "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "f",
            "completion_window": "24h", "status": told, "created_at": int(job.created),
            "metadata": {"memeval": job.name}, "output_file_id": None, "error_file_id": None, **files,
            "request_counts": {"total": len(job.rows), "completed": 0, "failed": 0},
            "errors": (errors if job.doom == "full" else broken) if state == "failed" else None,
        }  # fmt: skip

    def _written(self, lines: list[bytes], fate: str, line: dict[str, Any], name: str) -> None:
        if fate == "missing":
            return
        if fate == "lonely":
            line = {**line, name: "0" * 64}
        raw = b'{"half": \n' if fate == "garbage" else json.dumps(line).encode() + b"\n"
        lines.extend([raw] * (2 if fate == "twice" else 1))

    def _openai_look(self, body: bytes, name: str) -> Any:
        return 200, self._openai(*self.look(name)), {}

    def _openai_list(self, body: bytes) -> Any:
        listed = [self._openai(job, "running") for job in reversed(self.jobs) if job.doom != "lost"]
        return 200, {"object": "list", "data": listed, "has_more": False}, {}

    def _openai_cancel(self, body: bytes, name: str) -> Any:
        job, _ = self.look(name)
        job.cancelled = True
        return 200, self._openai(job, "running"), {}

    # --- Anthropic

    def _anthropic_create(self, body: bytes) -> Any:
        job = self.take("", json.loads(body)["requests"])
        return job and (200, self._anthropic(job, "running"), {})

    def _anthropic(self, job: Job, state: str) -> Any:
        count, over = len(job.rows), state != "running"
        counts = {"processing": 0 if over else count, "succeeded": count if over else 0, "errored": 0, "canceled": 0,
                  "expired": 0}  # fmt: skip
        return {
            "id": job.id, "type": "message_batch", "processing_status": "ended" if over else "in_progress",
            "request_counts": counts, "created_at": datetime.fromtimestamp(job.created, UTC).isoformat(),
            "results_url": "https://elsewhere.invalid/results" if over else None,
        }  # fmt: skip

    def _anthropic_look(self, body: bytes, name: str) -> Any:
        return 200, self._anthropic(*self.look(name)), {}

    def _anthropic_list(self, body: bytes) -> Any:
        return 200, {"data": [self._anthropic(job, "running") for job in reversed(self.jobs)], "has_more": False}, {}

    def _anthropic_cancel(self, body: bytes, name: str) -> Any:
        job, _ = self.look(name)
        job.cancelled = True
        return 200, self._anthropic(job, "running"), {}

    def _anthropic_results(self, body: bytes, name: str) -> Any:
        job, state = self.look(name)
        lines: list[bytes] = []
        for name, fate, status, said in self.outcomes(job, state):
            result: Any = {"type": "succeeded", "message": said}
            if fate in ("expired", "cancelled"):
                result = {"type": fate.replace("cancelled", "canceled")}
            elif status != 200:
                result = {"type": "errored", "error": {"type": "error", "error": {"type": "api_error", "message": "x"}}}
            self._written(lines, fate, {"custom_id": name, "result": result}, "custom_id")
        return 200, b"".join(lines), {}

    # --- Gemini

    def _gemini_begin(self, body: bytes) -> Any:
        name = f"file{len(self.files)}"
        self.files[name] = b""
        return 200, {}, {"x-goog-upload-url": f"{self.url}/upload/{name}"}

    def _gemini_upload(self, body: bytes, name: str) -> Any:
        self.files[name] += body
        return 200, {"file": {"name": f"files/{name}"}}, {"x-goog-upload-status": "final"}

    def _gemini_create(self, body: bytes) -> Any:
        asked = json.loads(body)["batch"]
        name = asked["inputConfig"]["fileName"].removeprefix("files/")
        job = self.take(asked["displayName"], [json.loads(line) for line in self.files[name].splitlines()])
        return job and (200, self._gemini(job, "running"), {})

    def _gemini(self, job: Job, state: str) -> Any:
        told = {"done": "SUCCEEDED"}.get(state, state.upper())
        about: dict[str, Any] = {"state": f"BATCH_STATE_{told}", "displayName": job.name}
        if state not in ("running", "failed"):
            if not job.results:
                lines: list[bytes] = []
                for name, fate, status, said in self.outcomes(job, state):
                    line: dict[str, Any] = {"key": name, "response": said}
                    if fate in ("expired", "busy", "cancelled"):
                        line = {"key": name, "error": {"code": 14, "message": "unavailable"}}
                    elif status not in (0, 200):
                        line = {"key": name, "error": {"code": 3, "message": said["error"]["message"]}}
                    self._written(lines, fate, line, "key")
                job.results = {"responses": b"".join(lines)}
            self.files[f"{job.id}.responses"] = job.results["responses"]
            about["output"] = {"responsesFile": f"files/{job.id}.responses"}
        return {"name": f"batches/{job.id}", "metadata": about}

    def _gemini_look(self, body: bytes, name: str) -> Any:
        return 200, self._gemini(*self.look(name)), {}

    def _gemini_list(self, body: bytes) -> Any:
        return 200, {"operations": [self._gemini(job, "running") for job in self.jobs]}, {}

    def _gemini_cancel(self, body: bytes, name: str) -> Any:
        job, _ = self.look(name)
        job.cancelled = True
        return 200, {}, {}


def serve_runs(folder: Path, content: Any) -> None:
    """Makes the same run by batch for each line of stdin, in a process of its own, which may be killed: tells its
    number and then how it ended."""
    for module in ("google.genai", "openai"):  # read once, not by every process
        importlib.import_module(module)

    carrying.WAITS = (0.001, 0.01)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            with ScoreCache(folder / "cache" / "scores.sqlite") as cache:
                terms = Terms(cache.path, trusted=frozenset({"127.0.0.1"}), batch=Batching())
                [report] = benchmark.run(suite.make(content, "here"), folder / "results", cache=cache, terms=terms)
            os._exit(4 if report.unavailable or report.incomplete else 0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def ideal(body: Any) -> Any:
    """What a model that does as it is told would reply, in the shape of whoever was asked."""
    if "contents" in body:
        return fakes.gemini(fakes.ideal(Asked("", {}, body))).body
    if "system" in body:  # Anthropic's messages
        said = fakes.ideal(Asked("", {}, body))
        used = {"input_tokens": 60, "cache_read_input_tokens": 40, "output_tokens": 12}
        return {"model": "gpt-4o-mini-2024-07-18", "role": "assistant", "content": [{"type": "text", "text": said}],
                "stop_reason": "end_turn", "usage": used}  # fmt: skip
    if "input" in body:  # OpenAI's responses
        said = fakes.ideal(Asked("", {}, {"messages": body["input"]}))
        parts = [{"type": "output_text", "text": said, "annotations": []}]
        return {"model": body["model"], "status": "completed", "usage": {"input_tokens": 100, "output_tokens": 12},
                "output": [{"type": "message", "role": "assistant", "content": parts}]}  # fmt: skip
    return fakes.openai(fakes.ideal(Asked("", {}, body))).body


if __name__ == "__main__":
    serve_runs(Path(sys.argv[1]), json.loads(sys.argv[2]))
