"""From folders of results to reports: reads what lies there, and writes what a reader asks for."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from memeval import report
from memeval.core.errors import UsageError, did_you_mean
from memeval.core.files import write_whole
from memeval.core.types import Result
from memeval.datasets.download import beside
from memeval.report import evidence, texts
from memeval.report.board import Leaderboard
from memeval.report.evidence import Collection, Evidence
from memeval.report.terms import DETAILS, PLOT_FORMATS, Detail
from memeval.runs.suite import slug

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, eq=False)
class Found:
    """Results, and what lies beside them."""

    collection: Collection
    evidence: Mapping[bytes, Evidence]
    detail: Detail

    def boards(self) -> list[tuple[Leaderboard, Evidence]]:
        """The leaderboards with their evidence."""
        boards = report.leaderboards(self.collection.results, missing=self.collection.missing)
        keys = (evidence.comparable(board.rows[0].result) for board in boards)
        return [(board, self.evidence.get(key, Evidence())) for board, key in zip(boards, keys, strict=True)]


def read(paths: Sequence[Path], *, texts: str = "free", detail: str = "interesting") -> Found:
    """All results in files or below folders. Raises UsageError where there are none, or for an unknown choice."""
    for name, value, known in (("--detail", detail, DETAILS), ("--texts", texts, get_args(evidence.Texts))):
        if value not in known:
            raise UsageError(f"{name} {value}: there is no such choice{did_you_mean(value, known)}")
    collection = evidence.collect(paths)
    if not collection.sources:
        raise UsageError(f"no results in {', '.join(map(str, paths))}: `memeval run` makes some")
    return _found(collection, cast(evidence.Texts, texts), cast(Detail, detail))


def of(results: Sequence[Result], folders: Sequence[Path], missing: Mapping[str, str]) -> Found:
    """The given results, with what lies beside them in their folders."""
    wanted = {result.signature.run_digest: result for result in results}
    sources = [
        replace(source, result=wanted[source.result.signature.run_digest])
        for source in evidence.collect([folder for folder in folders if folder.is_dir()]).sources
        if source.result.signature.run_digest in wanted
    ]
    return _found(Collection(tuple(sources), missing), "free", "interesting")


def _found(collection: Collection, whose: evidence.Texts, detail: Detail) -> Found:
    with beside(*{source.file.parent for source in collection.sources}):
        return Found(collection, evidence.gather(collection, texts.load, texts=whose, meanwhile=_ahead), detail)


def _ahead() -> None:
    """Loads what a page will need."""
    from memeval.report import html

    html.load()


def write(found: Found, path: Path) -> None:
    """One report file, in the format of its suffix."""
    report.write(
        found.collection.results,
        path,
        missing=found.collection.missing,
        evidence=found.evidence,
        detail=found.detail,
    )


def write_plots(found: Found, into: Path, formats: Sequence[str]) -> int:
    """Every plot as files; returns how many."""
    from memeval.report.html import plots
    from memeval.report.plots import saved

    for name in formats:
        if name not in PLOT_FORMATS:
            raise UsageError(f"--plot-format {name}: there is no such format{did_you_mean(name, PLOT_FORMATS)}")
    count = 0
    boards = found.boards()
    places = _files(board.label for board, _ in boards)
    for board, own in boards:
        for plot in plots(board, own):
            for suffix in formats:
                write_whole(into / f"{places[board.label]}.{plot.slug}.{suffix}", saved(plot, suffix))
                count += 1
    return count


def write_trec(found: Found, into: Path) -> int:
    """A TREC run of each system and the qrels of each data set; returns how many files."""
    from memeval.report import trec_files

    count, boards = 0, found.boards()
    places = _files(board.label for board, _ in boards)
    for board, own in boards:
        runs = _files(row.system for row in board.rows)
        for name, lines in trec_files.files(board, own):
            file = "qrels.txt" if name is None else f"{runs[name]}.run.txt"
            write_whole(into / places[board.label] / file, "".join(lines))
            count += 1
    return count


def write_cards(found: Found, into: Path) -> int:
    """A model-card section and Hugging Face evaluation results for each ranked system; returns how many files."""
    from memeval.report import model_card

    content = model_card.cards([board for board, _ in found.boards()])
    files = _files(content)
    for name, (card, evaluation) in content.items():
        write_whole(into / f"{files[name]}.md", card)
        write_whole(into / ".eval_results" / f"{files[name]}.yaml", evaluation)
    return 2 * len(content)


def _files(names: Iterable[str]) -> dict[str, str]:
    """Name → what its file is called. Names of several suites may look alike as files: a digest tells those apart."""
    known = {name: slug(name) for name in names}
    often = Counter(file.lower() for file in known.values())  # some disks take upper and lower case for the same
    return {
        name: file if often[file.lower()] == 1 else f"{file}-{sha256(name.encode()).hexdigest()[:8]}"
        for name, file in known.items()
    }


def show_query(
    found: Found, query_id: str, console: "Console", *, systems: Sequence[str] | None = None, top: int = 10
) -> None:
    """Prints one query: its text, and each system's order side by side."""
    from memeval.report import drilldown

    drilldown.show(found.boards(), query_id, console, systems=systems, top=top)
