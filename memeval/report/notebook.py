"""Several results in Python: by name, as leaderboards in text or in a notebook, as frames, as a plot, as files."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from memeval import report
from memeval.core import showing
from memeval.core.errors import MemevalError, UsageError, did_you_mean
from memeval.core.types import Result
from memeval.report import cells, columns, views
from memeval.report.board import EVERYTHING, Leaderboard, View
from memeval.report.evidence import Evidence

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class Results(Sequence[Result]):
    """Several results: by place, or by a system's name. Shown as one leaderboard for each data set.

    Differences refer to the first stage where it is among them, else to the first system. `missing` maps what could not
    be measured to the error, with its traceback, or to the reason.
    """

    results: tuple[Result, ...]
    missing: Mapping[str, MemevalError | str] = field(default_factory=dict)
    view: View = EVERYTHING

    def __len__(self) -> int:
        return len(self.results)

    @overload
    def __getitem__(self, place: int | str) -> Result: ...
    @overload
    def __getitem__(self, place: slice) -> "Results": ...
    def __getitem__(self, place: int | str | slice) -> "Result | Results":
        if isinstance(place, slice):
            return replace(self, results=self.results[place])
        if isinstance(place, int):
            return self.results[place]
        found = [result for result in self.results if views.called(result, place)]
        if len(found) == 1:
            return found[0]
        names = [result.signature.system for result in self.results]
        several = f", but {len(found)}, on {', '.join(one.card.name for one in found)}: choose by place"
        raise UsageError(f"there is not one result of {place!r}{several if found else did_you_mean(place, names)}")

    def seen(
        self,
        *,
        measures: Sequence[str] = (),
        systems: Sequence[str] = (),
        reference: str | None = None,
        published: Sequence[str | Path] = (),
    ) -> "Results":
        """The same, with the first of some measures to go by, some systems alone, differences from a system, or tables
        of files that somebody published beside.

        What is left out is in no rank or test either. Raises UsageError for what is not among them.
        """
        view = views.wanted(measures, systems, reference, [Path(path) for path in published])
        views.known(view, self.results)
        return replace(self, view=view)

    @cached_property
    def boards(self) -> list[Leaderboard]:
        """The leaderboards: ranks, differences and what they say in sentences."""
        if not self.results:
            return []
        view, told = self.view, {name: str(why) for name, why in self.missing.items()}
        if view.reference is None and not any(views.control(result) == "first-stage" for result in self.results):
            view = replace(view, reference=self.results[0].signature.system)
        return report.leaderboards(self.results, missing=told, view=view)

    def __repr__(self) -> str:
        from rich.console import Console

        stream = io.StringIO()
        for board in self.boards:
            report.print_leaderboard(board, Console(file=stream))
        return stream.getvalue().rstrip() or "no results"

    def _repr_html_(self) -> str:
        """What a notebook shows: a table for each data set, and what no reader may miss."""
        return "".join(map(_markup, self.boards)) or "no results"

    def to_pandas(self, what: Literal["values", "estimates"] = "values") -> "pd.DataFrame":
        """A line for each system and query with the `values` of all measures; or the `estimates` by system."""
        return showing.frame(self.results, what)

    def plot(self, measure: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """Draws each system's mean and interval, best first, on one data set; on `ax`, where that is given."""
        asked = self.view if measure is None else replace(self.view, measures=views.wanted([measure]).measures)
        boards = replace(self, view=asked).boards
        if len(boards) != 1:
            raise UsageError(f"a plot shows one data set, and these are results of {len(boards)}: choose some by place")
        [board] = boards
        found = {row.system: row.estimates[board.headline] for row in board.rows if board.headline in row.estimates}
        return showing.intervals(found, board.headline, board.title, ax)

    def write(self, path: str | Path) -> None:
        """Writes a report of these results alone, in the format of the path's suffix: .html .md .tex .csv and more."""
        report.save([(board, Evidence()) for board in self.boards], Path(path))


def _markup(board: Leaderboard) -> str:
    headline = board.headline
    shown = [columns.rank(headline), columns.SYSTEM, columns.value(headline), columns.versus(board, headline)]
    shown += [columns.P50, columns.TIES, *map(columns.mean, board.others)]
    lines = columns.lines(board, board.rows, shown)
    about = [*board.remarks, *(f"missing: {name}: {why}" for name, why in board.missing.items())]
    table = showing.grid([column.heading for column in shown], (list(line.values()) for line in lines), left=(1,))
    notes = "".join(f"<br>{showing.escape(told)}" for told in about)
    return f"<div><b>{showing.escape(f'{board.title} · {cells.basis(board)}')}</b>{table}<small>{notes}</small></div>"
