"""What of a run is asked by batch, and what batches have brought for it that is not billed yet."""

import inspect
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from memeval import rerankers
from memeval.core.errors import MemevalError, UsageError
from memeval.core.terminal import aligned
from memeval.core.types import Candidates, Dataset, Header, Reranker
from memeval.rerankers.hosted.batch import carrying
from memeval.rerankers.hosted.batch.collecting import Questions
from memeval.rerankers.hosted.batch.ledger import Due, Ledger
from memeval.rerankers.hosted.batch.post import Job
from memeval.rerankers.hosted.batch.run_batch import FILES
from memeval.rerankers.hosted.quote import quotable
from memeval.rerankers.hosted.stream import Hosted
from memeval.rerankers.hosted.terms import Batching, Terms
from memeval.runs import runner
from memeval.runs.guard import Scorer
from memeval.runs.readiness import NOTHING, hosted
from memeval.runs.suite import Suite, System


def agreed(terms: Terms, system: System) -> Terms:
    """The terms of a system: by batch where its entry says so, or the command."""
    if not system.batch or terms.batch is not None:
        return terms
    return replace(terms, batch=Batching("batch" if system.batch == "repairs" else "online"))


def several(suite: Suite, terms: Terms, grounds: int) -> bool:
    """Whether more than one run is asked by batch, so that one would wait for the other."""
    asked = [one for one in suite.systems if agreed(terms, one).batch is not None and served(one.model)]
    return sum(system.repeat + system.orders for system in asked) * grounds > 1


def served(name: str) -> bool:
    """Whether a service is behind a system of memeval's own, or may be behind one that is made of others."""
    return "load" in inspect.signature(rerankers.kinds()[rerankers.parse(name).kind]).parameters or hosted(name)


def asked(scorer: Scorer) -> list[Hosted]:
    """The services behind a system that are asked by batch."""
    return [hosted for hosted in scorer.hosted if hosted.by_batch]


def parts(
    scorer: Scorer, header: Header, dataset: Dataset, candidates: Candidates, path: Path, name: str, *, fresh: bool
) -> list[Questions]:
    """What of a run is asked by batch: of the queries that it has not yet, what is not remembered.

    Where nothing is remembered, as when a verdict is confirmed, nothing is: there is no ledger, and nobody can wait.
    """
    if not any(service.terms.answers is not None for service in asked(scorer)):
        return []
    order, kept = runner.standing(scorer, header, dataset, candidates, path, fresh=fresh)
    if kept is None:
        return []
    requests = [runner.asked(query, dataset, candidates) for query in order[len(kept) :]]
    found = []
    for one in (scorer, *scorer.parts):
        if one.quotable is not None and one.quotable.hosted.by_batch:
            left = [one.left(request)[1] for request in requests]
            some = [request for request in left if request[1]]
            found.append(Questions(one.quotable.hosted, some, str(path), name, header.model))
    return found


class Brought:
    """What batches have brought for a run, as the ledger has it."""

    def __init__(self, scorer: Scorer, terms: Terms, path: Path) -> None:
        self._file = terms.answers if any(hosted.service.post for hosted in scorer.hosted) else None
        self._run = str(path)

    def due(self) -> Due:
        """What is not billed yet."""
        if self._file is None:
            return Due(0, 0.0)
        with Ledger(self._file) as ledger:
            return ledger.due(self._run)

    def gather(self, entry: str) -> Due:
        """What is not billed yet, to be billed under that name."""
        if self._file is None:
            return Due(0, 0.0)
        with Ledger(self._file) as ledger:
            return ledger.gather(self._run, entry)

    def settle(self, entry: str) -> None:
        """Notes that the bill of that name is written, and that the run is whole."""
        if self._file is not None:
            with Ledger(self._file) as ledger:
                ledger.settle(self._run, entry)


def elsewhere(scorer: Scorer, terms: Terms, tell: Callable[[str], None]) -> None:
    """Tells where a system is asked online though batches are asked for, or though requests of it wait in some."""
    if terms.batch is not None and scorer.hosted and not asked(scorer):
        tell(f"{scorer.hosted[0].service.model} takes no batches: it is asked online")
    services = [hosted for hosted in scorer.hosted if hosted.service.post is not None and not hosted.by_batch]
    if terms.answers is None or not services:
        return
    with Ledger(terms.answers) as ledger:
        for hosted in services:
            waiting = ledger.waiting(hosted.scope)
            if waiting:
                tell(
                    f"{waiting:,} requests to {hosted.service.model} are in batches, and what of them is asked now is"
                    " paid twice: --batch collects them"
                )


OPEN = ("planned", "sending", "sent")
ALL = "all"


def looked_at(
    terms: Terms, cancelled: Collection[str], tell: Callable[[str], None]
) -> tuple[list[Job], dict[str, MemevalError]]:
    """The jobs that were open, as they are now, and why some could not be looked at, by service.

    What is over is collected into the ledger, where the run that asked finds it. `cancelled` names jobs, by how their
    names begin, that are to end early, or ALL.
    """
    if terms.answers is None or not terms.answers.is_file():
        return [], {}
    failed: dict[str, MemevalError] = {}
    with Ledger(terms.answers) as ledger:
        before = ledger.jobs(None, *OPEN)
        chosen = {job.name for job in before if ALL in cancelled or called(job) in cancelled}
        if unknown := set(cancelled) - {ALL} - {called(job) for job in before}:
            raise UsageError(f"--cancel {min(unknown)}: no such batch is under way (see `memeval batches`)")
        for scope, job in {job.scope: job for job in before}.items():
            try:
                hosted = _behind(job, terms)
                carrying.look([Questions(hosted, (), "", job.system, job.system)], ledger, chosen, tell)
            except MemevalError as error:
                failed[scope] = error
        names = {job.name for job in before}
        return [job for job in ledger.jobs() if job.name in names], failed


def called(job: Job) -> str:
    """A job as people call it."""
    return job.name.partition("-")[2][:8]


def text(jobs: Sequence[Job], failed: dict[str, MemevalError]) -> str:
    """The jobs as a table."""
    if not jobs:
        return "no batches are under way"
    rows = [("batch", "requests", "submitted (UTC)", "system", "state")]
    for job in jobs:
        state = {"planned": "not taken yet", "sending": "perhaps taken", "over": f"{job.told}, collected"}
        told = state.get(job.state, job.told or "submitted")
        told += ", could not be looked at now" if job.scope in failed else ""
        rows.append((called(job), f"{job.lines:,}", job.created[:16].replace("T", " "), job.system, told))
    return "\n".join(aligned(rows, left=(0, 2, 3, 4)))


def _behind(job: Job, terms: Terms) -> Hosted:
    """The service that a job was given to."""
    way = json.loads(job.scope)[0]
    folder = way.partition(FILES)[2]
    found: list[Reranker] = []

    def part(made: Reranker, name: str) -> Reranker:
        found.append(made)
        return made

    found.append(
        rerankers.load(
            job.system, NOTHING, part, replace(terms, batch=Batching(folder=Path(folder) if folder else None))
        )
    )
    for service in (one.hosted for one in found if quotable(one)):
        if service.by_batch and service.scope == job.scope:
            return service
    raise UsageError(f"{job.system!r} leads to another address than batch {called(job)} was given to: set it as it was")
