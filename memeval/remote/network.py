"""What stands between this machine and a host, as the shell says it: certificates and proxies.

All of it is looked at before the first call. Loopback addresses, and the hosts of NO_PROXY, are reached directly.
"""

import os
import ssl
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from memeval.errors import PrerequisiteError

CERTIFICATES = {"SSL_CERT_FILE": Path.is_file, "SSL_CERT_DIR": Path.is_dir}
"""The variables that name trusted certificates, and what each must name."""
PROXIES = ("http", "https", "socks5", "socks5h")


def direct(url: str) -> bool:
    """Whether a URL's host is reached without a proxy."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.") or bool(proxy_bypass(host))


def obstacle(url: str) -> str | None:
    """Why no call to a URL can be made from this shell, and the remedy; None if nothing is in the way."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        for variable, there in CERTIFICATES.items():
            if os.environ.get(variable) and not there(Path(os.environ[variable])):
                return f"{variable} names {os.environ[variable]!r}, which is not there: correct it or unset it"
    if direct(url):
        return None
    found = getproxies()
    kind = parts.scheme if parts.scheme in found else "all"
    proxy = found.get(kind)
    if not proxy:
        return None
    try:
        about = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        good = about.scheme in PROXIES and bool(about.hostname) and (about.port or 1) > 0
    except ValueError:
        return f"the proxy in {kind.upper()}_PROXY is no URL: correct it, or set NO_PROXY={parts.hostname}"
    if not good:
        return (
            f"the proxy in {kind.upper()}_PROXY is of a kind that is not known here ({about.scheme}): use http://,"
            f" or set NO_PROXY={parts.hostname}"
        )
    if about.scheme.startswith("socks") and not _socks():
        return f"the proxy in {kind.upper()}_PROXY needs socksio: pip install socksio, or set NO_PROXY={parts.hostname}"
    return None


def _socks() -> bool:
    from memeval.plugins import installed

    return installed("socksio")


@cache
def certificates() -> ssl.SSLContext:
    """What servers are trusted, read once: that takes longer than many a call. Raises PrerequisiteError."""
    import httpx2

    try:
        return httpx2.create_ssl_context()
    except OSError as error:  # ssl.SSLError is one, too
        named = next((name for name in CERTIFICATES if os.environ.get(name)), None)
        where = f"{named}={os.environ[named]!r}" if named else "this system's certificates"
        raise PrerequisiteError(f"{where} cannot be read ({error.strerror or error}): correct it or unset it") from None
