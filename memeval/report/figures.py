"""The plots of a leaderboard. Each shows numbers that a table of the page holds, too.

Longer than most files here, because it is a list: a function for each plot, and the few things that they share.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from memeval.measures.calibration import GRID, Bin
from memeval.report import cells
from memeval.report.board import Leaderboard, Row
from memeval.report.plots import BLUE, DASHES, GREEN, GREY, INK, MARKERS, SERIES, VERMILLION, WIDTH, Plot, short, style
from memeval.report.tables import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from memeval.report.first_stages import Gain
    from memeval.report.pairs import Duel

MOST_LINES = len(SERIES)
FITTED = ("own", "Platt", "isotonic")
"""Whose probabilities a curve of the reliability diagram shows; each has its colour in all panels."""


def _canvas(height: float, lines: int = 1) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height))
    return figure, list(figure.subplots(lines, 1, squeeze=False)[:, 0])


def dots(board: Leaderboard) -> Plot:
    """Each system's headline value with its interval; the first stage and the ceiling as lines."""
    rows = [row for row in board.rows if row.control not in ("oracle", "first-stage")]
    found = [row.estimates[board.headline] for row in rows]
    looks = [(BLUE, BLUE, "o") if row.control is None else (GREY, "none", "o") for row in rows]
    lines = {"first-stage": (VERMILLION, "--", "first stage"), "oracle": (GREEN, ":", "ceiling (oracle)")}
    with style():
        figure, axes = _intervals(
            [cells.name(row) for row in rows],
            [(one.value, one.low, one.high, *look) for one, look in zip(found, looks, strict=True)],
            f"{board.headline}, 95 % interval",
            room=(1.3, 0.3, 0.35),
        )
        for kind, (colour, dashes, label) in lines.items():
            control = board.control(kind)
            if control is not None:
                value = control.estimates[board.headline].value
                axes.axvline(value, color=colour, linestyle=dashes, linewidth=2, label=f"{label} {cells.number(value)}")
        if board.control("first-stage") or board.control("oracle"):
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    values = "; ".join(f"{cells.name(row)}: {cells.estimate(one)}" for row, one in zip(rows, found, strict=True))
    return Plot("leaderboard", *words("plot-leaderboard", board, values=values), figure)


def forest(board: Leaderboard, duels: Sequence["Duel | Gain"], title: str, slug: str) -> Plot:
    """Differences with their intervals; filled where they are beyond chance."""
    colours, markers = {1: GREEN, -1: VERMILLION, 0: GREY}, {1: "^", -1: "v", 0: "o"}
    points = []
    for duel in duels:
        seen, colour = duel.comparison, colours[duel.direction]
        filled = colour if duel.direction else "none"
        points.append((seen.difference, seen.low, seen.high, colour, filled, markers[duel.direction]))
    with style():
        about = f"difference in {board.headline}, 95 % interval"
        figure, axes = _intervals([duel.label for duel in duels], points, about, room=(1.1, 0.28, 0.15))
        axes.axvline(0, color=GREY, linewidth=1, zorder=1)
    told = "; ".join(f"{duel.label} {cells.signed(duel.comparison.difference)}" for duel in duels)
    return Plot(slug, *words("plot-forest", board, what=title, values=told), figure)


def _intervals(
    names: Sequence[str],
    points: Sequence[tuple[float, float, float, str, str, str]],
    about: str,
    *,
    room: tuple[float, float, float],
) -> "tuple[Figure, Axes]":
    """Values with intervals, one below the other, each with its name at the left.

    Args:
        points: value, low, high, colour, colour of the marker's ground, and marker.
        room: inches around all, for each, and above.
    """
    height = room[0] + room[1] * max(1, len(names))
    figure, [axes] = _canvas(height)
    for place, (value, low, high, colour, filled, marker) in enumerate(points):
        axes.plot([low, high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot([value], [place], marker, color=colour, markerfacecolor=filled, markersize=7)
    axes.set_yticks(range(len(names)), list(map(short, names)))
    axes.set_ylim(max(1, len(names)) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(about)
    longest = max((len(short(name)) for name in names), default=10)
    _margins(figure, height, left=0.3 + 0.075 * longest, top=room[2])
    return figure, axes


def pareto(
    board: Leaderboard, points: Sequence[tuple[Row, float]], frontier: Sequence[str], what: str, unit: str, slug: str
) -> Plot:
    """Quality against what it costs (log scale, with a place for 0), with intervals; systems of the frontier are named
    and joined."""
    stage = board.control("first-stage")
    with style():
        figure, [axes] = _canvas(HIGH)
        _margins(figure, HIGH, left=0.75)
        axes.locator_params(axis="y", nbins=6)
        edge, named = [], []
        for row, cost in sorted(points, key=lambda point: point[1]):
            found, best = row.estimates[board.headline], row.system in frontier
            colour = BLUE if best else GREY
            axes.plot([cost, cost], [found.low, found.high], color=colour, linewidth=1.5)
            hollow = "none" if row.control else colour
            axes.plot([cost], [found.value], "o", color=colour, markerfacecolor=hollow, markersize=8 if best else 6)
            named.append((cost, found.value, short(cells.plain(row.system)), best))
            if best:
                edge.append((cost, found.value))
        above = [cost for _, cost in points if cost > 0]
        axes.set_xscale("symlog", linthresh=min(above)) if len(above) < len(points) else axes.set_xscale("log")
        axes.margins(x=0.1, y=0.14)
        if stage is not None:
            axes.axhline(stage.estimates[board.headline].value, color=GREY, linewidth=1, linestyle=":", zorder=1)
        left, right = axes.get_xlim()
        if edge:
            steps = [*edge, (right, edge[-1][1])]
            axes.step(*zip(*steps, strict=True), where="post", color=BLUE, linewidth=1.5, linestyle="--", zorder=1)
        axes.set_xlim(left, right)
        axes.set_ylim(axes.get_ylim())
        _name(axes, named)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.minorticks_off()
        axes.set_xlabel(f"{what}, {unit}, log scale")
        axes.set_ylabel(board.headline)
    told = ", ".join(map(cells.plain, frontier)) or "none"
    return Plot(slug, *words("plot-pareto", board, what=what, frontier=told), figure)


HIGH = 3.5
LETTER = (5.0, 11.0)
"""How wide and high a letter of nine points is taken to be, in points; measuring texts takes ten times as long."""
AROUND = tuple((right, up) for up in (6, -15, 18, -27, 30, -39) for right in (8, -8))
"""Where a name may stand from its point, nearest first; below 0 it ends there."""


def _name(axes: "Axes", points: Sequence[tuple[float, float, str, bool]]) -> None:
    """Names beside points, those of the frontier first, each where it covers no other name, no point and no edge; what
    finds no place stands in the table alone."""
    scale = 72 / axes.figure.dpi
    placed = axes.transData.transform([(x, y) for x, y, *_ in points]) * scale
    frame = axes.get_window_extent()
    x0, y0, x1, y1 = (edge * scale for edge in frame.extents)
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in placed]
    for (x, y), (cost, value, name, best) in sorted(zip(placed, points, strict=True), key=lambda one: not one[1][3]):
        wide = LETTER[0] * len(name)
        for right, up in AROUND:
            start = x + right - (wide if right < 0 else 0)
            box = (start, y + up - 2, start + wide, y + up + LETTER[1] - 2)
            inside = x0 <= box[0] and box[2] <= x1 + 16 and y0 <= box[1] and box[3] <= y1
            apart = all(box[2] < o[0] or o[2] < box[0] or box[3] < o[1] or o[3] < box[1] for o in taken)
            if inside and apart:
                taken.append(box)
                side = "left" if right > 0 else "right"
                axes.annotate(
                    name,
                    (cost, value),
                    (right, up),
                    textcoords="offset points",
                    fontsize=9,
                    ha=side,
                    color=INK if best else GREY,
                )
                break


def depth(board: Leaderboard, curves: Mapping[str, Mapping[str, Any]], cutoffs: Sequence[int]) -> Plot:
    """NDCG and recall over the cutoff, and the ceiling of the pool."""
    shown = _shown(board, [name for name in curves["Recall"] if name != CEILING])
    with style():
        figure, both = _canvas(5.4, 2)
        for axes, (measure, by_system) in zip(both, curves.items(), strict=True):
            for name, values in by_system.items():
                if name == CEILING:
                    axes.plot(cutoffs, values, color=GREY, linewidth=2, linestyle=":", label="ceiling of the pool")
                elif name in shown:
                    axes.plot(cutoffs, values, label=short(cells.plain(name)), **_line(shown.index(name)))
                else:
                    axes.plot(cutoffs, values, color=GREY, linewidth=0.7, alpha=0.6)
            axes.set_xscale("log")
            ticks = [cutoff for cutoff in (1, 3, 5, 10, 20, 50, 100, 200) if cutoff <= max(cutoffs)]
            axes.set_xticks(ticks, [str(tick) for tick in ticks])
            axes.minorticks_off()
            axes.set_xlabel(f"{measure}@cutoff over the cutoff")
            axes.set_ylim(0, 1.02)
        _legend_below(figure, both[0], 5.4, left=0.5)
    return Plot("depth", *words("plot-depth", board), figure)


CEILING = "\0ceiling"
"""Stands for the ideal order of the candidates; no system can be called so."""


def reliability(board: Leaderboard, systems: Mapping[str, Mapping[str, Sequence[Bin]]]) -> Plot:
    """The share of relevant memories over the predicted probability, and below it how many pairs each bin holds.

    Args:
        systems: system → its own, Platt's and isotonic bins, by name.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    names = list(systems)[:6]
    columns = min(2, len(names))
    lines = -(-len(names) // columns)
    with style():
        height = 0.3 + 2.7 * lines
        figure = Figure(figsize=(WIDTH, height))
        # The panels of a line share one pair of axes, each 1.15 further right: most of a plot's time goes into axes.
        grid = figure.add_gridspec(3 * lines, 1, height_ratios=[3, 1, 0.6] * lines, hspace=0.15)
        for line in range(lines):
            upper, lower = (figure.add_subplot(grid[3 * line + part]) for part in (0, 1))
            shown = names[columns * line : columns * (line + 1)]
            for place, name in enumerate(shown):
                start, found = 1.15 * place, systems[name]
                upper.plot([start, start + 1], [0, 1], color=GREY, linewidth=1)
                for kind, bins in found.items():
                    known = [one for one in bins if one.n]
                    upper.plot(
                        [start + one.confidence for one in known],
                        [one.frequency for one in known],
                        label=kind,
                        **{**_line(FITTED.index(kind)), "linewidth": 1.5, "markevery": None},
                    )
                counts = next(iter(found.values()))
                middles = [start + (one.low + one.high) / 2 for one in counts]
                lower.bar(middles, [one.n for one in counts], width=0.085, color=GREY, log=True)
                upper.text(start + 0.5, 1.05, short(cells.plain(name)), ha="center", va="bottom", fontsize=10)
            upper.set_ylim(-0.02, 1.02)
            ticks = [(1.15 * place + share, f"{share:g}") for place in range(len(shown)) for share in (0, 0.5, 1)]
            for axes in (upper, lower):
                axes.set_xlim(-0.02, 1.15 * columns - 0.13)
                axes.set_xticks(*zip(*ticks, strict=True))
            upper.tick_params(labelbottom=False)
            lower.yaxis.set_major_locator(LogLocator(numticks=3))
            lower.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            lower.minorticks_off()
            upper.set_ylabel("share relevant")
            lower.set_ylabel("pairs")
        lower.set_xlabel("predicted probability")
        handles: dict[str, Any] = {}
        for axes in figure.axes:
            handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles.keys(), loc="upper left", bbox_to_anchor=(0.06, 1), ncols=3, fontsize=9)
        _margins(figure, height, left=0.95, top=0.55, bottom=0.1)
    return Plot("reliability", *words("plot-reliability", board), figure)


def threshold(board: Leaderboard, curves: Mapping[str, Sequence[float]], chosen: Mapping[str, float | None]) -> Plot:
    """Mean F1 over the threshold, as a probability; the dot is the threshold chosen on development stores."""
    shown = _shown(board, list(curves))
    with style():
        figure, [axes] = _canvas(3.8)
        for name in shown:
            line = {**_line(shown.index(name)), "marker": None}
            axes.plot(GRID, curves[name], label=short(cells.plain(name)), **line)
            best = chosen.get(name)
            if best is not None:
                value = float(np.interp(best, GRID, curves[name]))
                axes.plot([best], [value], MARKERS[shown.index(name)], color=line["color"], markersize=8)
        axes.set_xlabel("threshold, as a probability")
        axes.set_ylabel("mean F1, test stores")
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, 1)
        _legend_below(figure, axes, 3.8, left=0.7)
    return Plot("threshold", *words("plot-threshold", board), figure)


def _shown(board: Leaderboard, names: Sequence[str]) -> list[str]:
    """The systems that get a line of their own: the first stage and the best ranked."""
    order = [row.system for row in board.rows if row.contends and row.system in names]
    stage = [row.system for row in board.rows if row.control == "first-stage" and row.system in names]
    kept = set([*stage, *(name for name in order if name not in stage)][:MOST_LINES])
    return [name for name in order if name in kept]


def _line(place: int) -> dict[str, Any]:
    return {
        "color": SERIES[place],
        "linestyle": DASHES[place],
        "marker": MARKERS[place],
        "linewidth": 1.8,
        "markersize": 4,
        "markevery": 0.15,
    }


def _legend_below(figure: "Figure", axes: "Axes", height: float, *, left: float) -> None:
    """A legend of two columns below the plots, and margins that leave it room."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower left", bbox_to_anchor=(0.02, 0), ncols=2, fontsize=9)
    _margins(figure, height, left=left, bottom=0.55 + 0.2 * -(-len(labels) // 2))


def _margins(figure: "Figure", height: float, *, left: float, top: float = 0.15, bottom: float = 0.55) -> None:
    """Margins in inches. Fixed ones: a layout that measures texts takes ten times as long."""
    figure.subplots_adjust(
        left=left / WIDTH,
        right=1 - 0.25 / WIDTH,
        top=1 - top / height,
        bottom=bottom / height,
        wspace=0.15,
        hspace=0.32,
    )
