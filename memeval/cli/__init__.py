"""The command line. Results on stdout, progress on stderr; exit codes are those of errors.py.

Nothing heavy is imported before a command needs it.
"""

import errno
import functools
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from memeval.cli import ci, distilling, looking, reading, running
from memeval.core.errors import UNEXPECTED, UNREAD, MemevalError, PrerequisiteError, UsageError
from memeval.core.outside import interrupts, secret
from memeval.core.terminal import reserved, say, stop, trace
from memeval.core.values import shown

SIZES = ("COLUMNS", "LINES", "TERMINAL_WIDTH")
"""Variables of which rich, click and typer want numbers."""
DISK = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors of a disk, which need not say what file they came upon."""


class Commands(TyperGroup):
    """All commands, and the one place where an error becomes an exit code."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Runs a command and ends with its code: one line for what the user can mend, a traceback for what is a bug."""
        _mend_environment()
        try:
            with interrupts():
                code = super().main(*arguments, **{**options, "standalone_mode": False}) or 0
        except MemevalError as error:
            code = _said(str(error), error.exit_code)
        except BrokenPipeError:
            code = UNREAD
        except OSError as error:
            # What a file or its disk has against it is no bug.
            if error.filename is None and error.errno not in DISK:
                code = _bug()
            else:
                code = _said(f"{error.filename or 'the disk'}: {error.strerror}", PrerequisiteError.exit_code)
        except SystemExit as error:  # click's own: for completion in a shell, and for a reader that has gone
            code = UNREAD if isinstance(error.__context__, BrokenPipeError) else error.code
        except BaseException as error:  # noqa: BLE001  (whatever it is, it is told, and is no success)
            code = _misused(error) if hasattr(error, "format_message") else _bug()
        sys.exit(code)

    def invoke(self, ctx: Any) -> Any:
        """The command itself."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            stop("interrupted; what was finished is saved, the same command resumes it", 130)
        except SystemExit as error:  # typer.Exit is none: somebody else wants to end the process, perhaps with 0
            if isinstance(error.__context__, BrokenPipeError):
                raise
            raise RuntimeError(f"SystemExit({error.code!r}) was raised where memeval runs no foreign code") from error


class RayCommand(TyperCommand):
    """The command whose `--ray` may stand without an address."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts an empty address behind a `--ray` that has none."""
        said = [
            f"{word}=" if word == "--ray" and not re.match(r"auto$|local$|[^-/][^/]*:\d+$|ray://", after) else word
            for word, after in zip(args, [*args[1:], ""], strict=False)
        ]
        return super().parse_args(ctx, said)


NAMED = ("system", "dataset", "suite", "judge")
"""Parameters whose values are names, or files of them, whose own readers look for secrets."""


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    """A command that has stdout for itself, and is not run where a value of it holds a secret, is no text, or is where
    nothing can be written though something is to be."""

    @functools.wraps(command)
    def guarded(**given: Any) -> None:
        types = get_type_hints(command, include_extras=True)
        for name, value in given.items():
            option = f"--{name.replace('_', '-')}"
            for one in value if isinstance(value, (list, tuple)) else [value]:
                if not isinstance(one, (str, Path)):
                    continue
                if name not in NAMED and (kept := secret(str(one))):
                    raise UsageError(f"{option}: holds {kept}: keys come from the shell")
                if re.search("[\ud800-\udfff]", str(one)):  # a byte of the shell's that is no letter of UTF-8
                    raise UsageError(f"{option}: {shown(str(one))} is not UTF-8: rename what is called so")
                for check in filter(callable, types[name].__metadata__):
                    check(one)
        with reserved():
            command(**given)

    return guarded


app = typer.Typer(
    name="memeval",
    cls=Commands,
    help="Benchmarks rerankers for agent memory.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    running.run,
    running.plan,
    running.batches,
    running.label,
    distilling.distil,
    reading.score,
    reading.compare,
    reading.headroom,
    running.parity,
    reading.report,
    reading.overlap,
    reading.claims,
    reading.agreement,
    looking.list_,
    looking.show,
    ci.check,
    ci.verify,
    ci.submit,
    ci.merge,
    looking.help_,
    looking.doctor,
):
    _kind = RayCommand if _command is running.run else None
    app.command(name=_command.__name__.rstrip("_"), cls=_kind)(_guarded(_command))


def main() -> None:
    """The `memeval` command."""
    app()


def _mend_environment() -> None:
    """Takes variables away that would stop a library which memeval uses, and that mean nothing to memeval."""
    for name in SIZES:
        if not re.fullmatch(r"0*[1-9][0-9]{0,4}", os.environ.get(name, "1")):
            del os.environ[name]
    os.environ.pop("MPLBACKEND", None)  # figures go into files, and into no window
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # what it says of its own caches


def _said(message: str, code: int) -> int:
    say(f"memeval: {message}")
    return code


def _misused(error: Any) -> int:
    """A wrong option or argument, as click has it."""
    message = error.format_message()
    if "\n" in message or not message:  # the help of a command that was given no arguments
        error.show()
        return int(error.exit_code)
    command = getattr(getattr(error, "ctx", None), "command_path", "memeval")
    return _said(f"{message.rstrip('.')}: see {command} --help", 2)


def _bug() -> int:
    """An error that nobody foresaw: told in full, with an exit code that stands for nothing else."""
    trace(traceback.format_exc())
    return UNEXPECTED
