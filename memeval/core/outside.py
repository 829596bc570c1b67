"""What comes from outside and is not trusted: text that is shown, secrets that stand in it, and code of others.

Text goes out through `visible`, what is written down of names, commands and errors through `struck`, and foreign code
runs within `contained`. Each is here once, so that no place has a rule of its own.
"""

import functools
import json
import os
import re
import signal
import sysconfig
import threading
import traceback
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from memeval.core.errors import MemevalError, PluginError

LONGEST = 300
"""Characters of a foreign error's own words that are kept."""
OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys instead of showing it, what changes the direction of reading, and what cannot be encoded."""

SHAPES = re.compile(
    r"\bsk-[A-Za-z0-9_-]{20,}|\bAIza[\w-]{30,}|\bhf_[A-Za-z0-9]{24,}|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}"
    r"|\bAKIA[0-9A-Z]{16}\b|\bxox[abprs]-[\w-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY|(?i:\bbearer\s+[\w.~+/-]{20,})"
)
"""Keys and tokens that can be told by their shape."""
_USER = re.compile(
    r"(?:(?<=://)|(?<=\w\w:/)(?!/))(?!\[(?:…|\\u2026)\]@)"
    r"(?:[^/\s\"'?#\\]+|[^/\s\"'?#\\:]*:(?!\d+(?:[/?#\"'\s]|$))[^\s\"'\\]*)(?:@|%40)(?=[\w\[])"
)
"""User and password of a URL, also where the sign behind them is escaped, or a path has taken one slash away."""
_TO_HOST = re.compile(r"(?<![^\s\"'\\])[^\s\"'\\]*(?:@|%40)[\w\[]")
"""A word up to the last sign in it that may stand behind a user: only there one is sought, in time that grows with the
text and not with its square."""
_KEY = r"[\w-]*(?:api[-_]?key|access[-_]?key|token|secret|password|passwd|credentials?|signature|authorization|bearer)"
_KEY_LIKE = re.compile(rf"(?i)(?:{_KEY}|key|sig|auth|pwd|pass|headers?)$")
_PARAMETER = re.compile(rf"(?i)(?<=[?&;])({_KEY}|key|sig|auth|pwd|pass)=[^&\s\"'\\]+")
_PATH = re.compile(r"(?:(?<![\w.~:/-])|(?<=[\w-]/)|(?<=file://))/[^\s/\"'<>:,;()|]+(?:/[^\s/\"'<>:,;()|]+)+/?")
"""What reads like a whole path: not within a word or a URL, but behind `kind/` or `file://`."""
_FORMULA = r"""(^|[,;\t])%s(?=['" ]*[=+\-@＝＋－＠])"""
"""What a spreadsheet runs where a cell begins, which is behind whatever it takes for a separator."""
_VARIABLE = re.compile(r"(_|^)(API_?KEY|KEY|TOKEN|SECRET|PASS(WD|PHRASE)?)$|PASSWORD$", re.IGNORECASE)
SHORTEST = 8
"""Characters of the shortest value of a variable that is taken for a key."""


def visible(text: str, *, lines: bool = False) -> str:
    """A line without characters that could move, hide or colour what stands around it; with `lines`, many lines.

    >>> visible("a\\nb\\x1b[31m"), visible("a\\nb", lines=True)
    ('a\ufffdb\ufffd[31m', 'a\\nb')
    """
    return OBEYED.sub(lambda found: "\n" if lines and found[0] == "\n" else "\ufffd", text)


def plain(text: object) -> str:
    """Foreign text in one line with single blanks, and as `visible`.

    >>> plain("a\\nb\\x1b[31m")
    'a b\ufffd[31m'
    """
    return visible(" ".join(str(text).split()))


def inert(text: str) -> str:
    """Text for a cell of CSV or TSV, with ' in front of what a spreadsheet would run as a formula.

    >>> inert("=cmd()"), inert("a; +1"), inert("minilm-l6"), lively(inert("'=x"))
    ("'=cmd()", "a;' +1", 'minilm-l6', "'=x")
    """
    return re.sub(_FORMULA % "", r"\1'", text)


def lively(text: str) -> str:
    """What was made `inert`, as it was."""
    return re.sub(_FORMULA % "'", r"\1", text)


def known_as(path: str, name: str) -> None:
    """Has a place on this machine shown by a name that does not tell where it is, wherever a text is `struck`."""
    _names[path] = name


_names: dict[str, str] = {}


def struck(text: str) -> str:
    """A text without the secrets in it: users of URLs, parameters that are keys, what has a key's shape or value.

    Places that have a name are shown by it (see `known_as`).

    >>> struck("run --system openai/m?url=https://ann:pw@host/v1&api_key=abc")
    'run --system openai/m?url=https://[…]@host/v1&api_key=[…]'
    """
    text = _TO_HOST.sub(lambda word: _USER.sub("[…]@", word[0]), text)
    text = _PARAMETER.sub(r"\1=[…]", SHAPES.sub("[…]", text))
    text = without(text, set_keys().values(), "[…]")
    for path in sorted((path for path in _names if path in text), key=len, reverse=True):
        text = re.sub(rf"{re.escape(path)}(?![\w-]|\.\w)", _names[path].replace("\\", r"\\"), text)
    return text


def placeless(text: str) -> str:
    """A text as others may read it: `struck`, and files of this machine told without the folders that they lie in.

    What is below the working folder is told from there. What only looks like a path, as that of a URL does, stays.

    >>> placeless("run python//usr/lib/mine.py:make --url http://host/v1/x (in '/usr/lib/more.py')")
    "run python/mine.py:make --url http://host/v1/x (in 'more.py')"
    """
    return _PATH.sub(_told_from_here, struck(text))


def _told_from_here(found: re.Match[str]) -> str:
    path = Path(found[0])
    if not os.path.isdir(Path(*path.parts[:2])):  # noqa: PTH112  (is_dir raises for a name that is too long)
        return found[0]
    with suppress(OSError):  # the working folder is gone
        if path.is_relative_to(Path.cwd()):
            return path.relative_to(Path.cwd()).as_posix()
    return path.name


def without(text: str, secrets: Iterable[str], mark: str) -> str:
    """A text with a mark in the place of each secret, however it is written, and of one that the text's end cuts off.

    >>> without("no such key: sk-4711, sk-47…", ["sk-4711"], "[key]")
    'no such key: [key], [key]…'
    """
    for form in (form for secret in secrets for form in forms(secret)):
        text = text.replace(form, mark)
        begun = (form[:length] for length in range(len(form) - 1, 3, -1) if text.endswith(f"{form[:length]}…"))
        if part := next(begun, None):
            text = f"{text[: -1 - len(part)]}{mark}…"
    return text


@functools.cache
def forms(secret: str) -> tuple[str, ...]:
    """How a secret is written where somebody repeats it: as it is, escaped for JSON or a URL, in base64.

    >>> forms("a/b=")
    ('a/b=', 'a\\\\/b=', 'a/b%3D', 'a%2Fb%3D', 'YS9iPQ')
    """
    raw, escaped = secret.encode(errors="surrogateescape"), json.dumps(secret)[1:-1]
    urls, packed = (quote(raw), quote(raw, safe="")), b64encode(raw).decode().rstrip("=")
    return tuple(dict.fromkeys((secret, escaped, escaped.replace("/", r"\/"), *urls, packed)))


def names_user(text: str) -> bool:
    """Whether a URL with a user or password stands in a text.

    >>> names_user("see https://ann:pw@host/"), names_user("see https://host:80/@ann")
    (True, False)
    """
    return any(_USER.search(word[0]) for word in _TO_HOST.finditer(text))


def secret(text: str) -> str | None:
    """What kind of secret stands in a text, for a message that does not repeat it; None without one."""
    for said in (text, unquote(text)):
        if names_user(said):
            return "a URL with a user or password"
        keys = (form for value in set_keys().values() for form in forms(value))
        if _PARAMETER.search(said) or SHAPES.search(said) or any(form in said for form in keys):
            return "a key or token"
    return None


def secret_option(option: str, value: str) -> str | None:
    """As `secret`, for an option of a system's name that the system may or may not have."""
    if option.endswith("_from"):  # key_from and the like name a variable
        return None if value.isidentifier() and not SHAPES.search(value) else "no variable's name, perhaps a key"
    if _KEY_LIKE.match(option):
        return "a key or token"
    if "://" in value or option == "url":
        try:
            parts = urlsplit(value)
        except ValueError:
            return None  # no URL: that is told by whoever wants one
        if parts.query or parts.fragment or "@" in parts.netloc or (not parts.netloc and "@" in value):
            return "a URL with a user, password, query or fragment"
    return secret(value)


def set_keys() -> dict[str, str]:
    """variable → value of those in the environment that hold a key, by their names."""
    return {name: value for name, value in os.environ.items() if _VARIABLE.search(name) and len(value) >= SHORTEST}


# --- code


def told(error: BaseException) -> str:
    """An exception in one line: its kind, and its own words without secrets."""
    try:
        words = str(error)
    except BaseException:  # noqa: BLE001  (even that is foreign code)
        words = ""
    said = words if isinstance(error, MemevalError) else f"{type(error).__name__}: {words}"
    return plain(struck(said))[:LONGEST].rstrip(": ")


def place(error: BaseException | None) -> str:
    """Where in somebody's own file an exception came up, as ` (mine.py, line 4)`; nothing where none is their own."""
    paths = sysconfig.get_paths()
    installed = (str(Path(__file__).parents[1]), *(paths[name] for name in ("stdlib", "purelib", "platlib")))
    frames = () if error is None else traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_file() and not frame.filename.startswith(installed)]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


@contextmanager
def staying() -> Iterator[None]:
    """Around code of others, which may change the working folder: relative paths mean the same afterwards."""
    try:
        here = Path.cwd()
    except OSError:  # it is gone: nothing relative is there
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):
            os.chdir(here)


@contextmanager
def contained(what: str, *, own: bool = False) -> Iterator[None]:
    """Around code of others. Raises PluginError, one line that begins with `what`, for whatever it raises.

    sys.exit() and the like end the system that calls them, never memeval. Errors of memeval's own and the user's Ctrl-C
    pass; so do bugs, where the code is memeval's `own` and only what it calls is of others.
    """
    try:
        with staying():
            yield
    except MemevalError:
        raise
    except BaseException as error:
        if by_user(error) or (own and isinstance(error, Exception)):
            raise
        raise PluginError(f"{what} ({told(error)})") from error


class _Interrupts:
    """Whether Ctrl-C is watched for, and whether it came: code can raise KeyboardInterrupt without anybody's wish."""

    watched = came = False


def by_user(error: BaseException) -> bool:
    """Whether an exception is the user's Ctrl-C."""
    return isinstance(error, KeyboardInterrupt) and (_Interrupts.came or not _Interrupts.watched)


@contextmanager
def interrupts() -> Iterator[None]:
    """Watches for Ctrl-C, so that `by_user` knows it from a KeyboardInterrupt that some code raised."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: object) -> None:
        _Interrupts.came = True
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before not in (signal.default_int_handler, signal.SIG_IGN):  # somebody else's
        yield
        return
    if before is not signal.SIG_IGN:  # as it is in the background of a script: then none is the user's
        signal.signal(signal.SIGINT, note)
    _Interrupts.watched, _Interrupts.came = True, False
    try:
        yield
    finally:
        _Interrupts.watched = False
        signal.signal(signal.SIGINT, before)
