"""Which model answered: what the replies of hosted services say of it, beside what was asked."""

import re

from memeval.core.types import ANSWERED
from memeval.report.board import Row

MARK = " ≠"
"""Stands behind the name of a system that another model than the one asked answered for."""
VERSION = re.compile(r"([-@:](\d{3,8}|\d{2,4}-\d{2,4}(-\d{2})?|latest|preview|exp|v\d+))*$")
"""What the name of a version has behind that of its model."""


def answered(row: Row) -> dict[str, float]:
    """The models that the replies named, with the number of calls."""
    usage = row.result.usage or {}
    return {name.removeprefix(ANSWERED): count for name, count in usage.items() if name.startswith(ANSWERED)}


def others(row: Row) -> dict[str, float]:
    """Those of them that are not the model that was asked."""
    return {model: count for model, count in answered(row).items() if not same(row, model)}


def same(row: Row, model: str) -> bool:
    """Whether a reply's model is the one that was asked: the same name, or a dated version of it."""
    if row.model.startswith("rrf/"):
        return True
    asked, told = (name.lower().rpartition("/")[2] for name in (row.model.partition("?")[0], model))
    stems = {VERSION.sub("", asked), VERSION.sub("", told)}
    return asked == told or (len(stems) == 1 and bool(stems & {name.removesuffix("-latest") for name in (asked, told)}))
