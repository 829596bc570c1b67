"""How to make a table again: commands, versions, machines, digests, the data set, and whom to cite."""

import json
import shlex
from collections.abc import Mapping, Sequence

import memeval
from memeval.core import files
from memeval.core.types import Machine
from memeval.report import cells, columns
from memeval.report.board import Leaderboard, Row
from memeval.report.columns import Column
from memeval.report.evidence import Evidence
from memeval.report.published import beside, folder
from memeval.report.tables import Table, table


def command(row: Row) -> str:
    """The command that measures a row again.

    Controls come with every command, so theirs names no system of its own.
    """
    facts = row.result.signature
    words = ["memeval", "run", "--dataset", row.result.address]
    if row.control not in ("first-stage", "random", "oracle"):
        words += ["--system", row.model]
        words += [] if row.system == row.model else ["--name", row.system]
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


MEMEVAL = Column("memeval", lambda _, row: cells.plain(row.result.signature.memeval))
RUN = Column("run", lambda _, row: cells.plain(row.result.signature.run_digest))
COMMANDS = (
    columns.NAME,
    Column("command", lambda _, row: cells.plain(command(row))),
    MEMEVAL,
    columns.MEASURED_ON.called("measured on"),
    Column("digest of the run", lambda board, row: RUN.cell(board, row)[:16]),
)
PROVENANCE = (
    columns.NAME,
    columns.MODEL,
    columns.LICENCE,
    columns.PARAMETERS,
    columns.TRAINED_ON,
    Column("scores depend on", lambda _, row: _compact(row.result.signature.fingerprint), "it does not say"),
    Column("F1 thresholds", lambda _, row: _thresholds(row), "no scores, or no other store to choose it on"),
    Column("errors", lambda _, row: _counts(row.result.failures.errors)),
    MEMEVAL,
    RUN,
)


def commands(board: Leaderboard) -> Table:
    """One command for each row; none for runs of other tools, of which nobody knows how they were made."""
    rows = [row for row in board.rows if row.result.signature.first_stage is not None]
    return table("commands", board, columns.lines(board, rows, COMMANDS))


def machines(board: Leaderboard, evidence: Evidence) -> Table:
    """Where the times were taken: a row for each machine, with the systems that ran there."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for row in board.rows:
        times = evidence.times.get(row.system)
        if times is not None and times.machine != Machine():
            machine = times.machine
            versions = ", ".join(f"{name} {number}" for name, number in sorted(machine.versions.items()))
            facts = (fact or cells.NONE for fact in (machine.device, machine.platform, machine.python))
            key = (*map(cells.plain, facts), cells.plain(versions))
            groups.setdefault(key, []).append(cells.plain(row.system))
    names = ("device", "platform", "Python", "versions")
    rows = [{"systems": ", ".join(own), **dict(zip(names, key, strict=True))} for key, own in groups.items()]
    return table("machines", board, rows)


def provenance(board: Leaderboard) -> Table:
    """How each row was made."""
    return table("provenance", board, columns.lines(board, board.rows, PROVENANCE))


def definitions(board: Leaderboard) -> Table:
    """What each measure is."""
    rows = [{"measure": name, "definition": cells.plain(text)} for name, text in board.definitions.items()]
    return table("definitions", board, rows)


def card(board: Leaderboard) -> Table:
    """The data set and the candidates."""
    card = board.card
    facts = board.signature
    rows = {
        "name": f"{cells.plain(card.name)} {cells.plain(card.version)}",
        "about": cells.plain(card.about) or cells.dash("its card does not say"),
        "licence": cells.plain(card.licence) + (" (texts must not be redistributed)" if card.restricted else ""),
        "source": cells.plain(card.url) or cells.dash("its card names no address"),
        "stores, memories": f"{card.stores:,}, {card.memories:,}",
        "queries": f"{card.queries:,}: {card.judged:,} with a relevant memory, {card.unanswerable:,} without",
        "relevant memories": f"{card.relevant_pairs:,} (pairs of a query and a memory)",
        **(
            {"forbidden memories": f"{card.forbidden_pairs:,} (pairs) of {card.forbidden_queries:,} queries"}
            if card.forbidden_pairs
            else {}
        ),
        "excluded queries": excluded(board),
        "anomalies": _counts(card.anomalies),
        **({"protocol": cells.plain(" ".join(card.rules))} if card.rules else {}),
        "candidates": f"{cells.plain(facts.first_stage)}, depth {facts.depth}, pool “{cells.plain(facts.pool)}”,"
        f" {card.candidates_per_query:.1f} for each query",
        "ceiling": _ceiling(board),
        "rendering": cells.plain(facts.rendering),
        "digest of the data": cells.plain(facts.dataset_digest),
        "digest of the candidates": cells.plain(facts.candidates_digest),
    }
    return table("card", board, [{"what": key, "of this data set": value} for key, value in rows.items()])


def _ceiling(board: Leaderboard) -> str:
    """What the best order of the candidates reaches."""
    oracle = board.control("oracle")
    if oracle is None:
        return "not measured: the system `oracle` tells it"
    wanted = [name for name in board.measures if name == board.headline or name.startswith("Recall@")]
    return ", ".join(
        f"{name} {cells.number(oracle.estimates[name].value)}" for name in wanted if name in oracle.estimates
    )


def excluded(board: Leaderboard) -> str:
    """How many queries were left out, and why."""
    return _counts(board.card.excluded)


def _counts(counted: Mapping[str, int]) -> str:
    if not sum(counted.values()):
        return "none"
    reasons = "; ".join(f"{cells.plain(text)}: {number:,}" for text, number in sorted(counted.items()))
    return f"{sum(counted.values()):,} ({reasons})"


def _thresholds(row: Row) -> str:
    folds = {} if row.result.threshold is None else row.result.threshold.thresholds
    return ", ".join(cells.number(value) for _, value in sorted(folds.items())) or cells.NONE


def _compact(value: object) -> str:
    return cells.NONE if value is None else cells.plain(json.dumps(value, ensure_ascii=False, sort_keys=True))


def citations(boards: Sequence[Leaderboard]) -> str:
    """BibTeX of memeval, of the data sets and of the papers behind published tables, as far as they are known."""
    path = folder() / "citations.toml"
    if not path.is_file():
        return ""
    known = files.toml(path)
    names = ["memeval", *(board.family for board in boards)]
    if any(beside(board) for board in boards):
        names.append("memreranker")
    entries = [known[name].strip() for name in dict.fromkeys(names) if name in known]
    return "\n\n".join(entries).replace("{VERSION}", f"{{{memeval.__version__}}}")
