"""From results to what people read. Nothing here computes a score or needs a model.

Results → leaderboards → terminal | Markdown | HTML | LaTeX | CSV | JSON
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from memeval.core.errors import UsageError, did_you_mean
from memeval.core.files import write_whole
from memeval.core.types import Result
from memeval.measures.statistics import Difference
from memeval.report.board import Leaderboard, Row
from memeval.report.evidence import Evidence
from memeval.report.leaderboard import groups, leaderboard, leaderboards
from memeval.report.terminal import print_leaderboard
from memeval.report.terms import Detail

__all__ = ["Difference", "Leaderboard", "Row", "groups", "leaderboard", "leaderboards", "print_leaderboard", "write"]

FORMATS = {
    ".md": "markdown",
    ".html": "html",
    ".tex": "latex",
    ".csv": "tidy",
    ".json": "json_",
    ".parquet": "parquet",
}
"""Suffix → module of this folder with `render(boards) -> str | bytes`."""


def write(
    results: Sequence[Result],
    path: Path,
    *,
    missing: Mapping[str, str] = {},
    evidence: Mapping[bytes, Evidence] | None = None,
    detail: Detail = "interesting",
) -> None:
    """Writes a report in the format of the path's suffix, whole or not at all.

    Args:
        missing: systems that could not be measured, with the reason.
        evidence: what lies beside the results (see evidence.py); pages show more with it.
        detail: how many queries a page's explorer holds.

    Raises UsageError for an unknown suffix or without results, DataError where results contradict each other, and
    PrerequisiteError where the file cannot be written, or a package for its format is missing; an earlier file is then
    untouched.
    """
    boards = leaderboards(results, missing=missing)
    found = import_module(f"{__name__}.{module(path)}")
    write_whole(path, found.render(boards, evidence, detail) if path.suffix == ".html" else found.render(boards))


def module(path: Path) -> str:
    """The module that writes a path's format. Raises UsageError for an unknown suffix."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        known = did_you_mean("", FORMATS)
        raise UsageError(f"{path}: there is no report format {suffix or 'without a suffix'!r}{known}")
    return FORMATS[suffix]
