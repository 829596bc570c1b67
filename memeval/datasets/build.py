"""What every loader fills while it reads, and the data set that comes of it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memeval.core.errors import DataError
from memeval.core.types import Dataset, Grade, Memory, Query
from memeval.datasets._files import digest


@dataclass
class Builder:
    """What has been read so far. `pools` stays empty where queries have no candidates of their own."""

    queries: list[Query] = field(default_factory=list)
    stores: dict[str, tuple[Memory, ...]] = field(default_factory=dict)
    qrels: dict[str, dict[str, Grade]] = field(default_factory=dict)
    excluded: dict[str, str] = field(default_factory=dict)
    pools: dict[str, tuple[str, ...]] = field(default_factory=dict)
    forbidden: dict[str, frozenset[str]] = field(default_factory=dict)
    anomalies: Counter[str] = field(default_factory=Counter)

    def dataset(
        self, name: str, version: str = "", *, licence: str = "not stated", url: str = "", **facts: Any
    ) -> Dataset:
        """The data set, with the labels and pools of its queries alone and the anomalies that there were.

        A query without any text is left out where nothing answers it; else it stays, and fails for every system.
        `facts` are further fields of `Dataset`. Raises DataError where ids are not unique or do not resolve.
        """
        answered = {query_id for query_id, grades in self.qrels.items() if any(grade > 0 for grade in grades.values())}
        blank = {query.query_id for query in self.queries if query.blank} - answered
        asked = [query.query_id for query in self.queries if query.query_id not in blank]
        if blank and not asked:
            raise DataError(f"{name}: leaves no query to measure: all are empty, and nothing answers them")
        return Dataset(
            name=name,
            version=version,
            licence=licence,
            url=url,
            queries=tuple(query for query in self.queries if query.query_id not in blank),
            stores=self.stores,
            qrels={query_id: self.qrels[query_id] for query_id in asked if query_id in self.qrels},
            excluded={**self.excluded, **dict.fromkeys(sorted(blank), "its text is empty")},
            pools={query_id: self.pools[query_id] for query_id in asked} if self.pools else None,
            forbidden={query_id: self.forbidden[query_id] for query_id in asked if self.forbidden.get(query_id)},
            anomalies={kind: count for kind, count in self.anomalies.items() if count},
            **facts,
        )

    def pinned(self, name: str, version: str, paths: Iterable[Path], verified: bool, **facts: Any) -> Dataset:
        """The same of pinned files; where others were taken (not `verified`), the version says which."""
        return self.dataset(name, version if verified else f"unverified-{digest(paths)}", verified=verified, **facts)
