"""Gemini models as judges, through the google-genai SDK."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

from memeval.rerankers.hosted import dialect, faults, http, judges, network, prices, questions, replies
from memeval.rerankers.hosted.batch import gemini as batch
from memeval.rerankers.hosted.caller import Body, Send, Service
from memeval.rerankers.hosted.pace import Limits
from memeval.rerankers.hosted.stream import Hosted
from memeval.rerankers.hosted.terms import Access, Door, Terms, door

URL = "https://generativelanguage.googleapis.com"


class Gemini:
    """A Gemini model as a judge: gemini/<model>. The key is GEMINI_API_KEY or GOOGLE_API_KEY.

    `max_tokens` (1024 without word) holds thoughts and answer. `logprobs` needs a model that tells them and is asked
    for. What a service refuses by name is left out once a run, and the table says so.

    Args:
        thinking: how much the model thinks; none leaves it to the model.
        thinking_budget: tokens for thoughts, as models before Gemini 3 take it.
    """

    kind = "gemini"
    about = "a Gemini model as a judge: gemini/<model>?mode=pointwise|listwise|pairwise"
    needs = {"google.genai": "gemini", "tenacity": "gemini", "aiolimiter": "gemini", "genai_prices": "gemini"}
    streams = True

    def __init__(
        self,
        model: str,
        terms: Terms,
        judging: judges.Judging = judges.Judging(),  # noqa: B008  (frozen, as those that follow)
        asking: questions.Asking = questions.Asking(),  # noqa: B008
        thinking: Literal["minimal", "low", "medium", "high", "xhigh", "none"] = "none",
        thinking_budget: int | Literal["none"] = "none",
        access: Access = Access(),  # noqa: B008
        limits: Limits = Limits(),  # noqa: B008
    ) -> None:
        name = f"gemini/{model}"
        found = door(name, access, terms, variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
                     shell_url="GOOGLE_GEMINI_BASE_URL", own_urls=(URL,), key_header="x-goog-api-key")  # fmt: skip
        temperature = 0.0 if asking.temperature is None else asking.temperature
        settings: dict[str, Any] = {"temperature": temperature, "seed": judging.seed}
        settings = {key: value for key, value in settings.items() if value != "none"}
        if thinking != "none":
            settings["thinking_config"] = {"thinking_level": thinking.upper()}
        if thinking_budget != "none":
            settings["thinking_config"] = {"thinking_budget": thinking_budget}
        cap = asking.max_tokens if isinstance(asking.max_tokens, int) else 1024
        weighed = asking.logprobs is True and judging.mode == "pointwise"
        chat = questions.Chat(_bodies(model, settings, asking), cap, weighed)
        chosen = judges.mode(judging, chat, terms.order)
        self.scope, self.score_kind = chosen.scope, "probability" if judging.mode == "pointwise" else "rank"
        self.fingerprint = {
            "service": "gemini", "model": model, **found.named, **settings, **asking.told(), **access.told(),
            "cap": chat.cap, **chosen.fingerprint,
        }  # fmt: skip
        cost = prices.find(model, "google" if found.own else None, access.price)
        spoken = dialect.generate()
        connect, read = spoken.connected(_connect), spoken.reading(replies.gemini)
        served = Service("gemini", name, found, connect, read, cost, limits, batch.post(spoken.connected, _client))
        self.hosted = Hosted(served, terms, chosen.judge, chosen.calls, chosen.estimate)
        self.score, self.score_many = self.hosted.score, self.hosted.score_many


def _bodies(model: str, settings: Mapping[str, Any], asking: questions.Asking) -> Callable[..., Body]:
    roles = {"user": "user", "assistant": "model"}

    def body(system: str, turns: questions.Turns, schema: Mapping[str, Any], cap: int, logprobs: bool) -> Body:
        contents = [{"role": roles[who], "parts": [{"text": text}]} for who, text in turns]
        config: dict[str, Any] = {"system_instruction": system}
        if asking.max_tokens != "none":
            config["max_output_tokens"] = cap
        if asking.response_format != "none":
            config["response_mime_type"] = "application/json"
        if asking.response_format == "json_schema":
            config["response_json_schema"] = schema
        weighed = {"response_logprobs": True, "logprobs": asking.top_logprobs} if logprobs else {}
        made = {"model": model, "contents": contents, "config": {**config, **settings, **weighed}}
        return dialect.instructed(made) if asking.system_role == "none" else made

    return body


@asynccontextmanager
async def _client(found: Door, limits: Limits) -> AsyncIterator[Any]:
    """The SDK's client."""
    import httpx2
    from google import genai
    from google.genai import types

    async with http.client(found, limits) as opened:
        # One attempt, and memeval's own client: aiohttp, where it is installed, would follow redirects with the key.
        options = types.HttpOptions(
            base_url=found.url,
            timeout=int(limits.timeout * 1000),
            retry_options=types.HttpRetryOptions(attempts=1),
            httpx_async_client=opened,
            httpx_client=httpx2.Client(verify=False, trust_env=False),  # never used; without one it reads certificates
            headers={name: value for name, value in found.headers.items() if value != found.key},
        )
        try:
            client = genai.Client(api_key=found.key or "none", vertexai=False, http_options=options)
        except OSError as error:  # it reads certificates for what is not used here, also for http://
            raise network.unreadable(error) from None
        yield client


@asynccontextmanager
async def _connect(found: Door, limits: Limits) -> AsyncIterator[Send]:
    from google.genai import types

    async with _client(found, limits) as client:
        silent: dict[str, Any] = {"automatic_function_calling": {"disable": True}, "should_return_http_response": True}

        async def send(body: Body) -> str:
            config = types.GenerateContentConfig(**body["config"], **silent)
            reply = await client.aio.models.generate_content(
                model=body["model"], contents=body["contents"], config=config
            )
            told = reply.sdk_http_response
            headers = {name.lower(): value for name, value in ((told and told.headers) or {}).items()}
            return faults.whole((told and told.body) or "", headers.get("content-type", ""))

        yield send
