"""How to make a table again: commands, versions, machines, digests, prices, and whom to cite."""

import shlex
from collections.abc import Sequence

import memeval
from memeval.core import files
from memeval.core.types import Machine
from memeval.report import cells, models
from memeval.report.board import Leaderboard, Row
from memeval.report.evidence import Evidence
from memeval.report.published import beside, folder
from memeval.report.tables import Table, frame


def command(row: Row) -> str:
    """The command that measures a row again.

    Controls come with every command, so theirs names no system of its own.
    """
    facts = row.result.signature
    words = ["memeval", "run", "--dataset", row.result.address]
    if row.control not in ("first-stage", "random", "oracle"):
        words += ["--system", row.model]
    options = {
        "--first-stage": facts.first_stage,
        "--depth": facts.depth,
        "--pool": facts.pool,
        "--rendering": facts.rendering,
        "--shard" if isinstance(facts.partial, str) else "--limit": facts.partial,
    }
    for option, value in options.items():
        if value is not None:
            words += [option, str(value)]
    return shlex.join(words)


def tables(board: Leaderboard, evidence: Evidence) -> list[Table]:
    """Commands, machines and list prices."""
    found = [_commands(board, evidence), _machines(board, evidence), _prices(board)]
    return [table for table in found if len(table.frame)]


def _commands(board: Leaderboard, evidence: Evidence) -> Table:
    def line(row: Row) -> dict[str, str]:
        fact = row.result.signature
        return {
            "system": cells.plain(row.system),
            "command": cells.plain(command(row)),
            "memeval": cells.plain(fact.memeval),
            "digest of the run": cells.plain(fact.run_digest)[:16],
        }

    seed = cells.NONE if board.seed is None else board.seed
    caption = (
        f"One command for each row; {cells.basis(board)}. Seed {seed}. Where the data set is not here, the command says"
        " how to get it. `memeval verify` recomputes everything derived from the raw runs."
    )
    rows = [line(row) for row in board.rows]
    return Table("commands", "Commands", caption, frame(rows), "system", ("command",))


def _machines(board: Leaderboard, evidence: Evidence) -> Table:
    groups: dict[tuple[str, ...], list[str]] = {}
    for row in board.rows:
        times = evidence.times.get(row.system)
        if times is not None and times.machine != Machine():
            machine = times.machine
            versions = ", ".join(f"{name} {number}" for name, number in sorted(machine.versions.items()))
            facts = (fact or cells.NONE for fact in (machine.device, machine.platform, machine.python))
            key = (*map(cells.plain, facts), cells.plain(versions))
            groups.setdefault(key, []).append(cells.plain(row.system))
    rows = [
        {"systems": ", ".join(systems), "device": key[0], "platform": key[1], "Python": key[2], "versions": key[3]}
        for key, systems in groups.items()
    ]
    caption = f"Where the times were taken, as the times files beside the results tell; {cells.basis(board)}."
    return Table(
        "machines", "Machines and versions", caption, frame(rows), "systems", ("device", "platform", "versions")
    )


def _prices(board: Leaderboard) -> Table:
    rows = []
    for row in board.ranked:
        found = models.facts(row)
        if found.price:
            rates = [f"{key}: {value:g}" for key, value in found.price.items() if key != "as_of"]
            rows.append(
                {
                    "system": cells.plain(row.system),
                    "US dollars": "; ".join(rates),
                    "as of": cells.plain(found.price.get("as_of", cells.NONE)),
                    "source": cells.plain(found.source),
                }
            )
    caption = f"List prices used here, for a million tokens or a thousand searches; {cells.basis(board)}."
    return Table("prices", "Prices", caption, frame(rows), "system", ("US dollars", "source"))


def citations(boards: Sequence[Leaderboard]) -> str:
    """BibTeX of memeval, of the data sets and of the papers behind published tables, as far as they are known."""
    path = folder() / "citations.toml"
    if not path.is_file():
        return ""
    known = files.toml(path)
    names = ["memeval", *(board.card.name.partition("?")[0].partition("/")[0] for board in boards)]
    if any(beside(board) for board in boards):
        names.append("memreranker")
    entries = [known[name].strip() for name in dict.fromkeys(names) if name in known]
    return "\n\n".join(entries).replace("{VERSION}", f"{{{memeval.__version__}}}")
