"""What every plot shares: the palette, and how a matplotlib figure becomes part of a page or a file.

The same numbers give the same bytes. An SVG for a page has no style attributes (the page's policy forbids them), takes
the page's font, and its colours from the page's variables, so that one plot serves the light and the dark theme.
"""

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")
"""What plots can be saved as."""
INK = "#010203"
"""Stands for the colour of the page's text, and becomes `currentColor`."""
GREY = "#7f7f80"
BLUE, VERMILLION, GREEN = "#0072b2", "#d55e00", "#009e73"
SERIES = (BLUE, VERMILLION, GREEN, "#cc79a7", "#b78300", "#3a97d0", "#7a5195")
"""After Okabe & Ito (2008), whose colours colour-blind readers can tell apart; yellow and sky blue are darkened to be
seen on white. A line has a marker and a dash of its own, too."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
LONGEST_NAME = 24
WIDTH = 5.2
"""Inches. Letters of ten points stay readable where a plot fills a telephone or a third of a screen."""

VARIABLES = {colour: f"var(--c{place}, {colour})" for place, colour in enumerate(SERIES)} | {
    GREY: f"var(--grey, {GREY})"
}


@dataclass(frozen=True, eq=False)
class Plot:
    """A drawn figure, with what a screen reader says of it; `slug` names its file."""

    slug: str
    title: str
    description: str
    figure: "Figure"


@contextmanager
def style(salt: str = "memeval") -> Iterator[None]:
    """Settings under which figures are drawn and saved, whatever the user has chosen for other figures."""
    from matplotlib import rc_context, rcParamsDefault

    settings: dict[str, Any] = {
        **{name: value for name, value in rcParamsDefault.items() if not name.startswith(("backend", "interactive"))},
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "font.family": "sans-serif",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.titley": 1.0,  # where titles stand anyway; matplotlib need not measure every tick to find that out
        "axes.grid": True,
        "grid.color": GREY,
        "grid.alpha": 0.25,
        "legend.frameon": False,
        "text.parse_math": False,
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    }
    with rc_context(settings):  # type: ignore[arg-type]
        yield


def short(name: str) -> str:
    """A name that fits beside a plot, without its middle where it is long: names often begin alike.

    >>> short("sentence-transformers/a/model")
    'sentence…formers/a/model'
    """
    head = LONGEST_NAME // 3
    return name if len(name) <= LONGEST_NAME else f"{name[:head]}…{name[head + 1 - LONGEST_NAME :]}"


def inline(plot: Plot, salt: str) -> str:
    """The SVG element of a plot, named for screen readers.

    Args:
        salt: goes into the ids, so that two plots on one page do not share any.
    """
    content = io.StringIO()
    with style(salt):
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        plot.figure.savefig(content, format="svg", transparent=True, metadata=metadata)
    svg = content.getvalue()
    body = svg[svg.index("<svg") :].rstrip()
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r' id="(?:[a-zA-Z0-9.]+_\d+)"', "", body)
    body = re.sub(r' style="([^"]*)"', _attributes, body)
    body = re.sub(r"\s*<g>\s*</g>", "", body)
    body = re.sub(r"\n\s*", "\n", body).replace(INK, "currentColor")
    for colour, variable in VARIABLES.items():
        body = body.replace(f'"{colour}"', f'"{variable}"')
    head, _, rest = body.partition(">")
    head = re.sub(r' (?:height|xmlns:xlink|version)="[^"]*"', "", head)
    head = re.sub(r' width="[^"]*"', "", head)
    title, described = html.escape(plot.title), html.escape(plot.description)
    return (
        f'{head} role="img" aria-labelledby="{salt}-title {salt}-desc"><title id="{salt}-title">{title}</title>'
        f'<desc id="{salt}-desc">{described}</desc>{rest}'
    )


def _attributes(found: "re.Match[str]") -> str:
    """A style attribute as presentation attributes; the font's family is the page's."""
    attributes = []
    for declaration in html.unescape(found[1]).split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if key == "font":
            size = re.search(r"([\d.]+)px", value)
            attributes.append(f'font-size="{size[1] if size else 10}"')
        elif key and key not in ("font-family", "font-style", "font-variant", "font-weight", "font-stretch"):
            attributes.append(f'{key}="{html.escape(value)}"')
    return "".join(f" {attribute}" for attribute in attributes)


def saved(plot: Plot, suffix: str) -> bytes:
    """The bytes of a file of this kind: png, pdf or svg, on white."""
    content = io.BytesIO()
    fixed: dict[str, Any] = {
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
        "svg": {"Date": None, "Creator": None},
    }
    with style():
        plot.figure.savefig(content, format=suffix, dpi=200, facecolor="white", metadata=fixed[suffix])
    return content.getvalue()
