"""What the user allows: which keys go where, how much may be spent, which repeat this is, and where answers are kept.

A key comes from the shell and nowhere else. A base URL that stands in a system's name may come from a project file that
somebody else wrote; the key from the shell is sent there only where the user has said so (`--trust HOST`). A base URL
from the shell, and the service's own, need no word. The same holds for headers from the shell.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from memeval.core import names
from memeval.core.errors import UsageError
from memeval.rerankers.hosted import network
from memeval.rerankers.hosted.prices import Purse

SHORTEST = 6
"""Characters of the shortest key that is taken for one."""


@dataclass(frozen=True, slots=True)
class Batching:
    """That a system is asked by batch. `repairs` says how a model is told what is wrong with its answer: online, or in
    a further batch. With a `folder`, jobs are files there, for `vllm run-batch`."""

    repairs: Literal["online", "batch"] = "online"
    folder: Path | None = None


@dataclass(frozen=True)
class Terms:
    """The terms of a run. Without `answers` (the cache's file), nothing is remembered. Without `batch`, calls are made
    one by one.

    With `since` (ISO 8601, UTC), nothing that was made before then is used, and every run is made again. `repeat`
    counts from 1; `order` is another seeded order of the candidates for listwise judges, 0 the usual one.
    """

    answers: Path | None = None
    purse: Purse = field(default_factory=Purse)
    trusted: frozenset[str] = frozenset()
    repeat: int = 1
    order: int = 0
    since: str | None = None
    batch: Batching | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """How a service is reached.

    Args:
        url: the base URL, where it is not the service's own.
        key_from: the environment variable that holds the key, `none` to send no key.
        key_header: the header that the key goes in; without word the service's own way.
        headers_from: an environment variable with further headers, one `Name: value` a line.
        price: what calls cost: 0; INPUT,OUTPUT[,CACHED] in dollars for a million tokens (0.15,0.60); N/1000-calls or
            N/1000-searches in dollars for a thousand of them (2/1000-searches).
    """

    url: str | None = None
    key_from: str | None = None
    key_header: str | None = None
    headers_from: str | None = None
    price: str | None = None

    def told(self) -> dict[str, str]:
        """What a fingerprint says of it: headers may choose who answers."""
        return {"headers_from": self.headers_from} if self.headers_from else {}


@dataclass(frozen=True, slots=True)
class Door:
    """Where calls go, with which key and headers. `lacks` says what must be mended before a call can be made, `own`
    that it is the service's own base URL."""

    url: str
    host: str
    key: str | None = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    lacks: str | None = None
    own: bool = False

    @property
    def address(self) -> str:
        """What tells who answers from others: the whole base URL; the service's own is told by its host alone."""
        return urlsplit(normal(self.url)).netloc if self.own else normal(self.url)

    @property
    def named(self) -> dict[str, str]:
        """The address as a fingerprint holds it."""
        return {"host" if self.own else "address": self.address}

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not reach a file, a log or an error. A key of a few letters is made up for a server that wants any
        (`EMPTY`, `1`): it is no secret, and struck out it would change every reply that holds them."""
        return tuple(text for text in (self.key, *self.headers.values()) if text and len(text) >= SHORTEST)


def door(
    model: str,
    access: Access,
    terms: Terms,
    *,
    variables: Sequence[str],
    shell_url: str | None = None,
    own_urls: Sequence[str] = (),
    key_header: str | Callable[[str], str] = "Authorization",
    needs_key: bool = True,
) -> Door:
    """Where the calls of a system go, with which key and headers.

    Args:
        model: the system's name, for messages.
        variables: environment variables that may hold the key, the first one that is set.
        shell_url: the environment variable for the base URL; own_urls: the service's own, the usual one first.
        key_header: the header of the key, `:` and what stands before it if that is not `Bearer`; may hang on the host.

    Raises UsageError where a key or headers from the shell would go to a host that nobody has allowed.
    """
    from_shell = os.environ.get(shell_url) if shell_url else None
    url = access.url or from_shell or next(iter(own_urls), None)
    short = names.apart(model)[0]
    if not url:
        raise UsageError(f"{model!r}: say where it is: ?url=https://…")
    host = checked(url, model, None if access.url or not from_shell else shell_url)
    named = tuple(variables) if access.key_from is None else (access.key_from,)
    variable = next((name for name in named if os.environ.get(name)), None)
    key = None if access.key_from == "none" or variable is None else os.environ[variable]
    sent = [*([variable] if key and variable else []), *([access.headers_from] if access.headers_from else [])]
    own = host in {urlsplit(known).netloc for known in own_urls}
    if sent and access.url and not own and host not in terms.trusted and host.partition(":")[0] not in terms.trusted:
        raise UsageError(
            f"{short!r}: {' and '.join(sent)} would be sent to {host}, which the system's name asks for: allow it"
            f" with --trust {host}, or send no key with ?key_from=none"
        )
    lacks, headers = None, dict[str, str]()
    if key is None and access.key_from != "none" and (needs_key or access.key_from is not None):
        lacks = f"{short!r} needs a key: set {' or '.join(named)}"
    elif key and not sendable(key):
        lacks = f"{short!r}: {variable} holds a space, a line break or another letter that no key has: set it again"
    elif access.headers_from:
        headers, lacks = _headers(access.headers_from, short)
    if key and not lacks:
        usual = key_header if isinstance(key_header, str) else key_header(host)
        header, _, before = (access.key_header or usual).partition(":")
        before = before.strip() or ("Bearer" if header == "Authorization" else "")
        headers = {header: f"{before} {key}".strip(), **headers}
    blocked = network.obstacle(url)
    if blocked and not lacks:
        lacks = f"{short!r} cannot reach {host}: {blocked}"
    return Door(url.rstrip("/"), host, key, headers, lacks, normal(url) in map(normal, own_urls))


def normal(url: str) -> str:
    """A base URL as others write the same: letters of scheme and host small, no usual port, no slash at its end.

    >>> normal("HTTPS://API.example.com:443/V1/")
    'https://api.example.com/V1'
    """
    parts = urlsplit(url)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    host = parts.netloc.lower().removesuffix(f":{usual}")
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


def sendable(key: str) -> bool:
    """Whether a text can be a key in a header.

    >>> sendable("sk-1"), sendable("sk 1"), sendable("sk–1")
    (True, False, False)
    """
    return key.isascii() and key.isprintable() and " " not in key


def _headers(variable: str, plain: str) -> tuple[dict[str, str], str | None]:
    """The headers that an environment variable holds, or what is wrong with it."""
    lines = [line.strip() for line in os.environ.get(variable, "").splitlines() if line.strip()]
    if not lines:
        return {}, f"{plain!r} takes headers from {variable}, which is not set"
    found = {}
    for line in lines:
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not sendable(name) or not name or not value or not sendable(value.replace(" ", "")):
            return {}, f"{plain!r}: {variable} must hold headers, one `Name: value` a line"
        found[name] = value
    return found, None


def checked(url: str, model: str, variable: str | None = None) -> str:
    """The host (and port) of a base URL, which may come from an environment variable.

    Raises UsageError, without repeating it, where it is no plain http(s) URL.
    """
    about = f"{names.apart(model)[0]!r}: its base URL{f' in {variable}' if variable else ''}"
    try:
        parts = urlsplit(url)
        host, name, _ = parts.netloc, parts.hostname, parts.port
    except ValueError:
        raise UsageError(f"{about} is no URL") from None
    if parts.scheme not in ("http", "https") or not name:
        raise UsageError(f"{about} must start with https:// or http:// and name a host")
    if "@" in host or "?" in url or "#" in url:
        raise UsageError(f"{about} must hold no user, password or query: keys come from the shell")
    return host
