"""The gate's outcome in Markdown: for a comment on a pull request, and for the summary of a job."""

from memeval.check.text import HEADINGS, cells, number, offer, summary
from memeval.check.verdicts import FAILING, Check, Outcome

LIMIT = 65_536
"""GitHub refuses a longer comment."""
MARKER = "<!-- memeval-check -->"
"""First line: a workflow finds its earlier comment by it."""
_SIGNS = {"regressed": "❌", "missing": "❌"}


def render(outcome: Outcome, *, strict: bool = False, limit: int = LIMIT) -> str:
    """What failed, with the queries that fell most; then all checks, folded. Never more bytes than the limit."""
    from memeval.report.markdown import escape

    sign = "❌" if not outcome.passes(strict=strict) else "⚠️" if outcome.alarms else "✅"
    parts = [f"{MARKER}\n### {sign} memeval · {escape(summary(outcome, strict=strict))}\n"]
    parts.append(f"Baseline accepted {escape(outcome.accepted)}: {escape(outcome.reason)}\n")
    parts += [_section(check) for check in outcome.checks if check.verdict != "ok" or check.collapsed]
    if found := offer(outcome):
        parts.append(f"{escape(found[0])}\n\n```\n{found[1].strip()}\n```\n")
    parts += [f"- {escape(note)}\n" for note in outcome.notes]
    parts.append("<details><summary>All checks</summary>\n\n" + _table(outcome.checks) + "\n</details>\n")
    return _within(parts, limit)


def _section(check: Check) -> str:
    from memeval.report.markdown import escape

    lines = [f"#### {_SIGNS.get(check.verdict, '⚠️')} {escape(check.name)} ({escape(check.dataset)}): {check.verdict}\n"]
    lines.append(escape(check.message) + "\n")
    if check.verdict in FAILING and check.categories:
        worst = ", ".join(f"{escape(name)} {number(mean, signed=True)}" for name, mean in check.categories.items())
        lines.append(f"Categories that fell: {worst}\n")
    if check.flips:
        rows = [
            f"| {escape(flip.query_id)} | {escape(flip.category or '')} | {number(flip.before)} | {number(flip.now)} |"
            for flip in check.flips
        ]
        lines += ["| query | category | before | now |", "|:--|:--|--:|--:|", *rows, ""]
    return "\n".join(lines)


def _table(checks: tuple[Check, ...]) -> str:
    from memeval.report.markdown import escape

    lines = ["| data set | " + " | ".join(HEADINGS) + " |", "|:--|:--|--:|--:|--:|--:|--:|:--|"]
    rows = [(check.dataset, *cells(check)) for check in checks]
    lines += ["| " + " | ".join(escape(cell) for cell in row) + " |" for row in rows]
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
