"""Gemini models as judges, through the google-genai SDK."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from memeval.errors import UsageError
from memeval.remote import faults, http, judges, prices, replies
from memeval.remote.caller import Body, Send, Service
from memeval.remote.pace import Limits
from memeval.remote.stream import Hosted
from memeval.remote.terms import Door, Terms, door
from memeval.types import Memory, Query, Request, Scored

URL = "https://generativelanguage.googleapis.com"
THINKING = ("minimal", "low", "medium", "high", "xhigh")


class Gemini:
    """A Gemini model as a judge: gemini/<model>. The key is GEMINI_API_KEY or GOOGLE_API_KEY.

    `mode` and its options are those of openai/…; `thinking` is minimal, low, medium or high (without it, the model's
    own default), and `max_tokens` holds thoughts and answer. `logprobs` needs a model that tells them.
    """

    kind = "gemini"
    about = "a Gemini model as a judge: gemini/<model>?mode=pointwise|listwise|pairwise"
    needs = {"google.genai": "gemini", "tenacity": "gemini", "aiolimiter": "gemini", "genai_prices": "gemini"}
    streams = True

    def __init__(
        self,
        model: str,
        terms: Terms,
        mode: str = "pointwise",
        logprobs: bool = False,
        temperature: float = 0.0,
        thinking: str | None = None,
        max_tokens: int = 1024,
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
        name = f"gemini/{model}"
        found = door(
            name, url=url, shell_url="GOOGLE_GEMINI_BASE_URL", own_url=URL,
            variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"), key_from=key_from, terms=terms,
        )  # fmt: skip
        if thinking not in (None, *THINKING):
            raise UsageError(f"{name!r}: thinking is one of {', '.join(THINKING)}, not {thinking!r}")
        settings: dict[str, Any] = {"temperature": temperature, "seed": seed}
        if thinking is not None:
            settings["thinking_config"] = {"thinking_level": thinking.upper()}
        chat = judges.Chat(_bodies(model, settings), max_tokens, logprobs and mode == "pointwise")
        chosen = judges.mode(
            mode, chat, window=window, step=step, direction=direction, schedule=schedule, rounds=rounds, seed=seed,
            order=terms.order,
        )  # fmt: skip
        self.scope, self.calls, self.estimate = chosen.scope, chosen.calls, chosen.estimate
        self.score_kind = "probability" if mode == "pointwise" else "rank"
        self.fingerprint = {
            "service": "gemini", "model": model, **found.named, **settings, "cap": chat.cap, **chosen.fingerprint
        }  # fmt: skip
        limits = Limits(in_flight, requests_per_minute, tokens_per_minute, attempts, timeout=timeout)
        cost = prices.find(model, "google" if found.own else None, price)
        self.hosted = Hosted(
            Service("gemini", name, found, _connect, replies.gemini, cost, limits), terms, chosen.judge
        )

    def score(self, query: Query, memories: Sequence[Memory]) -> Sequence[float]:
        """The judge's scores."""
        return self.hosted.score(query, memories)

    def score_many(self, requests: Iterable[Request]) -> Iterator[tuple[int, Scored]]:
        """As they come, all queries in flight at once."""
        return self.hosted.score_many(requests)


def _bodies(model: str, settings: Mapping[str, Any]) -> Any:
    roles = {"user": "user", "assistant": "model"}

    def body(system: str, turns: judges.Turns, schema: Mapping[str, Any], cap: int, logprobs: bool) -> Body:
        contents = [{"role": roles[who], "parts": [{"text": text}]} for who, text in turns]
        shape = {"response_mime_type": "application/json", "response_json_schema": schema}
        weighed = {"response_logprobs": True, "logprobs": 10} if logprobs else {}
        config = {"system_instruction": system, "max_output_tokens": cap, **shape, **settings, **weighed}
        return {"model": model, "contents": contents, "config": config}

    return body


@asynccontextmanager
async def _connect(found: Door, limits: Limits) -> AsyncIterator[Send]:
    import httpx2
    from google import genai
    from google.genai import types

    async with http.client(limits) as opened:
        # One attempt, and memeval's own client: aiohttp, where it is installed, would follow redirects with the key.
        options = types.HttpOptions(
            base_url=found.url,
            timeout=int(limits.timeout * 1000),
            retry_options=types.HttpRetryOptions(attempts=1),
            httpx_async_client=opened,
            httpx_client=httpx2.Client(verify=http.certificates()),  # never used; without one it reads certificates
        )
        client = genai.Client(api_key=found.key or "none", vertexai=False, http_options=options)
        silent: dict[str, Any] = {"automatic_function_calling": {"disable": True}, "should_return_http_response": True}

        async def send(body: Body) -> str:
            config = types.GenerateContentConfig(**body["config"], **silent)
            reply = await client.aio.models.generate_content(
                model=body["model"], contents=body["contents"], config=config
            )
            told = reply.sdk_http_response
            headers = {name.lower(): value for name, value in ((told and told.headers) or {}).items()}
            return faults.parsed((told and told.body) or "", headers.get("content-type", ""))

        yield send
