"""What was given to services by batch and what came back: a ledger in the cache's own SQLite file.

A request is known by the SHA-256 of all that is sent (answers.key), which is also its name in a job's file: it is in
one job at a time, whoever asks for it. A job is written down before it is submitted (`planned`), right before that
(`sending`) and after it (`sent`), so that a process may die anywhere: a job that was being sent is looked for at the
service and not sent again. Answers are written down as they came, with what they cost, before anything is made of them.
Keys and other secrets are never in it.

One file, though a long one: requests, jobs and bills are one state, of which all changes together or nothing.
"""

import json
import sqlite3
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from memeval.core import files
from memeval.core.errors import PrerequisiteError
from memeval.core.store import ScoreCache
from memeval.core.types import canonical
from memeval.rerankers.hosted.batch.post import OWN, Answer, Body, Job

TRIES = 3
"""In how many jobs a request is put before it has failed."""
BILLING = "billing"  # the scope of what is no request but the sum of some, which is being billed
TABLES = (
    "CREATE TABLE IF NOT EXISTS batch_requests (key BLOB PRIMARY KEY, scope TEXT NOT NULL, run TEXT NOT NULL,"
    " body BLOB, most TEXT NOT NULL, worst REAL NOT NULL, wanted INTEGER NOT NULL, job TEXT, tries INTEGER NOT NULL,"
    " code INTEGER, raw BLOB, answered TEXT, calls INTEGER NOT NULL, cost REAL NOT NULL)",
    "CREATE INDEX IF NOT EXISTS batch_requests_by_job ON batch_requests (job)",
    "CREATE TABLE IF NOT EXISTS batch_jobs (name TEXT PRIMARY KEY, scope TEXT NOT NULL, system TEXT NOT NULL,"
    " state TEXT NOT NULL, remote TEXT, lines INTEGER NOT NULL, created TEXT NOT NULL, told TEXT NOT NULL,"
    " missed INTEGER NOT NULL)",
)


class Noted(NamedTuple):
    """A request that is to be asked for: its key, the run that it is for, the most that it can take, and that in
    dollars."""

    key: bytes
    run: str
    body: Body
    most: Mapping[str, float]
    worst: float


class Letter(NamedTuple):
    """What is known of a request: `code` and `raw` of its answer, if there is one, and the job that it is in."""

    code: int | None
    raw: str
    answered: str
    job: str | None


class Due(NamedTuple):
    """What batches have brought for a run and nobody has billed yet."""

    calls: int
    spent: float


class Ledger:
    """The tables, opened by the thread that uses them. Raises PrerequisiteError where they cannot be used.

    What comes now is no older than `since` (Terms), whatever the clock says: it would be asked for without end.
    """

    def __init__(self, path: Path, since: str | None = None) -> None:
        ScoreCache(path).close()
        self.path, self._since = path, since or ""
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
        for table in TABLES:
            self._do(table)

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    @property
    def folder(self) -> Path:
        """Where files stand while they are sent or read."""
        return self.path.parent / "batches"

    def file(self, job: Job) -> Path:
        """Where a job's requests stand until it is submitted."""
        return self.folder / f"{job.name}.jsonl"

    def sweep(self) -> None:
        """Removes what jobs left that came to nothing. Nobody else submits or collects meanwhile."""
        kept = {self.file(job) for job in self.jobs(None, "planned", "sending")}
        for file in set(self.folder.glob("memeval-*")) - kept:
            file.unlink(missing_ok=True)

    # --- requests

    def forget_unsent(self, scope: str) -> None:
        """Nothing is wanted of a service yet; what was planned by a process that died is no job."""
        with self._at_once():
            planned = "SELECT name FROM batch_jobs WHERE scope = ? AND state = 'planned'"
            self._do(f"UPDATE batch_requests SET job = NULL WHERE job IN ({planned})", scope)
            self._do("DELETE FROM batch_jobs WHERE scope = ? AND state = 'planned'", scope)
            self._do("UPDATE batch_requests SET wanted = 0 WHERE scope = ? AND job IS NULL", scope)

    def forget_unwanted(self, scope: str) -> None:
        """What is in no job and nobody wants is not kept, unless it was paid for and is not billed."""
        self._do(
            "DELETE FROM batch_requests WHERE scope = ? AND job IS NULL AND wanted = 0 AND code IS NULL AND calls = 0",
            scope,
        )

    def want(self, scope: str, noted: Iterable[Noted]) -> None:
        """Notes what is to be asked for, in place of an answer that is not used any more."""
        rows = [
            (one.key, scope, one.run, zlib.compress(canonical(one.body)), json.dumps(dict(one.most)), one.worst)
            for one in noted
        ]
        with self._at_once():
            self._db.executemany(
                "INSERT INTO batch_requests VALUES (?, ?, ?, ?, ?, ?, 1, NULL, 0, NULL, NULL, NULL, 0, 0)"
                " ON CONFLICT (key) DO UPDATE SET scope = excluded.scope, run = excluded.run, body = excluded.body,"
                " most = excluded.most, worst = excluded.worst, wanted = 1, job = NULL, code = NULL, raw = NULL"
                " WHERE job IS NULL OR code IS NOT NULL",
                rows,
            )

    def letter(self, key: bytes) -> Letter | None:
        """What is known of a request; None where it was never asked for."""
        row = self._do("SELECT code, raw, answered, job FROM batch_requests WHERE key = ?", key).fetchone()
        return None if row is None else Letter(row[0], _text(row[1]), row[2] or "", row[3])

    def came(self) -> bool:
        """Whether there are answers that no run has used up yet."""
        return bool(self._do("SELECT EXISTS (SELECT 1 FROM batch_requests WHERE code IS NOT NULL)").fetchone()[0])

    def held(self) -> float:
        """Dollars that what is in jobs and not answered can cost."""
        asked = "SELECT total(worst) FROM batch_requests WHERE job IS NOT NULL AND code IS NULL"
        return float(self._do(asked).fetchone()[0])

    def waiting(self, scope: str) -> int:
        """How many requests to a service are in jobs that have not come back."""
        asked = "SELECT count(*) FROM batch_requests WHERE scope = ? AND job IS NOT NULL AND code IS NULL"
        return int(self._do(asked, scope).fetchone()[0])

    # --- jobs

    def jobs(self, scope: str | None = None, *states: str) -> list[Job]:
        """The jobs, the oldest first: those of a service, and in some states."""
        rows = self._do("SELECT * FROM batch_jobs ORDER BY created, name").fetchall()
        row_fields = ("name", "scope", "system", "state", "remote", "lines", "created", "told", "missed")
        found = [Job(**dict(zip(row_fields, row, strict=True))) for row in rows]
        return [job for job in found if scope in (None, job.scope) and (not states or job.state in states)]

    def plan(self, scope: str, system: str, line: Any, *, lines: int, size: int) -> list[Job]:
        """Puts what is wanted of a service into jobs of at most so many lines and bytes, each with its file.

        `line` makes a line of a request's name and body. A single request that is too large is a job by itself, for the
        service to refuse.
        """
        asked = "SELECT key, body FROM batch_requests WHERE scope = ? AND wanted = 1 AND job IS NULL ORDER BY key"
        made: list[Job] = []
        keys: list[bytes] = []
        part: list[bytes] = []
        total = 0

        def closed() -> None:
            name = f"memeval-{uuid.uuid4().hex}"
            job = Job(name, scope, system, "planned", None, len(keys), datetime.now(UTC).isoformat(), "", 0)
            with self._at_once():
                self._do(f"INSERT INTO batch_jobs VALUES ({','.join('?' * len(job))})", *job)
                self._db.executemany("UPDATE batch_requests SET job = ? WHERE key = ?", [(name, key) for key in keys])
            files.write_whole(self.file(job), b"".join(part))
            made.append(job)
            keys.clear()
            part.clear()

        for key, body in self._do(asked, scope).fetchall():
            row = canonical(line(key.hex(), files.parsed(zlib.decompress(body))))
            if keys and (len(keys) >= lines or total + len(row) > size):
                closed()
                total = 0
            keys.append(key)
            part.append(row)
            total += len(row)
        if keys:
            closed()
        return made

    def note(self, job: Job, **changed: Any) -> Job:
        """A job with what has changed of it, written down."""
        with self._at_once():
            for name, value in changed.items():
                self._do(f"UPDATE batch_jobs SET {name} = ? WHERE name = ?", value, job.name)
        return job._replace(**changed)

    def drop(self, job: Job) -> None:
        """The job never came to be: its requests are in none."""
        with self._at_once():
            self._do("UPDATE batch_requests SET job = NULL WHERE job = ?", job.name)
            self._do("DELETE FROM batch_jobs WHERE name = ?", job.name)

    def asked(self, job: Job, name: str) -> tuple[Body, Mapping[str, float]] | None:
        """A request of a job that has no answer yet, by its name there, and the most that it can take."""
        row = self._do(
            "SELECT body, most FROM batch_requests WHERE key = ? AND job = ? AND code IS NULL",
            bytes.fromhex(name),
            job.name,
        ).fetchone()
        return None if row is None else (files.parsed(zlib.decompress(row[0])), json.loads(row[1]))

    def receive(self, found: Sequence[tuple[Answer, float | None]]) -> list[float]:
        """Keeps answers with what they cost, None where nothing was paid; what was paid for those that are new."""
        paid = []
        now = max(datetime.now(UTC).isoformat(), self._since)
        with self._at_once():
            for answer, cost in found:
                raw = zlib.compress(answer.raw.encode("utf-8", "replace"))
                row = (answer.code, raw, now, int(cost is not None), cost or 0.0, bytes.fromhex(answer.name))
                changed = self._do(
                    "UPDATE batch_requests SET code = ?, raw = ?, answered = ?, body = NULL, calls = calls + ?,"
                    " cost = cost + ? WHERE key = ? AND code IS NULL",
                    *row,
                ).rowcount
                if changed and cost is not None:
                    paid.append(cost)
        return paid

    def again(self, job: Job, name: str, cost: float | None) -> bool:
        """Takes a request out of its job, to be asked for in another one; False where it was in too many already."""
        changed = self._do(
            "UPDATE batch_requests SET job = NULL, tries = tries + 1, calls = calls + ?, cost = cost + ?"
            " WHERE key = ? AND job = ? AND code IS NULL AND tries < ?",
            int(cost is not None), cost or 0.0, bytes.fromhex(name), job.name, TRIES - 1,
        ).rowcount  # fmt: skip
        return bool(changed)

    def close(self, job: Job, told: str, *, tried: bool, tries: int = TRIES) -> tuple[int, int]:
        """Ends a job: how many of its requests have no answer and may be asked for again, and how many may not.

        `tried` says that they were in a job for nothing; where a user or the service put the job away, they were not.
        After so many `tries`, they have failed.
        """
        with self._at_once():
            left = "job = ? AND code IS NULL"
            lost = self._do(
                f"UPDATE batch_requests SET code = {OWN}, raw = ?, answered = ?, body = NULL"
                f" WHERE {left} AND ? AND tries >= ?",
                zlib.compress(f"no answer in {tries} {'batch' if tries == 1 else 'batches'} ({told})".encode()),
                max(datetime.now(UTC).isoformat(), self._since), job.name, tried, tries - 1,
            ).rowcount  # fmt: skip
            freed = self._do(
                f"UPDATE batch_requests SET job = NULL, tries = tries + ? WHERE {left}", int(tried), job.name
            ).rowcount
            self._do("UPDATE batch_jobs SET state = 'over', told = ? WHERE name = ?", told, job.name)
        return freed, lost

    # --- bills

    def due(self, run: str) -> Due:
        """What a run's answers cost that were never billed."""
        calls, spent = self._do("SELECT total(calls), total(cost) FROM batch_requests WHERE run = ?", run).fetchone()
        return Due(int(calls), float(spent))

    def gather(self, run: str, entry: str) -> Due:
        """What is due, under the name that its bill will have: what comes from now on is for another one."""
        with self._at_once():
            due = self.due(run)
            self._do("DELETE FROM batch_requests WHERE run = ? AND scope = ?", run, BILLING)
            self._do("UPDATE batch_requests SET calls = 0, cost = 0 WHERE run = ?", run)
            self._do(
                "INSERT INTO batch_requests VALUES (?, ?, ?, NULL, '{}', 0, 0, NULL, 0, NULL, NULL, NULL, ?, ?)",
                entry.encode(), BILLING, run, due.calls, due.spent,
            )  # fmt: skip
        return due

    def settle(self, run: str, entry: str) -> None:
        """A run's bill of that name is written, and everything was made of its answers that can be."""
        with self._at_once():
            self._do("DELETE FROM batch_requests WHERE key = ?", entry.encode())
            self._do("DELETE FROM batch_requests WHERE run = ? AND calls = 0 AND (code NOT NULL OR job IS NULL)", run)

    # --- the file

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """All that is written within is written, or nothing."""
        with self._usable():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # which a full disk ends by itself
                    self._db.execute("ROLLBACK")
                raise

    def _do(self, statement: str, *values: Any) -> sqlite3.Cursor:
        with self._usable():
            return self._db.execute(statement, values)

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise PrerequisiteError(f"{self.path}: cannot be used ({error}): free some space") from None


def _text(raw: bytes | None) -> str:
    return "" if raw is None else zlib.decompress(raw).decode("utf-8", "replace")
