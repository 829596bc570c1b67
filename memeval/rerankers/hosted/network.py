"""What stands between this machine and a host, as the shell says it: certificates and proxies.

All of it is looked at before the first call. Loopback addresses, and the hosts of NO_PROXY, are reached directly.
"""

import os
import ssl
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from memeval.core.errors import PrerequisiteError
from memeval.core.plugins import installed

CERTIFICATES = {"SSL_CERT_FILE": Path.is_file, "SSL_CERT_DIR": Path.is_dir}
"""The variables that name trusted certificates, and what each must name."""
PROXIES = ("http", "https", "socks5", "socks5h")


def direct(url: str) -> bool:
    """Whether a URL's host is reached without a proxy."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.") or bool(proxy_bypass(host))


def proxied(url: str) -> tuple[str, str] | None:
    """The variable that sends calls to a URL through a proxy, and the proxy; None where they go directly."""
    found, scheme = getproxies(), urlsplit(url).scheme
    kind = scheme if scheme in found else "all"
    return (f"{kind.upper()}_PROXY", found[kind]) if found.get(kind) and not direct(url) else None


def obstacle(url: str) -> str | None:
    """Why no call to a URL can be made from this shell, and the remedy; None if nothing is in the way."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        for variable, there in CERTIFICATES.items():
            if os.environ.get(variable) and not there(Path(os.environ[variable])):
                return f"{variable} names {os.environ[variable]!r}, which is not there: correct it or unset it"
    variable, proxy = proxied(url) or ("", "")
    if not proxy:
        return None
    instead = f"or set NO_PROXY={parts.hostname}"
    try:
        about = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        good = about.scheme in PROXIES and bool(about.hostname) and (about.port or 1) > 0
    except ValueError:
        return f"the proxy in {variable} is no URL: correct it, {instead}"
    if not good:
        return f"the proxy in {variable} is of a kind that is not known here ({about.scheme}): use http://, {instead}"
    if about.scheme.startswith("socks") and not installed("socksio"):
        return f"the proxy in {variable} needs socksio: pip install socksio, {instead}"
    return None


@cache
def certificates() -> ssl.SSLContext:
    """What servers are trusted, read once: that takes longer than many a call. Raises PrerequisiteError."""
    import httpx2

    try:
        return httpx2.create_ssl_context()
    except OSError as error:  # ssl.SSLError is one, too
        raise unreadable(error) from None


def unreadable(error: OSError) -> PrerequisiteError:
    """The one line for certificates that cannot be read."""
    named = next((name for name in CERTIFICATES if os.environ.get(name)), None)
    where = f"{named}={os.environ[named]!r}" if named else "this system's certificates"
    return PrerequisiteError(f"{where} cannot be read ({error.strerror or error}): correct it or unset it")
