"""Batches from beginning to end: what a run asks is noted, submitted in jobs, waited for and collected.

A process may die at any step. What may have been submitted is looked for at the service, and only where it is not found
twice, some time apart, is it submitted again. A job that the service does not know any more, or whose results are gone,
is given up after two looks. Answers are written down before anything is made of them, each once, whatever the results
repeat or leave out.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Container, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from memeval.core import files
from memeval.core.errors import IncompleteError, PrerequisiteError, ServiceError
from memeval.rerankers.hosted import faults
from memeval.rerankers.hosted.batch.collecting import Desk, Questions, collected
from memeval.rerankers.hosted.batch.ledger import Ledger
from memeval.rerankers.hosted.batch.mail import Round
from memeval.rerankers.hosted.batch.post import Carrier, Job
from memeval.rerankers.hosted.faults import CallError
from memeval.rerankers.hosted.stream import Hosted

WAITS = (5.0, 120.0)
"""Seconds before the second look at jobs, and at most between two later ones."""
GONE = 2
"""After how many looks in vain a job is given up."""


def fill(
    parts: Sequence[Questions],
    *,
    leave: bool = False,
    online: bool = True,
    until: float = math.inf,
    tell: Callable[[str], None] = lambda message: None,
) -> None:
    """Brings all answers that the parts need, by jobs, so that what asks next finds them.

    With `leave`, everything is submitted and nothing waited for; repairs that go `online` may be left out. Raises
    IncompleteError where answers are still to come then, or when the time (of time.monotonic) is `until`; the jobs go
    on, and the same call collects them.
    """
    if not parts:
        return
    path = parts[0].hosted.terms.answers
    if path is None:
        raise PrerequisiteError("batches are kept in the cache: name a folder with MEMEVAL_CACHE")
    for part in parts:
        if part.hosted.service.door.lacks:
            raise PrerequisiteError(part.hosted.service.door.lacks)
    with Ledger(path, parts[0].hosted.terms.since) as ledger:
        services = list({part.hosted.scope: Desk(part, ledger, tell) for part in reversed(parts)}.values())
        asyncio.run(_carried(services, _tick))  # what has come meanwhile
        while True:
            with files.alone(ledger.folder, wait=True):
                for service in services:
                    ledger.forget_unsent(service.scope)
                waiting = sum(_noted(part, online) for part in parts)
                asyncio.run(_carried(services, _submit))
                ledger.sweep()
            if not waiting:
                return
            going = sum(ledger.waiting(service.scope) for service in services)
            if leave or not going:
                raise _later(ledger, services, waiting)
            cancelled = sum(service.cancelled for service in services)
            asyncio.run(_carried(services, _until_over, until))
            if sum(service.cancelled for service in services) > cancelled:
                raise IncompleteError("a batch was cancelled: the same command asks for what it has not answered")


def look(parts: Sequence[Questions], ledger: Ledger, cancelled: Container[str], tell: Callable[[str], None]) -> None:
    """Looks once at the jobs of some services, asks those that are `cancelled` to end, and collects what is over."""
    asyncio.run(_carried([Desk(part, ledger, tell) for part in parts], _cancelled, cancelled))


async def _cancelled(pairs: "Pairs", names: Container[str]) -> None:
    for one, carrier in pairs:
        for job in one.ledger.jobs(one.scope, "planned", "sent"):
            if job.name in names and job.remote is not None:
                try:
                    await carrier.cancel(job.remote)
                except Exception as error:  # noqa: BLE001  (an SDK raises what it likes: that it is over, say)
                    if faults.code(error) != 404:  # else the look at it will tell
                        one.say(job, f"cannot be cancelled: {one.fault(error).why}")
            elif job.name in names:
                with files.alone(one.ledger.folder, wait=True):
                    one.ledger.drop(job)
    await _tick(pairs)


def _noted(part: Questions, online: bool) -> int:
    """How many answers to a part's questions are still to come; what is not asked for yet is noted."""
    part.hosted.round = Round(part.run, online)
    try:
        for _ in part.hosted.score_many(part.requests):
            pass
        return part.hosted.round.waiting
    finally:
        part.hosted.round = None


def _later(ledger: Ledger, services: Sequence[Desk], waiting: int) -> IncompleteError:
    jobs = sum(len(ledger.jobs(service.scope, "planned", "sending", "sent")) for service in services)
    return IncompleteError(
        f"{waiting:,} answers are to come by {jobs} {'batch' if jobs == 1 else 'batches'} (see `memeval batches`):"
        " the same command collects them"
    )


async def _carried(services: Sequence[Desk], what: Callable[..., Any], *more: Any) -> None:
    async with AsyncExitStack() as stack:
        pairs = [(one, await stack.enter_async_context(_opened(one.hosted))) for one in services]
        await what(pairs, *more)


@asynccontextmanager
async def _opened(hosted: Hosted) -> AsyncIterator[Carrier]:
    connect = hosted.post.connect
    if connect is None:
        raise PrerequisiteError(f"{hosted.service.model!r} takes batches as files only: name a folder, --batch-files")
    async with connect(hosted.service.door, hosted.service.limits) as carrier:
        yield carrier


Pairs = Sequence[tuple[Desk, Carrier]]


async def _until_over(pairs: Pairs, until: float) -> None:
    """Looks at all jobs, and submits those that the services had no room for, until none is open."""
    wait, longest = WAITS
    while True:
        await _tick(pairs)
        if not any(one.ledger.jobs(one.scope, "sending", "sent") or one.planned() for one, _ in pairs):
            return
        if time.monotonic() >= until:
            raise IncompleteError("the time that was given is used up: batches go on, the same command collects them")
        await asyncio.sleep(wait)
        wait = min(2 * wait, longest)


async def _tick(pairs: Pairs) -> None:
    """Looks once at every job, submits what this process has planned, and collects what is over."""
    for one, carrier in pairs:
        if one.ledger.jobs(one.scope, "sending") or one.planned():
            with files.alone(one.ledger.folder, wait=True):
                for job in one.ledger.jobs(one.scope, "sending"):
                    await _found(one, carrier, job)
                for job in one.planned():
                    await _sent(one, carrier, job)
        for job in one.ledger.jobs(one.scope, "sent"):
            await _looked(one, carrier, job)


async def _submit(pairs: Pairs) -> None:
    """Submits what is wanted. Nobody else does so meanwhile."""
    for one, carrier in pairs:
        one.fit()
        made = one.ledger.plan(one.scope, one.part.system, one.post.line, lines=one.lines, size=one.post.size)
        one.ledger.forget_unwanted(one.scope)
        one.own.update(job.name for job in made)
        for job in made:
            await _sent(one, carrier, job)


async def _sent(one: Desk, carrier: Carrier, job: Job) -> None:
    """Submits a planned job. Where nobody said no, that is tried again, or it is looked for if it may be taken."""
    file = one.ledger.file(job)
    try:
        prepared = await carrier.prepare(job, file)
        job = one.ledger.note(job, state="sending", told=prepared)
        remote = await carrier.submit(job, file, prepared, one.model)
    except Exception as error:  # noqa: BLE001  (an SDK raises what it likes)
        refused = faults.code(error) is not None or isinstance(error, CallError | OSError)
        refused = refused and not faults.classify(error).again
        try:
            fault = one.fault(error)
        except (ServiceError, PrerequisiteError):
            if refused or job.state == "planned":
                one.ledger.drop(job)
            raise
        if not refused:
            ready = job.state == "planned" or fault.status == "rate-limited"
            one.say(job, f"{'not taken yet' if ready else 'it is not known whether it was taken'}: {fault.why}")
        elif job.lines == 1:
            one.ledger.close(job, fault.why, tried=True, tries=1)
        else:
            one.ledger.drop(job)
            raise ServiceError(f"{one.where} takes no such batch: {fault.why}") from None
        return
    one.reached()
    one.say(one.ledger.note(job, state="sent", remote=remote, told=""), f"submitted as {remote}")
    file.unlink(missing_ok=True)


async def _found(one: Desk, carrier: Carrier, job: Job) -> None:
    """Looks for a job that may have been submitted."""
    known = {str(other.remote) for other in one.ledger.jobs() if other.remote}
    try:
        remote = await carrier.find(job, known)
    except Exception as error:  # noqa: BLE001  (an SDK raises what it likes)
        one.say(job, f"it is not known whether it was taken: {one.fault(error).why}")
        return
    if remote is not None:
        one.say(one.ledger.note(job, state="sent", remote=remote, told=""), f"found again as {remote}")
    elif job.missed + 1 < GONE:
        one.ledger.note(job, missed=job.missed + 1)
    elif job.name in one.own:
        one.ledger.note(job, state="planned", missed=0)
    else:
        one.say(job, "was never taken: its requests are asked for again")
        one.ledger.drop(job)


async def _looked(one: Desk, carrier: Carrier, job: Job) -> None:
    """Looks at a submitted job, and collects it where it is over, unless another process has."""
    try:
        look = await carrier.look(str(job.remote))
        one.reached()
        job = one.ledger.note(job, told=look.state, missed=job.missed if look.over else 0)
        one.say(job, look.state + (f", {look.done:,} done" if look.done and not look.over else ""))
        if look.over:
            with files.alone(one.ledger.folder, wait=True):
                if any(job.name == other.name for other in one.ledger.jobs(one.scope, "sent")):
                    await collected(one, carrier, job, look)
    except Exception as error:
        if isinstance(error, (ServiceError, PrerequisiteError)):
            raise
        fault = faults.classify(error)
        if faults.code(error) != 404:
            one.say(job, f"cannot be looked at now: {one.fault(error).why}")
        elif job.missed + 1 < GONE:
            one.ledger.note(job, missed=job.missed + 1)
        else:
            one.say(job, f"is lost, the service does not know it or its results any more ({fault.why})")
            one.ledger.close(job, "lost", tried=True)
