"""Remembers what services answered, as they answered it, in the cache's own SQLite file.

The key is the SHA-256 of all that was asked: service, base address, the whole request, and which repeat it is. An
answer is committed as soon as it was understood, and before it is used, so a process that dies loses at most the calls
that were in flight. What was understood is kept (a refusal, too: it was paid for, and asking again at temperature 0
gives the same); what went wrong is not, and what no longer reads is forgotten.
"""

import contextlib
import sqlite3
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from memeval.core.errors import PrerequisiteError
from memeval.core.store import ScoreCache
from memeval.core.types import canonical

VERSION = 1


class Stored(NamedTuple):
    """A service's reply: the raw body, the seconds of the attempt that brought it, and when it came (UTC)."""

    raw: str
    seconds: float
    answered: str = ""


class Answers:
    """The table, opened by the thread that uses it; `since` as in ScoreCache. Raises PrerequisiteError as that does."""

    def __init__(self, path: Path, since: str | None = None) -> None:
        ScoreCache(path).close()
        self.path, self.since = path, since or ""
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS answers"
            " (key BLOB PRIMARY KEY, raw BLOB NOT NULL, seconds REAL NOT NULL, answered TEXT NOT NULL, model TEXT,"
            " finish TEXT, usage TEXT) WITHOUT ROWID"
        )

    def find(self, key: bytes) -> Stored | None:
        """The answer to what was asked, if it is known; a row that does not hold what it should is like none."""
        row = self._db.execute("SELECT raw, seconds, answered FROM answers WHERE key = ?", (key,)).fetchone()
        if row is not None:
            with contextlib.suppress(zlib.error, ValueError, TypeError):
                found = Stored(zlib.decompress(row[0]).decode(), float(row[1]), row[2])
                return found if found.answered >= self.since else None
            self.forget(key)
        return None

    def forget(self, key: bytes) -> None:
        """Removes an answer that cannot be read."""
        self._write("DELETE FROM answers WHERE key = ?", (key,))

    def add(self, key: bytes, stored: Stored, *, model: str, finish: str, usage: Mapping[str, float]) -> None:
        """Remembers an answer, in place of what was known before."""
        raw = zlib.compress(stored.raw.encode("utf-8", "replace"), 6)
        answered = stored.answered or datetime.now(UTC).isoformat()
        row = (key, raw, stored.seconds, answered, model, finish, canonical(dict(usage)).decode().strip())
        self._write("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def _write(self, statement: str, row: tuple[Any, ...]) -> None:
        try:
            self._db.execute(statement, row)
        except sqlite3.Error as error:
            raise PrerequisiteError(f"{self.path}: cannot be written ({error}): free some space") from None

    def close(self) -> None:
        """Closes the file."""
        self._db.close()


def key(service: str, address: str, body: bytes, repeat: int) -> bytes:
    """The key of a request to a base address (Door.address), whose body is given as canonical JSON."""
    return sha256(canonical([VERSION, service, address, repeat]) + body).digest()
