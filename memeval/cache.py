"""Remembers scores by content, in one SQLite file that several processes may share.

A score's key is the SHA-256 of all it depends on: the system's fingerprint, the rendered query with its context, and
the rendered memory, each with its time and the like, which a reranker sees too; for a listwise system also the whole
list in order and the place in it. Position in a file, ids,
the name of a data set and the machine are no part of it. A query's scores are committed together before they are used,
so a process that dies loses at most the query it was working on. A failure is never remembered.
"""

import hashlib
import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from memeval.errors import PrerequisiteError
from memeval.types import Memory, Query, canonical

APPLICATION_ID = 0x6D656D65  # "meme"
VERSION = 1


class Entry(NamedTuple):
    """One remembered score. `seconds` is its share of the call it came from, `usage` what the call took, told once."""

    score: float
    cut: bool = False
    seconds: float | None = None
    usage: Mapping[str, float] | None = None


class ScoreCache:
    """The file. Raises PrerequisiteError where it is not one of memeval's, of another version, or cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
            self._open()
        except (sqlite3.Error, OSError) as error:
            raise PrerequisiteError(f"{path}: cannot be used as a score cache ({error}): {_REMEDY}") from None

    def _open(self) -> None:
        # Tables are counted first: another process that is making the file writes its id before them.
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application_id = self._db.execute("PRAGMA application_id").fetchone()[0]
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if tables and application_id != APPLICATION_ID:
            raise PrerequisiteError(f"{self.path}: is no score cache of memeval: {_REMEDY}")
        if tables and version != VERSION:
            raise PrerequisiteError(f"{self.path}: is a score cache of version {version}, wanted {VERSION}: {_REMEDY}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._db.execute(f"PRAGMA user_version = {VERSION}")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS scores"
            " (key BLOB PRIMARY KEY, score REAL NOT NULL, cut INTEGER NOT NULL, seconds REAL, usage TEXT) WITHOUT ROWID"
        )

    def find(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        """key → entry for those that are known."""
        found: dict[bytes, Entry] = {}
        for start in range(0, len(keys), 500):
            some = keys[start : start + 500]
            marks = ",".join("?" * len(some))
            try:
                rows = self._db.execute(f"SELECT * FROM scores WHERE key IN ({marks})", some).fetchall()
            except sqlite3.Error as error:
                raise PrerequisiteError(f"{self.path}: cannot be read ({error}): {_REMEDY}") from None
            found.update(
                (key, Entry(score, bool(cut), seconds, _counts(usage))) for key, score, cut, seconds, usage in rows
            )
        return found

    def add(self, entries: Mapping[bytes, Entry]) -> None:
        """Remembers entries, all or none; what is known already stays as it is."""
        rows = [
            (key, entry.score, entry.cut, entry.seconds, json.dumps(entry.usage) if entry.usage else None)
            for key, entry in entries.items()
        ]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO scores VALUES (?, ?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise PrerequisiteError(f"{self.path}: cannot be written ({error}): free some space or {_REMEDY}") from None

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def __enter__(self) -> "ScoreCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _counts(usage: str | None) -> dict[str, float] | None:
    """What is remembered of a call's usage; counts that are none, which once were kept, too, are passed over."""
    found = json.loads(usage) if usage else None
    numbers = {name: count for name, count in (found or {}).items() if isinstance(count, (int, float))}
    return {name: count for name, count in numbers.items() if math.isfinite(count)} or None


def keys(fingerprint: Mapping[str, object], scope: str, query: Query, memories: Sequence[Memory]) -> list[bytes]:
    """One key for each memory; see the module's head for what goes into it."""
    asked = [query.text, query.context, query.asked_at, query.category]
    head = hashlib.sha256(canonical([VERSION, fingerprint, scope, *asked]))
    seen = [canonical([m.text, m.time, m.speaker, m.session_id, m.caption]) for m in memories]
    if scope == "list":
        head.update(b"".join(seen))
        return [_extended(head, str(position).encode()) for position in range(len(memories))]
    return [_extended(head, memory) for memory in seen]


def _extended(head: "hashlib._Hash", content: bytes) -> bytes:
    key = head.copy()
    key.update(content)
    return key.digest()


_REMEDY = "move it away, or name another folder with MEMEVAL_CACHE"
