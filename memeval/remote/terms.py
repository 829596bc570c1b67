"""What the user allows: which keys go where, how much may be spent, which repeat this is, and where answers are kept.

A key comes from the shell and nowhere else. A base URL that stands in a system's name may come from a project file that
somebody else wrote; the key from the shell is sent there only where the user has said so (`--trust HOST`). A base URL
from the shell, and the service's own, need no word.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from memeval.errors import UsageError
from memeval.remote.prices import Purse

SHORTEST = 6
"""Characters of the shortest key that is taken for one."""


@dataclass(frozen=True)
class Terms:
    """The terms of a run. Without `answers` (the cache's file), nothing is remembered.

    With `since` (ISO 8601, UTC), nothing that was made before then is used, and every run is made again. `repeat`
    counts from 1; `order` is another seeded order of the candidates for listwise judges, 0 the usual one.
    """

    answers: Path | None = None
    purse: Purse = field(default_factory=Purse)
    trusted: frozenset[str] = frozenset()
    repeat: int = 1
    order: int = 0
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Door:
    """Where calls go and with which key. `lacks` says what must be set before a call can be made; `own` that it is the
    service's own base URL."""

    url: str
    host: str
    key: str | None = field(repr=False)
    lacks: str | None = None
    own: bool = False

    @property
    def address(self) -> str:
        """What tells who answers from others: the whole base URL; the service's own is told by its host alone."""
        return urlsplit(plain(self.url)).netloc if self.own else plain(self.url)

    @property
    def named(self) -> dict[str, str]:
        """The address as a fingerprint holds it."""
        return {"host" if self.own else "address": self.address}

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not reach a file, a log or an error. A key of a few letters is made up for a server that wants any
        (`EMPTY`, `1`): it is no secret, and struck out it would change every reply that holds them."""
        return (self.key,) if self.key and len(self.key) >= SHORTEST else ()


def door(
    model: str,
    *,
    url: str | None,
    shell_url: str | None,
    own_url: str | None,
    variables: tuple[str, ...],
    key_from: str | None,
    terms: Terms,
    needs_key: bool = True,
) -> Door:
    """Where the calls of a system go, and with which key.

    Args:
        model: the system's name, for messages.
        url: the base URL in the system's name; shell_url: the environment variable for it; own_url: the service's own.
        variables: environment variables that may hold the key, the first one that is set.
        key_from: another variable's name, or `none` to send no key at all.

    Raises UsageError where a key from the shell would go to a host that nobody has allowed.
    """
    from_shell = os.environ.get(shell_url) if shell_url else None
    found = url or from_shell or own_url
    if not found:
        raise UsageError(f"{model!r}: say where it is: ?url=https://…")
    host = checked(found, model)
    named = variables if key_from is None else (key_from,)
    key = None if key_from == "none" else next((os.environ[name] for name in named if os.environ.get(name)), None)
    own = own_url is not None and host == urlsplit(own_url).netloc
    if key and url and not own and host not in terms.trusted and host.partition(":")[0] not in terms.trusted:
        name = next(name for name in named if os.environ.get(name))
        raise UsageError(
            f"{model.partition('?')[0]!r}: {name} would be sent to {host}, which the system's name asks for: allow it"
            f" with --trust {host}, or send no key with ?key_from=none"
        )
    lacks = None
    if key is None and key_from != "none" and (needs_key or key_from is not None):
        lacks = f"{model.partition('?')[0]!r} needs a key: set {' or '.join(named)}"
    return Door(found.rstrip("/"), host, key, lacks, own_url is not None and plain(found) == plain(own_url))


def plain(url: str) -> str:
    """A base URL as others write the same: letters of scheme and host small, no usual port, no slash at its end.

    >>> plain("HTTPS://API.example.com:443/V1/")
    'https://api.example.com/V1'
    """
    parts = urlsplit(url)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    host = parts.netloc.lower().removesuffix(f":{usual}")
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


def checked(url: str, model: str) -> str:
    """The host (and port) of a base URL. Raises UsageError, without repeating it, where it is no plain http(s) URL."""
    about = f"{model.partition('?')[0]!r}: its base URL"
    try:
        parts = urlsplit(url)
        host, _ = parts.netloc, parts.port
    except ValueError:
        raise UsageError(f"{about} is no URL") from None
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"{about} must start with https:// or http:// and name a host")
    if "@" in host or parts.query or parts.fragment:
        raise UsageError(f"{about} must hold no user, password or query: keys come from the shell")
    return host
