"""How fast judges are called: 1,000 pointwise calls at 32 in flight against a local server that answers in 200 ms.

    python benchmarks/speed_judges.py [--calls 1000] [--kind openai|gemini|rerank-api]

The bound is 1.1 x (calls / 32 x 0.2 s), CPU included; exit code 1 above it. The server is a process of its own. Answers
are stored as in a real run. The growth of memory is told for four times as many calls.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

IN_FLIGHT, SECONDS = 32, 0.2
MEMORIES = 50
SCORE = '{"level": 2, "score": 0.3}'
BODIES = {
    "openai": {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": SCORE}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 12},
    },
    "gemini": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": SCORE}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 12},
    },
    "rerank-api": {"results": [{"index": 0, "relevance_score": 0.3}]},
}


def serve(port: Any, body: bytes) -> None:
    """Answers every request after exactly SECONDS, by the clock from its last byte."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        try:
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                size = next(
                    int(line[15:]) for line in asked.split(b"\r\n") if line.lower().startswith(b"content-length:")
                )
                await reader.readexactly(size)
                until = loop.time() + SECONDS
                await asyncio.sleep(until - loop.time())
                writer.write(head + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port.value = server.sockets[0].getsockname()[1]
        await server.serve_forever()

    asyncio.run(main())


def requests(calls: int, each: int, prefix: str) -> Iterator[Any]:
    from memeval.core.types import Memory, Query

    for number in range(calls // each):
        text = f"{prefix} question {number}: when did they move"
        memories = [
            Memory(str(m), f"Maya: turn {m} of {number}, " + "we talked about the house " * 8) for m in range(each)
        ]
        yield Query(f"q{number}", text, "s"), memories


def measure(kind: str, calls: int, url: str, prefix: str) -> float:
    from memeval.core.types import Dataset
    from memeval.rerankers import load
    from memeval.rerankers.hosted.terms import Terms

    options = {"rerank-api": f"url={url}/v1", "openai": "logprobs=false", "gemini": "mode=pointwise"}[kind]
    with tempfile.TemporaryDirectory() as folder:
        terms = Terms(answers=Path(folder) / "scores.sqlite")
        name = f"{kind}/m?{options}&in_flight={IN_FLIGHT}"
        reranker: Any = load(name, Dataset("empty", "1", "", "", (), {}, {}), terms=terms)
        each = 1 if kind == "rerank-api" else MEMORIES
        start = time.perf_counter()
        answers = [scored.status for _, scored in reranker.score_many(requests(calls, each, prefix))]
        elapsed = time.perf_counter() - start
    if answers != ["ok"] * (calls // each):
        sys.exit(f"not all calls were answered: {sorted(set(answers))}")
    return elapsed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--kind", choices=list(BODIES), default="openai")
    asked = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    port = multiprocessing.Value("i", 0)
    server = multiprocessing.Process(target=serve, args=(port, json.dumps(BODIES[asked.kind]).encode()), daemon=True)
    server.start()
    while not port.value:
        time.sleep(0.01)
    url = f"http://127.0.0.1:{port.value}"
    os.environ |= {"OPENAI_BASE_URL": f"{url}/v1", "GOOGLE_GEMINI_BASE_URL": url}
    os.environ |= {"OPENAI_API_KEY": "none", "GEMINI_API_KEY": "none"}
    measure(asked.kind, MEMORIES, url, "warm")  # imports
    bound = 1.1 * asked.calls / IN_FLIGHT * SECONDS
    cpu = time.process_time()
    seconds = measure(asked.kind, asked.calls, url, "first")
    cpu = time.process_time() - cpu
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    measure(asked.kind, 4 * asked.calls, url, "second")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{asked.kind}: {asked.calls} calls in {seconds:.2f} s, CPU {cpu:.2f} s, bound {bound:.2f} s;"
        f" {grown:.1f} MB more for {4 * asked.calls} calls"
    )
    server.terminate()
    sys.exit(seconds > bound)


if __name__ == "__main__":
    main()
