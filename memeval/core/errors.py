"""The tree of errors.

What the user can mend is a MemevalError: one line that names the thing, the place and the remedy. `exit_code` is what
the command line returns for it. Anything else that escapes is a bug: it keeps its traceback and ends with 70, which no
CI takes for a regression (1). The other codes: 0 done, 130 interrupted, 141 nobody reads what is printed.

MemevalError
├── UsageError (2)            a name, option or file the user wrote is wrong
│   ├── SuiteError            a benchmark file
│   ├── DataError             a data set, run, qrels or results file
│   └── PluginError           code of somebody else fails, or wants to end the process
├── PrerequisiteError (3)     something is missing here: an extra, data, a model, a device, a writable folder
└── IncompleteError (4)       the work stopped before it was done; the same command resumes it
    └── ServiceError          a service takes no more calls: no key, no credits, a day's limit, no such model
"""

import difflib
from collections.abc import Iterable

UNEXPECTED = 70
"""Exit code of an error that nobody foresaw (EX_SOFTWARE)."""
UNREAD = 141
"""Exit code where the reader of stdout has gone, as a shell tells of it: not 0, since a verdict may have been lost."""


class MemevalError(Exception):
    """Base of all errors that the user can mend."""

    exit_code = 2


class UsageError(MemevalError):
    """A name, option or argument is wrong."""


class SuiteError(UsageError):
    """A benchmark file is wrong; the message starts with file and key."""


class DataError(UsageError):
    """A data file is wrong; the message starts with file and, where there is one, line."""


class PluginError(UsageError):
    """Code of somebody else, run by memeval, raised something; the message starts with whose it is."""


class PrerequisiteError(MemevalError):
    """Something this needs is not here."""

    exit_code = 3


class IncompleteError(MemevalError):
    """The work stopped before it was done."""

    exit_code = 4


class ServiceError(IncompleteError):
    """A service said that it takes no calls any more; nothing further was sent to it."""


DISTRIBUTION = "memeval-bench"
"""What installs this package; the name `memeval` belongs to somebody else there."""


def install(extra: str) -> str:
    """The command that installs an extra.

    >>> install("hub")
    'pip install "memeval-bench[hub]"'
    """
    return f'pip install "{DISTRIBUTION}[{extra}]"'


MOST = 40
"""Of how many known names an error tells all."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the closest known name, else ` (known: …)` for all, or the first ones of very many.

    >>> did_you_mean("locmo", ["locomo", "beir"])
    " (did you mean 'locomo'?)"
    >>> did_you_mean("zzz", ["locomo", "beir", "beir"])
    ' (known: beir, locomo)'
    """
    names = sorted({*known})
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f" (did you mean {close[0]!r}?)"
    more = f" and {len(names) - MOST:,} more" if len(names) > MOST + 1 else ""
    return f" (known: {', '.join(names[: MOST if more else None])}{more})"
