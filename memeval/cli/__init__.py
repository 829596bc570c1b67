"""The command line. Results on stdout, progress on stderr; exit codes are those of errors.py.

Nothing heavy is imported before a command needs it.
"""

import errno
import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from memeval.cli import ci, looking, reading, running
from memeval.cli.options import stop
from memeval.errors import MemevalError

app = typer.Typer(
    name="memeval",
    help="Benchmarks rerankers for agent memory.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _register(function: Callable[..., Any]) -> None:
    """Registers a command; what the user can mend becomes one line on stderr and its exit code."""

    @functools.wraps(function)
    def mended(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except MemevalError as error:
            stop(str(error), error.exit_code)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            stop(f"what stdout goes to cannot be written ({error.strerror})", 3)
        except KeyboardInterrupt:
            stop("interrupted; what was finished is saved, the same command resumes it", 130)

    app.command(name=function.__name__.rstrip("_"))(mended)


for _command in (
    running.run,
    running.plan,
    reading.score,
    reading.compare,
    running.parity,
    reading.report,
    reading.overlap,
    looking.list_,
    looking.show,
    ci.check,
    ci.verify,
    ci.merge,
    looking.help_,
    looking.doctor,
):
    _register(_command)


def main() -> None:
    """The `memeval` command."""
    app()
