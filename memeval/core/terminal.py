"""The way out to stdout and stderr: the only place that writes there, so that nothing foreign is obeyed on the way.

Results go to stdout, everything else to stderr. What a terminal or GitHub's runner would take for a command is replaced
where it can be seen, secrets are struck out. While a command runs, both are `reserved` for it: what others print, or
write to stderr, goes the same way to stderr, and that they close or replace either harms nobody.
"""

import errno
import io
import json
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import typer

from memeval.core.errors import PrerequisiteError
from memeval.core.outside import OBEYED, plain, struck, visible
from memeval.core.values import finite

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 200
"""A cell that is wider stands out of its column of a table, and widens no other line."""
LONGEST = 4_000
"""Characters of the longest line on stderr."""
_COMMAND = re.compile(r"(?m)^(\s*):(?=:)|#(?=#\w*\[)")
"""What GitHub's runner takes for a command: two colons at the beginning of a line, `##[` anywhere."""


_own: TextIO | None = None
_own_errors: TextIO | None = None
_show: Callable[[str], None] | None = None


def _stdout() -> TextIO | None:
    return sys.stdout if _own is None else _own


def stderr() -> TextIO | None:
    """Stderr itself, where others have but what stands in for it; what is written there must be harmless."""
    return sys.stderr if _own_errors is None else _own_errors


@contextmanager
def reserved() -> Iterator[None]:
    """Keeps stdout for what memeval tells; whatever else is written there, also past Python, goes to stderr.

    What others write to stderr within Python is told line by line, as memeval's own lines are.
    """
    global _own, _own_errors  # noqa: PLW0603  (as stdout itself, they are the process's)
    if _own is not None or sys.stdout is None:
        yield
        return
    before, errors, kept = sys.stdout, sys.stderr, None
    foreign = _Foreign(say), _Foreign(lambda line: trace(f"{line}\n"))
    sys.stdout, sys.stderr = foreign
    with suppress(OSError, ValueError):
        before.flush()
        if before.fileno() == 1:
            kept = os.dup(1)
            os.dup2(2, 1)
    _own = before if kept is None else os.fdopen(kept, "w", encoding=before.encoding, errors=before.errors)
    _own_errors = errors
    try:
        yield
    finally:
        for stand_in in foreign:
            with suppress(Exception):
                stand_in.close()
        sys.stdout, sys.stderr = before, errors
        if kept is not None:
            try:
                with suppress(BrokenPipeError):
                    _own.flush()
            finally:
                os.dup2(kept, 1)
                _own.close()
        _own = _own_errors = None


@contextmanager
def above(show: Callable[[str], None]) -> Iterator[None]:
    """While it lasts, lines for stderr are handed to `show`, as where bars stand there that must not be torn."""
    global _show  # noqa: PLW0603  (as stderr itself, it is the process's)
    before, _show = _show, show
    try:
        yield
    finally:
        _show = before


class _Lines(io.RawIOBase):
    """Tells what is written, line by line; of a line that is written over, what came last."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told, self._line = told, b""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def isatty(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        *lines, self._line = (self._line + bytes(data)).split(b"\n")
        for line in filter(bytes.strip, lines):
            self._told(line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace"))
        return len(data)

    def rest(self) -> None:
        """Tells a last line that has no end."""
        self.write(b"\n")


class _Foreign(io.TextIOWrapper):
    """What stands in where others write. It stays open, since others may close it for all."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._lines = _Lines(told)
        super().__init__(io.BufferedWriter(self._lines), encoding="utf-8", errors="replace", line_buffering=True)

    def close(self) -> None:
        self.flush()
        self._lines.rest()


def aligned(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> list[str]:
    """Rows of text as lines of a table, two blanks between columns. Those in `left` begin in line, others end in line.

    >>> aligned([("system", "pairs"), ("bm25", "1,000")])
    ['system  pairs', 'bm25    1,000']
    >>> [len(line) for line in aligned([("system", "pairs"), ("x" * 3000, "1"), ("bm25", "1,000")])]
    [13, 3007, 13]
    """
    from rich.cells import cell_len

    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [
        max((wide for cell in column if (wide := cell_len(cell)) <= WIDE), default=0)
        for column in zip(*shown, strict=True)
    ]
    lines = []
    for row in shown:
        gaps = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        placed = (c + gap if n in left else gap + c for n, (c, gap) in enumerate(zip(row, gaps, strict=True)))
        lines.append("  ".join(placed).rstrip())
    return lines


def tell(text: str, *, command: bool = False) -> None:
    """Results, on stdout. A `command` is one for GitHub's runner, made by memeval."""
    _out(_harmless(visible(struck(text), lines=True), command=command).rstrip("\n") + "\n")


def tell_json(value: Any) -> None:
    """A value as JSON on stdout; what must not reach a terminal is escaped, and a number that is none is null."""
    text = struck(json.dumps(finite(value), indent=1, allow_nan=False))
    escaped = OBEYED.sub(lambda found: found[0] if found[0] in "\n\t" else f"\\u{ord(found[0]):04x}", text)
    _out(re.sub(r"#(?=#\w*\[)", r"\\u0023", escaped).rstrip("\n") + "\n")


def say(message: str, *, command: bool = False) -> None:
    """One line on stderr, as `tell`. Where stderr cannot be written, there is nobody to tell."""
    line = plain(struck(message))
    line = line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
    _line(_harmless(line, command=command) + "\n")


def stop(message: str, code: int) -> NoReturn:
    """Ends the command with one line on stderr and an exit code."""
    say(f"memeval: {message}")
    raise typer.Exit(code)


def trace(text: str) -> None:
    """A traceback on stderr, or whatever else has several lines, or begins with blanks."""
    _line(_harmless(visible(struck(text), lines=True)))


def _line(text: str) -> None:
    if _show is None:
        write(stderr(), text)
    else:
        _show(text)


@contextmanager
def printing() -> Iterator["Console"]:
    """A console of rich's for stdout: with colours where that is a terminal."""
    page = _Page()
    yield console(page)
    text = page.getvalue()
    _out(text if page.isatty() else _harmless(visible(struck(text), lines=True)))


class _Page(io.StringIO):
    """Text that passes for stdout while it is written."""

    encoding = property(lambda self: getattr(_stdout(), "encoding", None) or "utf-8")

    def isatty(self) -> bool:
        stream = _stdout()
        return stream is not None and stream.isatty()


def console(stream: TextIO) -> "Console":
    """A console of rich's whose own escape sequences reach the stream, and nobody else's."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class Harmless(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                text, style, control = segment
                yield segment if control or not OBEYED.search(text) else Segment(visible(text, lines=True), style)

    return Harmless(file=stream, highlight=False)


def write(stream: TextIO | None, text: str) -> None:
    """Writes at once, or not at all where the stream is closed, full or gone."""
    try:
        typer.echo(text, file=stream, nl=False, color=True)
    except (OSError, ValueError):
        return


def _harmless(text: str, *, command: bool = False) -> str:
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return text
    return _COMMAND.sub(lambda found: found[0] if command and found[0] != "#" else f"{found[1] or ''}\ufffd", text)


def _out(text: str) -> None:
    """Raises BrokenPipeError where nobody reads any more, PrerequisiteError where stdout cannot be written."""
    try:
        typer.echo(text, file=_stdout(), nl=False, color=True)
    except BrokenPipeError:
        _silence()
        raise
    except OSError as error:
        _silence()
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise PrerequisiteError(
            f"what stdout goes to cannot be written ({error.strerror}){': free some space' if full else ''}"
        ) from None


def _silence() -> None:
    """What is left in the buffer would fail again when the process ends."""
    if (stream := _stdout()) is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
