"""The texts of data sets for those who look at results: as the systems saw them, and as the data set has them."""

from functools import cache

from memeval import datasets
from memeval.core.errors import MemevalError
from memeval.datasets import render
from memeval.report.evidence import Corpus


@cache
def load(name: str, rendering: str) -> Corpus | None:
    """The texts of a data set in a rendering, by its address; None where it cannot be had here."""
    try:
        found = datasets.load(name)
        seen = render.rendered(found, rendering)
    except MemevalError:
        return None
    return Corpus(seen, {query.query_id: query for query in found.queries})
