"""The gate's outcome in Markdown: for a comment on a pull request, and for the summary of a job."""

import re

from memeval.core.outside import plain
from memeval.gate.text import HEADINGS, cells, number, offer, sight, summary
from memeval.gate.verdicts import FAILING, Check, Outcome

LIMIT = 65_536
"""GitHub refuses a longer comment."""
MARKER = "<!-- memeval-check -->"
"""First line: a workflow finds its earlier comment by it."""
_SIGNS = {"regressed": "❌", "missing": "❌"}


def render(outcome: Outcome, *, limit: int = LIMIT) -> str:
    """What failed, with the queries that fell most; then all checks, folded. Never more bytes than the limit."""
    sign = "❌" if not outcome.passes() else "⚠️" if outcome.alarms else "✅"
    parts = [f"{MARKER}\n### {sign} memeval · {_shown(summary(outcome))}\n"]
    parts.append(f"Baseline accepted {_shown(outcome.accepted)}: {_shown(outcome.reason)}\n")
    parts += [_section(check) for check in outcome.checks if check.verdict != "ok" or check.collapsed]
    if found := offer(outcome):
        parts.append(f"{_shown(found[0])}\n\n```\n{found[1].strip()}\n```\n")
    parts += [f"- {_shown(note)}\n" for note in (*outcome.notes, *filter(None, [sight(outcome)]))]
    parts.append("<details><summary>All checks</summary>\n\n" + _table(outcome.checks) + "\n</details>\n")
    return _within(parts, limit)


def _shown(text: str) -> str:
    """Foreign text in one line that Markdown shows as it is, and that calls nobody by an @name."""
    from memeval.report.markdown import escape

    return re.sub(r"(?<!\w)@(?=\w)", "@<!-- -->", escape(plain(text)))


def _section(check: Check) -> str:
    lines = [f"#### {_SIGNS.get(check.verdict, '⚠️')} {_shown(check.name)} ({_shown(check.dataset)}): {check.verdict}\n"]
    lines.append(_shown(check.message) + "\n")
    if check.verdict in FAILING and check.categories:
        worst = ", ".join(f"{_shown(name)} {number(mean, signed=True)}" for name, mean in check.categories.items())
        lines.append(f"Categories that fell: {worst}\n")
    if check.flips:
        rows = [
            f"| {_shown(flip.query_id)} | {_shown(flip.category or '')} | {number(flip.before)} | {number(flip.now)} |"
            for flip in check.flips
        ]
        lines += ["| query | category | before | now |", "|:--|:--|--:|--:|", *rows, ""]
    return "\n".join(lines)


def _table(checks: tuple[Check, ...]) -> str:
    lines = ["| data set | " + " | ".join(HEADINGS) + " |", "|:--|:--|--:|--:|--:|--:|--:|:--|"]
    rows = [(check.dataset, *cells(check)) for check in checks]
    lines += ["| " + " | ".join(_shown(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _within(parts: list[str], limit: int) -> str:
    """As many parts as fit, and a word about the others."""
    kept: list[str] = []
    note = "\n… cut to fit; `memeval check` prints all of it.\n"
    left = limit - len(note.encode())
    for part in parts:
        size = len(part.encode()) + 1
        if size > left:
            return "\n".join(kept) + note
        kept.append(part)
        left -= size
    return "\n".join(kept)
