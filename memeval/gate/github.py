"""What GitHub shows of a job: annotations and the job summary. Only where GITHUB_ACTIONS is set.

GitHub keeps ten annotations of a kind for each step and drops the others without a word; it refuses a summary of more
than one MiB as a whole. So the worst nine are told, then how many there are, and the summary is cut to 900 kB.
"""

from collections.abc import Sequence
from pathlib import Path

from memeval.core.numbers import signed
from memeval.gate.markdown import render
from memeval.gate.verdicts import Check, Outcome

TOLD = 9
SUMMARY_BYTES = 900_000


def annotations(outcome: Outcome) -> list[str]:
    """Workflow commands: an error for each check that fails the gate, a warning for others in doubt, worst first."""
    told = (*outcome.failed, *outcome.doubtful)
    return [
        *_commands("error", [check for check in told if outcome.fails(check)]),
        *_commands("warning", [check for check in told if not outcome.fails(check)]),
        *_commands("warning", [check for check in outcome.checks if check.verdict == "ok" and check.collapsed]),
    ]


def summarise(outcome: Outcome, path: Path) -> None:
    """Appends to the job summary."""
    with path.open("a", encoding="utf-8") as file:
        file.write(render(outcome, limit=SUMMARY_BYTES))


def _commands(kind: str, checks: Sequence[Check]) -> list[str]:
    worst = sorted(checks, key=lambda check: check.difference if check.difference is not None else -1.0)
    told = [_command(kind, f"{check.name}: {check.verdict}", _message(check)) for check in worst[:TOLD]]
    if len(worst) > TOLD:
        told.append(_command(kind, "memeval", f"and {len(worst) - TOLD} more, see the job's log"))
    return told


def _message(check: Check) -> str:
    said = [check.message or check.verdict]
    if check.categories:
        said.append("fell: " + ", ".join(f"{name} {signed(mean)}" for name, mean in list(check.categories.items())[:3]))
    if check.flips:
        said.append("worst: " + ", ".join(flip.query_id for flip in check.flips[:3]))
    return "\n".join(said)


def _command(kind: str, title: str, message: str) -> str:
    """A workflow command, escaped as GitHub asks for.

    >>> _command("error", "a: b, c", "50 %\\nx")
    '::error title=a%3A b%2C c::50 %25%0Ax'
    """
    text = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    name = title.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A").replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={name}::{text}"
