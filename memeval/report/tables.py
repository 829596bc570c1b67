"""A table of short text, the same for every format that people read. Its words stand in captions.toml."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from memeval.core import files
from memeval.measures.scoring import TIES_WORTH_A_LOOK
from memeval.measures.statistics import ALPHA
from memeval.report import cells
from memeval.report.board import Leaderboard

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """A table of text. `prose` are the columns that may wrap."""

    slug: str
    heading: str
    caption: str
    frame: "pd.DataFrame"
    prose: tuple[str, ...] = ()

    @cached_property
    def header(self) -> str:
        """The column that names a row."""
        return "system" if "system" in self.columns else self.columns[0]

    @cached_property
    def columns(self) -> list[str]:
        """The headings."""
        return list(self.frame.columns)

    @property
    def rows(self) -> list[dict[str, str]]:
        """Heading → text, for each row."""
        return cast(list[dict[str, str]], self.frame.to_dict(orient="records"))


def table(
    name: str, board: Leaderboard, rows: Iterable[Mapping[str, str]], *, slug: str | None = None, **told: str
) -> Table:
    """Rows of text under the words that captions.toml has for them.

    Args:
        slug: what the table is called on a page, where that is not its name.
        told: what the words name in braces beside what is known of the leaderboard.
    """
    import pandas as pd

    heading, caption = words(name, board, **told)
    frame = pd.DataFrame(list(rows), dtype="object")
    return Table(slug or name, heading, caption, frame, tuple(_captions()[name].get("prose", ())))


def words(name: str, board: Leaderboard, **told: str) -> tuple[str, str]:
    """The heading and the caption of a table or plot."""
    facts = _facts(name, board, told)
    return facts["heading"], facts["caption"]


def sentence(name: str, board: Leaderboard, **told: str) -> str:
    """One of the shared sentences."""
    return _facts("shared", board, told)[name]


def _facts(name: str, board: Leaderboard, told: Mapping[str, str]) -> "_Facts":
    known, reference = _captions(), board.reference
    other = reference is not None and reference.control != "first-stage"
    controls = "controls but the first stage are" if other else "controls are"
    facts = _Facts(known["shared"] | known[name])
    facts |= {
        "headline": board.headline,
        "title": board.title,
        "label": cells.plain(board.label),
        "basis": cells.basis(board),
        "unit": board.unit,
        "alpha": f"{ALPHA:g}",
        "seed": cells.NONE if board.seed is None else str(board.seed),
        "made": cells.plain(board.interval).rstrip("."),
        "flips": cells.flips(found for row in board.rows for found in row.differences.values()),
        "ranked": cells.count(len(board.ranked), "systems"),
        "against": board.against,
        "bare": board.against.removeprefix("the "),
        "controls": controls,
        "family": f"{cells.count(len(board.tested), 'systems')} for each measure; {controls} not tested",
        "tie_rate": f"{100 * TIES_WORTH_A_LOOK:.0f} %",
        "from_memory": cells.from_memory(board),
    }
    if reference is None:
        facts["tested"] = facts["untested"]
    facts |= told
    return facts


class _Facts(dict[str, str]):
    """What stands for the names in braces: facts, and sentences that name facts in turn."""

    def __init__(self, sentences: Mapping[str, str]) -> None:
        self._sentences = sentences

    def __missing__(self, name: str) -> str:
        return self._sentences[name].format_map(self)


@cache
def _captions() -> dict[str, Any]:
    return files.toml(Path(__file__).with_name("captions.toml"))
