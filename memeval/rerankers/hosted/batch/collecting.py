"""What jobs have answered, taken from a service into the ledger, each answer once, whatever its results repeat."""

import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from memeval.core import files
from memeval.core.errors import PrerequisiteError, ServiceError
from memeval.core.outside import without
from memeval.core.types import Request
from memeval.core.values import answered
from memeval.rerankers.hosted import faults
from memeval.rerankers.hosted.batch.ledger import Ledger
from memeval.rerankers.hosted.batch.post import OWN, Answer, Carrier, Job, Look
from memeval.rerankers.hosted.estimate import BYTES_A_TOKEN
from memeval.rerankers.hosted.faults import CallError
from memeval.rerankers.hosted.prices import counted
from memeval.rerankers.hosted.stream import Hosted

VAIN = 20
"""How often in a row a service may fail before no more is tried now."""
AT_ONCE = 500
"""How many answers are written down in one go."""
FULL = "token_limit_exceeded"
"""What a service says that lets no more tokens wait: fewer at once will do."""
AWAY = ("cancelled", "CANCELLED", "canceled")
"""States of jobs that somebody has ended early: their requests were not tried in vain."""


@dataclass(frozen=True)
class Questions:
    """A system's questions of one run: `run` names it in the ledger, `name` for people. `system` is the system's full
    name, by which another process finds the way to its jobs."""

    hosted: Hosted
    requests: Sequence[Request]
    run: str
    name: str
    system: str


@dataclass
class Desk:
    """The jobs of one service, as one process carries them; `lines` is how many requests it takes in a job, `cancelled`
    how many jobs somebody has ended early, `own` names those that it has planned itself. Of the last jobs, the service
    had no room for one of so many requests (`full`), and some were no matter of room (`fitted`)."""

    part: Questions
    ledger: Ledger
    tell: Callable[[str], None]
    lines: int = 0
    opened: bool = False
    failed: int = 0
    cancelled: int = 0
    full: int = 0
    fitted: bool = False
    own: set[str] = field(default_factory=set)
    told: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hosted = self.part.hosted
        self.scope, self.post = self.hosted.scope, self.hosted.post
        self.lines = self.post.lines
        self.model = self.hosted.service.model.partition("/")[2]
        self.where = f"{self.hosted.service.model!r} at {self.hosted.service.door.host}"

    def say(self, job: Job, what: str) -> None:
        """Tells of a job what was not told of it last."""
        if self.told.get(job.name) != what:
            self.told[job.name] = what
            self.tell(f"{self.part.name}: batch {job.name.partition('-')[2][:8]} ({job.lines:,} requests): {what}")

    def planned(self) -> list[Job]:
        """The jobs to submit: what another process has planned may not be wanted any more, if it died."""
        return [job for job in self.ledger.jobs(self.scope, "planned") if job.name in self.own]

    def fit(self) -> None:
        """Makes the next jobs smaller where none of the last ones fitted. Raises ServiceError where nothing would."""
        if self.full and not self.fitted:
            self.lines = self.full // 2
        self.full, self.fitted = 0, False
        if not self.lines:
            raise ServiceError(
                f"{self.where} has no room for a batch now: the same command goes on when others are over"
            )

    def reached(self) -> None:
        """Notes that the service has answered."""
        self.opened, self.failed = True, 0

    def fault(self, error: Exception) -> CallError:
        """What went wrong, without secrets. Raises ServiceError or PrerequisiteError where no call fares better."""
        if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError | ssl.SSLError):
            raise files.unwritable(Path(error.filename or self.ledger.folder), error)  # a matter of this machine
        fault = faults.classify(error)
        why = without(fault.why, self.hosted.service.door.secrets, "[key]")
        self.opened |= not (fault.shut or fault.status == "timed-out")
        if fault.remedy and not (fault.shut and self.opened and fault.again):
            if fault.shut:
                raise PrerequisiteError(f"{self.where} cannot be asked: {why}: {fault.remedy}")
            raise ServiceError(f"{self.where} takes no batches ({why}): {fault.remedy}; the same command goes on")
        self.failed += 1
        if self.failed >= VAIN and fault.status != "rate-limited":
            raise ServiceError(f"{self.where} fails again and again ({why}): the same command goes on with its batches")
        fault.why = why
        return fault


async def collected(one: Desk, carrier: Carrier, job: Job, look: Look) -> None:
    """Takes a job's results: all files of them, whatever its state is called."""
    counts = dict.fromkeys(("answers", "unknown or repeated", "unreadable"), 0)
    found: list[Path] = []
    broken: CallError | None = None
    gone: Exception | None = None
    try:
        for number, place in enumerate(look.places):
            file = one.ledger.folder / f".{job.name}.{number}.tmp"
            try:
                await carrier.fetch(place, file)
                found.append(file)
            except Exception as error:  # noqa: BLE001  (an SDK raises what it likes: what the others hold is taken first)
                gone = error
        for good in (True, False):  # where a request is answered and failed, too, the answer counts
            if gone is not None and not good:
                raise gone
            for some in chain.from_iterable(map(_some, found)):
                broken = _received(one, job, some, counts, good=good) or broken
    finally:
        for file in one.ledger.folder.glob(f".{job.name}.*.tmp"):
            file.unlink(missing_ok=True)
    full = FULL in look.why
    one.full, one.fitted = max(one.full, job.lines * full), one.fitted or not full
    away = look.state in AWAY or full or broken is not None
    one.cancelled += look.state in AWAY
    freed, lost = one.ledger.close(job, look.state, tried=not away)
    told = [f"{count:,} {what}" for what, count in counts.items() if count or what == "answers"]
    told += [f"{freed:,} to be asked for again"] * bool(freed) + [f"{lost:,} given up"] * bool(lost)
    one.say(job, f"{look.state}: {', '.join(told)}{f' ({faults.short(look.why)})' if look.why else ''}")
    broken = broken or _hopeless(look)
    if broken is not None:
        raise ServiceError(f"{one.where} takes no more calls ({broken.why}): {broken.remedy}; the same command goes on")


def _received(one: Desk, job: Job, lines: Iterable[bytes], counts: dict[str, int], *, good: bool) -> CallError | None:
    """Keeps the answers in some lines of results, `good` or others, and pays them; why no call would fare better, if
    a line says so."""
    found: list[tuple[Answer, float | None]] = []
    broken = None
    for answer in (_read(one, line) for line in lines):
        if (answer is not None and answer.code == 200) != good:
            continue
        asked = None if answer is None else one.ledger.asked(job, answer.name)
        if answer is None or asked is None:
            counts["unreadable" if answer is None else "unknown or repeated"] += 1
        elif answer.code != OWN:  # what was never asked of the model goes into another job
            cost, fault = _weighed(one, answer, *asked)
            if fault is not None and fault.remedy:
                broken = fault
            elif fault is not None and fault.again and one.ledger.again(job, answer.name, cost):
                one.hosted.terms.purse.pay([] if cost is None else [cost])
            else:
                found.append((answer, cost))
    one.hosted.terms.purse.pay(one.ledger.receive(found))
    counts["answers"] += len(found)
    return broken


def _some(file: Path) -> Iterable[list[bytes]]:
    """The lines of a file, some at a time."""
    some: list[bytes] = []
    with file.open("rb") as stream:
        for line in iter(partial(stream.readline, files.LONGEST), b""):
            if line.strip():
                some.append(line)
            if len(some) >= AT_ONCE:
                yield some
                some = []
    yield some


def _read(one: Desk, line: bytes) -> Answer | None:
    """A line of results, without secrets; None where it is none."""
    with suppress(Exception):
        answer = one.post.read(answered(line.decode("utf-8-sig", "replace")))
        bytes.fromhex(answer.name)
        return answer._replace(raw=without(answer.raw, one.hosted.service.door.secrets, "[key]"))
    return None


def _weighed(
    one: Desk, answer: Answer, body: Mapping[str, Any], most: Mapping[str, float]
) -> tuple[float | None, CallError | None]:
    """What an answer costs (None: nothing was paid), and the fault that it is."""
    if answer.code != 200:
        return None, faults.of_status(answer.code, {}, answer.raw)
    price, fault = one.hosted.price, None
    expected = {**most, "input_tokens": most.get("input_tokens", 0) / BYTES_A_TOKEN[0]}
    usage = counted({}, expected, price)
    try:
        faults.whole(answer.raw, "application/json")
        usage = counted(one.hosted.service.read(answer.raw, body).usage, expected, price)
    except CallError as error:
        if error.remedy and not error.billed:
            return None, error
        fault = error
    except Exception:  # noqa: BLE001  (a reply is anything at all: who asked for it will tell)
        fault = None
    return price.of(usage) if price else 0.0, fault


def _hopeless(look: Look) -> CallError | None:
    """Why a job failed that would fail again."""
    if not look.why or FULL in look.why:
        return None
    fault = faults.inside({"error": look.why}, "")
    return fault if fault.remedy else None
