"""Chat models behind OpenAI's API, or any server that speaks chat-completions, through the openai SDK."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from memeval.remote import faults, http, judges, prices, replies
from memeval.remote.caller import Body, Send, Service
from memeval.remote.pace import Limits
from memeval.remote.stream import Hosted
from memeval.remote.terms import Door, Terms, door
from memeval.types import Memory, Query, Request, Scored

URL = "https://api.openai.com/v1"
REASONING = ("o1", "o3", "o4", "gpt-5", "gpt-6")
"""Models that think first: they take no temperature and tell no log-probabilities."""


class OpenAI:
    """A chat model as a judge: openai/<model>, with `url` (or OPENAI_BASE_URL) any OpenAI-compatible server.

    `mode` is pointwise (the expected level where `logprobs`, else the printed score), listwise (`window`, `step`,
    `direction`, `seed`) or pairwise (`schedule`, `rounds`). The key is OPENAI_API_KEY.
    """

    kind = "openai"
    about = "a chat model as a judge: openai/<model>?mode=pointwise|listwise|pairwise"
    needs = {"openai": "openai", "tenacity": "openai", "aiolimiter": "openai", "genai_prices": "openai"}
    streams = True

    def __init__(
        self,
        model: str,
        terms: Terms,
        mode: str = "pointwise",
        logprobs: bool | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        window: int = 20,
        step: int = 10,
        direction: str = "up",
        schedule: str = "swiss",
        rounds: int = 5,
        seed: int = 0,
        url: str | None = None,
        key_from: str | None = None,
        price: str | None = None,
        in_flight: int = 32,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        attempts: int = 6,
        timeout: float = 60.0,
    ) -> None:
        name, thinks = f"openai/{model}", model.startswith(REASONING)
        found = door(
            name, url=url, shell_url="OPENAI_BASE_URL", own_url=URL, variables=("OPENAI_API_KEY",), key_from=key_from,
            terms=terms,
        )  # fmt: skip
        settings = (
            {"seed": seed} if thinks else {"temperature": 0.0 if temperature is None else temperature, "seed": seed}
        )
        weighed = mode == "pointwise" and (not thinks if logprobs is None else logprobs)
        chat = judges.Chat(_bodies(model, settings), max_tokens or (2048 if thinks else 32), weighed)
        chosen = judges.mode(
            mode, chat, window=window, step=step, direction=direction, schedule=schedule, rounds=rounds, seed=seed,
            order=terms.order,
        )  # fmt: skip
        self.scope, self.calls, self.estimate = chosen.scope, chosen.calls, chosen.estimate
        self.score_kind = "probability" if mode == "pointwise" else "rank"
        self.fingerprint = {
            "service": "openai", "model": model, **found.named, **settings, "cap": chat.cap, **chosen.fingerprint
        }  # fmt: skip
        limits = Limits(in_flight, requests_per_minute, tokens_per_minute, attempts, timeout=timeout)
        cost = prices.find(model, "openai" if found.own else None, price)
        self.hosted = Hosted(
            Service("openai", name, found, _connect, replies.openai, cost, limits), terms, chosen.judge
        )

    def score(self, query: Query, memories: Sequence[Memory]) -> Sequence[float]:
        """The judge's scores."""
        return self.hosted.score(query, memories)

    def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
        """As they come, all queries in flight at once."""
        return self.hosted.score_many(requests)


def _bodies(model: str, settings: Mapping[str, Any]) -> Any:
    def body(system: str, turns: judges.Turns, schema: Mapping[str, Any], cap: int, logprobs: bool) -> Body:
        messages = [{"role": "system", "content": system}, *({"role": who, "content": text} for who, text in turns)]
        shape = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
        weighed = {"logprobs": True, "top_logprobs": 10} if logprobs else {}
        return {"model": model, "messages": messages, "response_format": shape, "max_completion_tokens": cap,
                **settings, **weighed}  # fmt: skip

    return body


@asynccontextmanager
async def _connect(found: Door, limits: Limits) -> AsyncIterator[Send]:
    import httpx2
    from openai import AsyncOpenAI

    async with AsyncOpenAI(
        api_key=found.key or "none",
        base_url=found.url,
        max_retries=0,
        timeout=limits.timeout,
        http_client=http.client(limits),
    ) as client:

        async def send(body: Body) -> str:
            # The SDK's own way past its typed parameters: they cost a fifth of a call's CPU and change nothing here.
            reply = await client.post("/chat/completions", cast_to=httpx2.Response, body=body)
            return faults.parsed(reply.text, reply.headers.get("content-type", ""))

        yield send
