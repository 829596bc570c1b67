"""From folders of results to reports: reads what lies there, and writes what a reader asks for."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from memeval import report
from memeval.core.errors import UsageError, did_you_mean
from memeval.core.files import write_whole
from memeval.core.outside import placeless, plain
from memeval.core.types import Ranking
from memeval.datasets.download import beside
from memeval.measures import trec
from memeval.report import evidence, first_stages, joining, texts
from memeval.report.board import EVERYTHING, Leaderboard, View
from memeval.report.evidence import Collection, Detail, Evidence
from memeval.report.plots import FORMATS as PLOT_FORMATS
from memeval.runs.suite import slug

if TYPE_CHECKING:
    from rich.console import Console

    from memeval.runs import benchmark


@dataclass(frozen=True, eq=False)
class Found:
    """Results, and what lies beside them."""

    collection: Collection
    evidence: Mapping[bytes, Evidence]
    detail: Detail
    view: View = EVERYTHING

    @cached_property
    def boards(self) -> list[tuple[Leaderboard, Evidence]]:
        """The leaderboards with their evidence."""
        boards = report.leaderboards(self.collection.results, view=self.view)
        boards = [replace(board, missing=self.collection.lacking(board)) for board in boards]
        keys = (evidence.comparable(board.rows[0].result) for board in boards)
        return [self._told(board, key) for board, key in zip(boards, keys, strict=True)]

    def _told(self, board: Leaderboard, key: bytes) -> tuple[Leaderboard, Evidence]:
        """A leaderboard with who measured each row, when, and what was left out."""
        own = self.evidence.get(key, Evidence())
        started = {system: times.machine.started or "" for system, times in own.times.items()}
        rows = [
            replace(row, by=own.by.get(row.system, ()), on=started.get(row.system, "")[: len("2026-11-27")])
            for row in board.rows
        ]
        left_out = {one.name: placeless(one.why) for one in self.collection.left_out if one.key in (key, None)}
        return replace(board, rows=tuple(rows), left_out=left_out), own


def read(paths: Sequence[Path], *, texts: str = "free", detail: str = "interesting", view: View = EVERYTHING) -> Found:
    """All results in files or below folders. Raises UsageError where there are none, or for an unknown choice."""
    for name, value, known in (("--detail", detail, get_args(Detail)), ("--texts", texts, get_args(evidence.Texts))):
        if value not in known:
            raise UsageError(f"{name} {value}: there is no such choice{did_you_mean(value, known)}")
    with joining.opened(paths) as places:
        collection = evidence.found(places)
        if not collection.sources:
            why = "; ".join(f"{ground} was not run: {reason}" for ground, reason in collection.unrun.items())
            raise UsageError(f"no results in {', '.join(map(str, paths))}: {why or '`memeval run` makes some'}")
        return replace(_found(collection, cast(evidence.Texts, texts), cast(Detail, detail)), view=view)


def of(done: "Sequence[benchmark.Report]") -> Found:
    """What came of a run, with what lies beside it."""
    wanted = {result.signature.run_digest: result for part in done for result in part.results}
    sources = [
        replace(source, result=wanted[source.result.signature.run_digest])
        for source in evidence.collect([part.folder for part in done if part.folder.is_dir()]).sources
        if source.result.signature.run_digest in wanted
    ]
    return _found(Collection(tuple(sources), {part.folder: part.missing for part in done}), "free", "interesting")


def _found(collection: Collection, whose: evidence.Texts, detail: Detail) -> Found:
    with beside(*{source.file.parent for source in collection.sources}):
        read = evidence.beside(collection, texts.load)
        relied = joining.relied_on(collection, read, texts.load)
        return Found(relied, evidence.gather(relied, texts.load, texts=whose, read=read), detail)


def write(found: Found, path: Path) -> None:
    """One report file, in the format of its suffix."""
    report.save(found.boards, path, found.detail, found.collection.unrun)


def write_plots(found: Found, into: Path, formats: Sequence[str]) -> int:
    """Every plot as files; returns how many."""
    from memeval.report.html import plots
    from memeval.report.plots import saved

    for name in formats:
        if name not in PLOT_FORMATS:
            raise UsageError(f"--plot-format {name}: there is no such format{did_you_mean(name, PLOT_FORMATS)}")
    places = _files(board.label for board, _ in found.boards)
    drawn = {f"{places[board.label]}.{plot.slug}": plot for board, own in found.boards for plot in plots(board, own)}
    drawn |= {plot.slug: plot for plot in first_stages.plots([board for board, _ in found.boards])}
    for name, plot in drawn.items():
        for suffix in formats:
            write_whole(into / f"{name}.{suffix}", saved(plot, suffix))
    return len(drawn) * len(formats)


def write_trec(found: Found, into: Path) -> int:
    """A TREC run of each system and the qrels of each data set, for other tools; returns how many files.

    Raises DataError where the raw runs are not beside the results.
    """
    count = 0
    places = _files(board.label for board, _ in found.boards)
    for board, own in found.boards:
        runs = _files(row.system for row in board.rows)
        for system, lines in _trec(board, own):
            file = "qrels.txt" if system is None else f"{runs[system]}.run.txt"
            write_whole(into / places[board.label] / file, "".join(lines))
            count += 1
    return count


def _trec(board: Leaderboard, own: Evidence) -> Iterator[tuple[str | None, Iterable[str]]]:
    """(system, lines): the qrels under None, then a run of each system, strictly decreasing by rank."""
    labelled = own.complete(board.label)
    yield None, trec.write_qrels(dict(zip(labelled.query_ids, labelled.qrels, strict=True)))
    for row in board.rows:
        ranked = own.ranked.get(row.system)
        if ranked is not None:
            rankings = [
                Ranking(query_id, tuple(doc_ids[place] for place in order if place >= 0), None)
                for query_id, doc_ids, order in zip(
                    labelled.query_ids, labelled.doc_ids, ranked.order.tolist(), strict=True
                )
            ]
            yield row.system, trec.write_run(rankings, plain(row.system))


def write_cards(found: Found, into: Path) -> int:
    """A model-card section and Hugging Face evaluation results for each ranked system; returns how many files."""
    from memeval.report import model_card

    content = model_card.cards([board for board, _ in found.boards])
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

    drilldown.show(found.boards, query_id, console, systems=systems, top=top)
