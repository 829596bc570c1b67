"""What a call that gave no answer is: a status, and whether asking again may help.

Retried: 408, 409, 425, 429 (unless a quota is used up), 5xx but 501, timeouts, connections that broke, and a body that
is half a JSON, which is a connection that broke, too; so is a 200 that says it is an error. Everything else is final.
What says that the service takes no calls at all now (no such key, no credits, a day's limit reached, no such model, a
wait of hours) stops the run: see CallError.remedy. So does a door that is `shut` (a refused port, an unknown host, an
untrusted certificate, a wrong key), but a port that has been open before is tried again; and so do many calls in a row
of which nothing came that the service itself would say. No error's text holds a key: who sent it strikes it out
(caller.py).

One file, though a long one: a third of it is the words by which services are told apart.
"""

import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from memeval.core import files
from memeval.core.types import Status
from memeval.core.values import answered

RETRIED = frozenset({408, 409, 425, 429})
REMEDIES = {
    401: "check the key",
    407: "check the proxy",
    402: "add credits",
    403: "check what the key may do",
    404: "check the model's name and the base URL",
    405: "check the base URL",
    410: "check the model's name and the base URL",
}
"""HTTP status → what the user can do about a service that answers every call so."""
OWING = (
    r"insufficient[ _](quota|balance|credit|funds)|billing_(hard_limit|not_active)|credit balance"
    r"|\b(out of|no) credits?\b|not enough credit|exceeded_current_quota|payment required|arrearage"
)
SPENT = re.compile(
    rf"{OWING}|(per|a|each|this|/)[ _-]?(day|month)\b|daily|monthly|\b[RT]PD\b|today",
    re.IGNORECASE,
)
"""What a 429 says that waiting a little does not mend; Gemini says it in the quotaId of its limits (`PerDay`)."""
PASSING = re.compile(r"per[ _-]?(min|sec)", re.IGNORECASE)
"""What it says where its other words only advertise (`add credits for 1,000 requests per day`)."""
MARKS = (
    (
        re.compile(
            r"API_KEY_INVALID|(invalid|incorrect|expired)[ _]?(x-)?api[ _-]?key|unauthori[sz]ed"
            r"|authentication[ _](error|fail)",
            re.IGNORECASE,
        ),
        REMEDIES[401],
    ),
    (
        re.compile(
            r"model_not_found|DEPLOYMENT_?NOT_?FOUND|not a valid model"
            r"|invalid[ _]model([ _](name|id))?( passed|\W*$|\s*[:='\"`])"
            r"|\bmodel\b[^\n]{0,80}(\bnot exist\b|\bnot found\b|decommissioned)",
            re.IGNORECASE,
        ),
        REMEDIES[404],
    ),
    (re.compile(OWING, re.IGNORECASE), REMEDIES[402]),
)
"""What services say under other statuses than those, as Gemini does of a wrong key in a 400."""
FLAGGED = re.compile(
    r"moderation|flagged|content[ _-]?(policy|filter|exists risk)|ResponsibleAIPolicyViolation|usage guidelines"
    r"|inappropriate content|data_?inspection",
    re.IGNORECASE,
)
"""A 400 or 403 that is about what was asked and not about who asks: a refusal before the model has read it."""
DAYS = 300.0
"""Seconds: a service that wants to be left alone for longer takes no calls now, which is no matter of pace."""
WORDS = ("error", "errors", "detail", "message", "msg")
"""Where services put what they have to say."""
CODES = ("code", "status", "status_code", "statusCode", "http_status")
"""Where they put the status that they did not answer with."""
SAID = ("param", "loc", "message", "msg", "detail", "error", "errors", "reason", "raw", "code", "type", "status")
"""Where they say what is wrong, the most exact first; not where they repeat the request (`input`)."""
LONGEST = 300
"""Characters of a service's own words that are kept in an error."""


class CallError(Exception):
    """A call that gave no answer.

    `again` says that asking once more may help, `after` how many seconds the service wants to be left alone,
    `billed` that the service may have worked all the same. `remedy` is given where no other call would fare better: it
    says what the user can do; `shut` that nobody gets in at all. `status_code` is the HTTP status, if there was one.
    `words` are what a service says of a request that it refuses, and `adapted` that the next one will differ by that.
    `silent` says that nothing came of the service's own: a page, a gateway's words, or no reply at all.
    """

    def __init__(
        self,
        status: Status,
        why: str,
        *,
        again: bool = False,
        after: float | None = None,
        billed: bool = False,
        remedy: str | None = None,
        shut: bool = False,
    ) -> None:
        why = why.encode("utf-8", "replace").decode()  # a lone surrogate, which could not be written down
        super().__init__(why)
        self.status, self.why, self.again, self.after, self.billed = status, why, again, after, billed
        self.remedy = remedy
        self.shut, self.adapted, self.silent, self.words = shut, False, False, ""
        self.status_code: int | None = None


class UnreadableError(ValueError):
    """A model's answer that is not what was asked for; the text is shown to the model, once."""


def classify(error: Exception) -> CallError:
    """The fault behind an exception of openai, google-genai or httpx2, told apart by what they have in common."""
    if isinstance(error, CallError):
        return error
    status = code(error)
    if status is not None:
        return of_status(status, _headers(error), _words(error))
    causes = list(_causes(error))
    names = {kind.__name__ for cause in causes for kind in type(cause).__mro__}
    shut = _shut(causes)
    if shut is not None:
        return CallError("failed", shut[0], again=True, remedy=shut[1], shut=True)
    if names & {"TimeoutError", "TimeoutException", "APITimeoutError"}:
        return CallError("timed-out", "no answer in time", again=True, billed=True)
    if names & {"TransportError", "APIConnectionError", "ConnectionError", "DecodingError"}:
        return CallError("failed", f"the connection broke ({_last(causes)})", again=True, billed=True)
    if isinstance(error, json.JSONDecodeError | RecursionError):  # an SDK has read it
        return CallError("failed", "the reply is half a JSON", again=True, billed=True)
    return CallError("failed", f"{type(error).__name__}: {short(str(error))}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what caused it, outermost first."""
    found: BaseException | None = error
    seen: set[int] = set()
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        inner = found.exceptions if isinstance(found, BaseExceptionGroup) else ()
        found = inner[0] if inner else found.__cause__ or found.__context__


def _shut(causes: Sequence[BaseException]) -> tuple[str, str] | None:
    """Why no connection came about, and what to do; None where one did, or may have."""
    for cause in causes:
        kind = type(cause).__name__
        if isinstance(cause, ssl.SSLCertVerificationError):
            told = cause.verify_message or "it cannot be verified"
            return f"its certificate is not trusted: {told}", "name the authority's file in SSL_CERT_FILE"
        if isinstance(cause, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(cause):
            return "it does not speak TLS", "write the URL with http://"
        if isinstance(cause, socket.gaierror):
            return f"the host is not known: {cause.strerror}", "correct the URL, or see to the network"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused", "start the server, or correct host and port"
        if kind == "ProxyError":
            return f"the proxy does not let calls through: {short(str(cause))}", "see HTTPS_PROXY and NO_PROXY"
        if kind == "ConnectTimeout":
            return "no connection came about in time", "see to the network, the host and the port"
        if kind == "LocalProtocolError":
            return "a header cannot be sent", "set the key again, without spaces and line breaks"
    if any(type(cause).__name__ == "ConnectError" for cause in causes):
        return f"no connection came about ({_last(causes)})", "see to the network, the host and the port"
    return None


def _last(causes: Sequence[BaseException]) -> str:
    """The innermost cause, in its own words."""
    last = causes[-1]
    words = getattr(last, "strerror", None) or str(last)
    return f"{type(last).__name__}: {short(words)}" if words else type(last).__name__


def of_status(code: int, headers: Any, words: str) -> CallError:
    """The fault behind an HTTP status."""
    fault = _of_status(code, headers, words)
    fault.status_code = code
    return fault


def _of_status(code: int, headers: Any, words: str) -> CallError:
    why, after = f"HTTP {code}: {short(words)}" if words else f"HTTP {code}", _after(headers, words)
    if code in (400, 403) and any(map(FLAGGED.search, said(words))):
        return CallError("refused", f"the prompt was filtered ({why})")
    if code == 429:
        spent = "PerDay" in words or (SPENT.search(words) and not PASSING.search(words))
        if spent or (after or 0) > DAYS:
            return CallError("rate-limited", f"quota used up: {why}", remedy="wait for the limit to pass, or raise it")
        return CallError("rate-limited", why, again=True, after=after)
    remedy = REMEDIES.get(405 if 300 <= code < 400 else code) or _marked(words)
    if remedy:
        return CallError("failed", why, remedy=remedy, shut=remedy == REMEDIES[401])
    if code in RETRIED or (code >= 500 and code != 501):
        if (after or 0) > DAYS:
            return CallError("failed", why, remedy=f"it wants to be left alone for {after:.0f} seconds")
        status: Status = "timed-out" if code in (408, 504) else "failed"
        return CallError(status, why, again=True, after=after, billed=code in (408, 504))
    fault = CallError("failed", why)
    fault.words = words if code in (400, 422, 501) else ""
    return fault


def inside(document: Any, otherwise: str) -> CallError:
    """The fault behind a 200 without an answer: by the code and in the words of the service, where it says any.

    Without, it is `unparsable`, for the reason given.
    """
    document = document[0] if isinstance(document, list) and document else document
    about = document if isinstance(document, Mapping) else {}
    told = {name: about[name] for name in (*CODES, *WORDS) if about.get(name)}
    if not set(told) & set(WORDS):
        return CallError("unparsable", otherwise)
    first, *others = told.values()
    words = first if isinstance(first, str) and not others else json.dumps(told, ensure_ascii=False)
    for code in _codes(told):
        if isinstance(code, (int, str)) and re.fullmatch("[45][0-9][0-9]", str(code)):
            return of_status(int(code), {}, words)
    why, remedy = f"the service says: {short(words)}", _marked(words)
    fault = CallError("failed", why, again=remedy is None, billed=True, remedy=remedy, shut=remedy == REMEDIES[401])
    fault.words = words
    return fault


def _codes(value: Any) -> Iterator[Any]:
    """What stands under CODES anywhere in a document, the innermost first."""
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _codes(inner)
    if isinstance(value, Mapping):
        yield from (value[name] for name in CODES if name in value)


def _marked(words: str) -> str | None:
    return next((remedy for mark, remedy in MARKS if any(map(mark.search, said(words)))), None)


def said(words: str) -> list[str]:
    """What a service's words say, the most exact first."""
    try:
        document = files.parsed(words)
    except ValueError:
        return [words]
    found: dict[str, list[str]] = {}

    def collect(value: Any, name: str) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                collect(inner, key)
        elif isinstance(value, list):
            for inner in value:
                collect(inner, name)
        elif isinstance(value, str):
            found.setdefault(name, []).append(value)

    collect(document, "message")
    return [text for name in SAID for text in found.get(name, ())] or [words]


def whole(raw: str, content_type: str) -> str:
    """The body of a successful reply.

    Raises CallError for a page, for half a JSON (asked again), and in the service's own words where it is an error.
    """
    kind, raw = content_type.partition(";")[0].strip().lower(), raw.removeprefix("\ufeff")
    try:
        found = answered(raw)
    except ValueError:
        if "json" in kind:
            raise CallError("failed", "the reply is half a JSON", again=True, billed=True) from None
        raise CallError("unparsable", f"the reply is no JSON but {kind or 'without a type'!r}") from None
    found = found[0] if isinstance(found, list) and found else found
    # Some gateways answer 200 and put the error inside.
    if isinstance(found, Mapping) and (found.get("error") or found.get("errors")):
        raise inside(found, "")
    return raw


def short(text: str) -> str:
    """One line of at most LONGEST characters."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def code(error: Exception) -> int | None:
    """The HTTP status behind an exception."""
    for name in ("status_code", "code"):
        found = getattr(error, name, None)
        if isinstance(found, str) and len(found) == 3 and found.isascii() and found.isdigit():
            found = int(found)
        if isinstance(found, int) and 100 <= found < 600:
            return found
    return None


def _headers(error: Exception) -> Any:
    return getattr(getattr(error, "response", None), "headers", None) or {}


def _words(error: Exception) -> str:
    for name in ("body", "details"):
        found = getattr(error, name, None)
        if found:
            return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, default=str)
    return str(getattr(error, "message", "") or error)


def _after(headers: Any, words: str) -> float | None:
    """Seconds from Retry-After (number or date), retry-after-ms (OpenAI), or RetryInfo in the body (Gemini)."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    told = headers.get("retry-after")
    if told:
        seconds = _number(told)
        if seconds is not None:
            return seconds
        try:
            return max(0.0, parsedate_to_datetime(told).timestamp() - time())
        except ValueError:
            return None
    _, _, rest = words.partition('"retryDelay": "')
    return _number(rest.partition("s")[0]) if rest else None


def _number(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None
