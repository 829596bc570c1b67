"""Remembers scores by content, in one SQLite file that several processes may share.

A score's key is the SHA-256 of all it depends on: the system's fingerprint, and the rendered query and memory with all
that a reranker sees of them (context, time, …); for a listwise system also the whole list in order and the place in it.
Position in a file, ids, the name of a data set and the machine are no part of it. A query's scores are committed
together before they are used, so a process that dies loses at most the query it was working on. A failure is never
remembered. A row that does not hold what it should counts as absent.
"""

import hashlib
import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from memeval.core import files
from memeval.core.errors import DataError, PrerequisiteError
from memeval.core.types import Memory, Query, canonical

APPLICATION_ID = 0x6D656D65  # "meme"
VERSION = 2
"""Of the file. Version 1 did not hold when a score was made; it is taken over as it is."""
KEYS = 1
"""Of what goes into a key."""


class KnownScore(NamedTuple):
    """One remembered score. `seconds` is its share of the call it came from, `usage` what the call took, told once.

    `made` is when (ISO 8601, UTC), None where that is unknown.
    """

    score: float
    cut: bool = False
    seconds: float | None = None
    usage: Mapping[str, float] | None = None
    made: str | None = None


class ScoreCache:
    """The file; with `since` (ISO 8601, UTC), scores made before then, or at an unknown time, are not found.

    Raises PrerequisiteError where it is not one of memeval's, of another version, or cannot be written.
    """

    def __init__(self, path: Path, since: str | None = None) -> None:
        self.path, self.since = path, since
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
        if tables and version not in (1, VERSION):
            raise PrerequisiteError(f"{self.path}: is a score cache of version {version}, wanted {VERSION}: {_REMEDY}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._db.execute(f"PRAGMA user_version = {VERSION}")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS scores (key BLOB PRIMARY KEY, score REAL NOT NULL, cut INTEGER NOT NULL,"
            " seconds REAL, usage TEXT, made TEXT) WITHOUT ROWID"
        )
        if "made" not in {column[1] for column in self._db.execute("PRAGMA table_info(scores)")}:
            self._db.execute("ALTER TABLE scores ADD COLUMN made TEXT")
        self._db.execute("COMMIT")

    def find(self, keys: Sequence[bytes]) -> dict[bytes, KnownScore]:
        """key → entry for those that are known."""
        found: dict[bytes, KnownScore] = {}
        for start in range(0, len(keys), 500):
            some = keys[start : start + 500]
            marks = ",".join("?" * len(some))
            asked = f"SELECT key, score, cut, seconds, usage, made FROM scores WHERE key IN ({marks})"
            try:
                rows = self._db.execute(asked, some).fetchall()
            except (sqlite3.Error, ValueError) as error:
                raise PrerequisiteError(f"{self.path}: cannot be read ({error}): {_REMEDY}") from None
            for key, *values in rows:
                entry = _entry(*values)
                if entry is not None and (self.since is None or (entry.made or "") >= self.since):
                    found[key] = entry
        return found

    def add(self, entries: Mapping[bytes, KnownScore]) -> None:
        """Remembers entries, all or none, in place of what was known before."""
        rows = [
            (key, entry.score, entry.cut, entry.seconds, json.dumps(entry.usage) if entry.usage else None, entry.made)
            for key, entry in entries.items()
        ]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT OR REPLACE INTO scores (key, score, cut, seconds, usage, made) VALUES (?, ?, ?, ?, ?, ?)", rows
            )
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


def keys(fingerprint: Mapping[str, object], scope: str, query: Query, memories: Sequence[Memory]) -> list[bytes]:
    """One key for each memory; see the module's head for what goes into it."""
    asked = [query.text, query.context, query.asked_at, query.category]
    head = hashlib.sha256(canonical([KEYS, fingerprint, scope, *asked]))
    seen = [canonical([m.text, m.time, m.speaker, m.session_id, m.caption]) for m in memories]
    if scope == "list":
        head.update(b"".join(seen))
        return [_extended(head, str(position).encode()) for position in range(len(memories))]
    return [_extended(head, memory) for memory in seen]


def _entry(score: Any, cut: Any, seconds: Any, usage: Any, made: Any) -> KnownScore | None:
    """A row as an entry, if its values are what they should be: SQLite keeps a text where a number belongs."""
    try:
        took = None if usage is None else files.shaped(usage, dict[str, int | float], "usage")
        numbers = (score, cut, 0 if seconds is None else seconds, *(took or {}).values())
        whole = all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers)
    except (DataError, TypeError, ValueError, OverflowError):
        return None
    return KnownScore(score, bool(cut), seconds, took, made) if whole and isinstance(made, str | None) else None


def _extended(head: "hashlib._Hash", content: bytes) -> bytes:
    key = head.copy()
    key.update(content)
    return key.digest()


_REMEDY = "move it away, or name another folder with MEMEVAL_CACHE"
