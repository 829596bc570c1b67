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
from memeval.report.evidence import Detail, Evidence
from memeval.report.leaderboard import groups, leaderboard, leaderboards
from memeval.report.terminal import print_leaderboard

__all__ = ["Difference", "Leaderboard", "Row", "groups", "leaderboard", "leaderboards", "print_leaderboard", "write"]

FORMATS = {
    ".md": "markdown.render",
    ".html": "html.render",
    ".tex": "latex.render",
    ".csv": "exports.csv",
    ".json": "exports.json",
    ".parquet": "exports.parquet",
}
"""Suffix → module of this folder, and its function from leaderboards to a file's content."""
WITH_EVIDENCE = (".md", ".html", ".json")
"""What also shows what lies beside results: these functions are given each leaderboard with its evidence."""


def write(results: Sequence[Result], path: Path, *, missing: Mapping[str, str] = {}) -> None:
    """Writes a report of results alone, in the format of the path's suffix; see `save`.

    Args:
        missing: systems that could not be measured, with the reason.

    Raises UsageError without results, and DataError where results contradict each other.
    """
    format_of(path)
    save([(board, Evidence()) for board in leaderboards(results, missing=missing)], path)


def save(
    found: Sequence[tuple[Leaderboard, Evidence]],
    path: Path,
    detail: Detail = "interesting",
    unrun: Mapping[str, str] = {},
) -> None:
    """Writes leaderboards in the format of the path's suffix, whole or not at all.

    Args:
        found: each with what lies beside its results (see evidence.py); pages show more with it.
        detail: how many queries a page's explorer holds.
        unrun: grounds on which nothing was run, with the reason.

    Raises UsageError for an unknown suffix, and PrerequisiteError where the file cannot be written or a package for its
    format is missing. An earlier file is then untouched.
    """
    module, function = format_of(path).split(".")
    render = getattr(import_module(f"{__name__}.{module}"), function)
    if path.suffix.lower() in WITH_EVIDENCE:
        write_whole(path, render(found, unrun, detail) if module == "html" else render(found, unrun))
    else:
        write_whole(path, render([board for board, _ in found]))


def format_of(path: Path) -> str:
    """The module and function that write a path's format. Raises UsageError for an unknown suffix."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        known = did_you_mean("", FORMATS)
        raise UsageError(f"{path}: there is no report format {suffix or 'without a suffix'!r}{known}")
    return FORMATS[suffix]
