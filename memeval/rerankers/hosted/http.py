"""A plain HTTP client for services that have no SDK here: JSON out, JSON back.

Redirects are not followed: a key goes to the host it was meant for and to no other.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from memeval.core.errors import PrerequisiteError
from memeval.rerankers.hosted import faults, network
from memeval.rerankers.hosted.caller import Body, Send
from memeval.rerankers.hosted.pace import Limits
from memeval.rerankers.hosted.terms import Door

LOGGERS = ("httpx2", "httpcore2", "openai", "google_genai")
"""Their debugging output holds headers as they went over the wire, so they are kept to warnings."""

CONNECT = 10.0
"""Seconds in which a connection must stand."""

if TYPE_CHECKING:
    import httpx2


def client(found: Door, limits: Limits) -> "httpx2.AsyncClient":
    """An httpx2 client with as many connections as calls may be in flight; the SDKs are given one, too.

    Raises PrerequisiteError where certificates or proxies of this shell are in the way.
    """
    import httpx2

    for name in LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger(name).level))
    most = httpx2.Limits(max_connections=limits.in_flight, max_keepalive_connections=limits.in_flight)
    try:
        return httpx2.AsyncClient(
            timeout=timeout(limits),
            limits=most,
            follow_redirects=False,
            verify=network.certificates() if found.url.startswith("https") else False,
            trust_env=not network.direct(found.url),
        )
    except (ImportError, ValueError) as error:
        raise PrerequisiteError(f"{found.host} cannot be reached through this shell's proxy ({error})") from None


def timeout(limits: Limits) -> "httpx2.Timeout":
    """The seconds of an attempt, and of a connection."""
    import httpx2

    return httpx2.Timeout(limits.timeout, connect=min(CONNECT, limits.timeout))


@asynccontextmanager
async def poster(found: Door, path: str, limits: Limits, headers: Mapping[str, str]) -> AsyncIterator[Send]:
    """Posts requests to one path below a base URL, with further headers than the door's."""
    async with client(found, limits) as opened:

        async def send(body: Body) -> str:
            reply = await opened.post(f"{found.url}{path}", json=body, headers={**headers, **found.headers})
            if reply.status_code != 200:
                raise faults.of_status(reply.status_code, reply.headers, reply.text)
            return faults.whole(reply.text, reply.headers.get("content-type", ""))

        yield send
