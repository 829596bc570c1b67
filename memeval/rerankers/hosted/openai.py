"""Chat models behind OpenAI's API, or any server that speaks chat-completions, through the openai SDK."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal

from memeval.rerankers.hosted import dialect, faults, http, judges, prices, questions, replies, responses
from memeval.rerankers.hosted.batch import anthropic
from memeval.rerankers.hosted.batch import openai as batch
from memeval.rerankers.hosted.caller import Body, Send, Service
from memeval.rerankers.hosted.pace import Limits
from memeval.rerankers.hosted.stream import Hosted
from memeval.rerankers.hosted.terms import Access, Door, Terms, door

URL = "https://api.openai.com/v1"
CLAUDE, CLAUDE_KEY = "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"
"""Where Anthropic speaks chat completions, and the variable of the key that may go there without further word."""
AZURE = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
"""Ends of hosts that take the key in a header of its own."""
REASONING = ("o1", "o3", "o4", "gpt-5", "gpt-6")
"""Models that are known to think first: they take no temperature and tell no log-probabilities."""


class OpenAI:
    """A chat model as a judge: openai/<model>, with `url` (or OPENAI_BASE_URL) any OpenAI-compatible server.

    A pointwise score is the level that the model expects, by its log-probabilities, or the one that it prints. What a
    service refuses by name is left out once a run, and the table says so. The key is OPENAI_API_KEY. Azure is
    url=https://<resource>.openai.azure.com/openai/v1 with the deployment as model. Claude is
    url=https://api.anthropic.com/v1 with key_from=ANTHROPIC_API_KEY.

    Args:
        api: chat (chat completions) or responses, which some of OpenAI's models speak alone.
        max_tokens_as: the cap's name in requests.
        reasoning_effort: sent as it is.
        thinking: enabled or disabled, as DeepSeek, GLM and Claude behind gateways take it.
        thinking_budget: tokens for thoughts, as Claude takes it.
    """

    kind = "openai"
    about = "a chat model as a judge: openai/<model>?mode=pointwise|listwise|pairwise"
    needs = {"openai": "openai", "tenacity": "openai", "aiolimiter": "openai", "genai_prices": "openai"}
    streams = True

    def __init__(
        self,
        model: str,
        terms: Terms,
        judging: judges.Judging = judges.Judging(),  # noqa: B008  (frozen, as those that follow)
        asking: questions.Asking = questions.Asking(),  # noqa: B008
        api: Literal["chat", "responses"] = "chat",
        max_tokens_as: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens",
        reasoning_effort: str = "none",
        thinking: Literal["enabled", "disabled", "none"] = "none",
        thinking_budget: int | Literal["none"] = "none",
        access: Access = Access(),  # noqa: B008
        limits: Limits = Limits(),  # noqa: B008
    ) -> None:
        name, thinks = f"openai/{model}", model.startswith(REASONING)
        claude = access.url == CLAUDE and access.key_from == CLAUDE_KEY
        found = door(name, access, terms, variables=("OPENAI_API_KEY",), shell_url="OPENAI_BASE_URL",
                     own_urls=(CLAUDE if claude else URL,), key_header=_header)  # fmt: skip
        temperature = ("none" if thinks else 0.0) if asking.temperature is None else asking.temperature
        mind: dict[str, Any] = {} if thinking == "none" else {"type": thinking}
        if thinking_budget != "none":
            mind = {"type": "enabled", "budget_tokens": thinking_budget}
        asked = {"temperature": temperature, "seed": judging.seed, "reasoning_effort": reasoning_effort,
                 "thinking": mind or "none"}  # fmt: skip
        settings = {key: value for key, value in asked.items() if value != "none"}
        weighed = not thinks if asking.logprobs is None else asking.logprobs is True
        cap = 2048 if asking.max_tokens == "none" or (asking.max_tokens is None and thinks) else asking.max_tokens or 32
        chat = questions.Chat(
            _bodies(model, settings, asking, max_tokens_as), int(cap), weighed and judging.mode == "pointwise"
        )
        chosen = judges.mode(judging, chat, terms.order)
        self.scope, self.score_kind = chosen.scope, "probability" if judging.mode == "pointwise" else "rank"
        self.fingerprint = {
            "service": "openai", "model": model, **found.named, **settings, **asking.told(), **access.told(),
            "cap": chat.cap, **({"api": api} if api != "chat" else {}), **chosen.fingerprint,
        }  # fmt: skip
        cost = prices.find(model, ("anthropic" if claude else "openai") if found.own else None, access.price)
        spoken = dialect.chat(cap=max_tokens_as, weighed=asking.logprobs is True)
        connect, read = spoken.connected(partial(_connect, api=api)), spoken.reading(replies.openai)
        # Who takes Anthropic's key takes batches as Anthropic does.
        by_anthropic = access.key_from == CLAUDE_KEY
        post = anthropic.post(spoken.connected) if by_anthropic else batch.post(api, spoken.connected, _client)
        served = Service("openai", name, found, connect, read, cost, limits, post)
        self.hosted = Hosted(served, terms, chosen.judge, chosen.calls, chosen.estimate)
        self.score, self.score_many = self.hosted.score, self.hosted.score_many


def _header(host: str) -> str:
    return "api-key" if host.partition(":")[0].endswith(AZURE) else "Authorization"


def _bodies(model: str, settings: Mapping[str, Any], asking: questions.Asking, cap_as: str) -> Callable[..., Body]:
    def body(system: str, turns: questions.Turns, schema: Mapping[str, Any], cap: int, logprobs: bool) -> Body:
        messages = [{"role": who, "content": text} for who, text in turns]
        if asking.system_role == "none":
            messages[0]["content"] = dialect.joined(system, messages[0]["content"])
        else:
            messages.insert(0, {"role": asking.system_role, "content": system})
        made: dict[str, Any] = {"model": model, "messages": messages}
        if asking.response_format == "json_schema":
            shape = {"name": "answer", "strict": True, "schema": schema}
            made["response_format"] = {"type": "json_schema", "json_schema": shape}
        elif asking.response_format == "json_object":
            made["response_format"] = {"type": "json_object"}
        if asking.max_tokens != "none":
            made[cap_as] = cap
        return {**made, **settings, **({"logprobs": True, "top_logprobs": asking.top_logprobs} if logprobs else {})}

    return body


@asynccontextmanager
async def _client(found: Door, limits: Limits) -> AsyncIterator[tuple[Any, dict[str, Any]]]:
    """The SDK's client, and the headers that go with each of its calls."""
    from openai import AsyncOpenAI, Omit

    headers: dict[str, Any] = {"Authorization": Omit(), **found.headers}
    async with AsyncOpenAI(
        api_key=found.key or "none",
        base_url=found.url,
        max_retries=0,
        timeout=http.timeout(limits),
        http_client=http.client(found, limits),
    ) as client:
        yield client, headers


@asynccontextmanager
async def _connect(found: Door, limits: Limits, api: str) -> AsyncIterator[Send]:
    import httpx2

    async with _client(found, limits) as (client, headers):

        async def send(body: Body) -> str:
            # The SDK's own way past its typed parameters: they cost a fifth of a call's CPU and change nothing here.
            path, made = ("/chat/completions", body) if api == "chat" else (responses.PATH, responses.asked(body))
            reply = await client.post(path, cast_to=httpx2.Response, body=made, options={"headers": headers})
            raw = faults.whole(reply.text, reply.headers.get("content-type", ""))
            return raw if api == "chat" else responses.answered(raw)

        yield send
