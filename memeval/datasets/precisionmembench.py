"""PrecisionMemBench: which of a person's beliefs come back for a question, and only those (Tenure, 2026; MIT).

From GitHub tenurehq/precisionMemBench, `fixtures/`. The store is what is known of one person: 34 beliefs, with those
that were superseded or are of another scope. A query is one of the 77 cases, relevant are the beliefs it expects of
a search (`relevantBeliefs.shouldOnlyInclude`). A memory is a belief as upstream's own baseline embeds it: its name, its
aliases, its content and why it matters.

Pinned beliefs and open questions are shown by upstream whatever is asked: they are in the store, but are no candidates.
A case that expects nothing of the search is excluded; the cases of sessions, in which beliefs change, are not read.

Forbidden for a query are the candidates that upstream's records rule out: those that another belief supersedes
(`superseded_by`, four of them), those of which no `scope` is one of the case's (universal ones are of every scope), and
those that the case excludes by name (`relevantBeliefs.mustExclude`). All 43 queries have such beliefs, 292 pairs in
all; most are of other matters than the question. Any other belief is not relevant, and not forbidden.

BM25's figures with the texts alone (`bare`): NDCG@10 .905; all-MiniLM-L6-v2's .927. It is nearly saturated.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from memeval.core.errors import DataError
from memeval.core.types import Dataset, Memory, Query
from memeval.core.values import name as name_of
from memeval.core.values import shown, typed, value_of
from memeval.datasets import cards
from memeval.datasets._files import filled, iso, items, listed, located, no_argument
from memeval.datasets.build import Builder

Ruled: TypeAlias = Mapping[str, frozenset[str] | None]
"""belief that a search can bring → its scopes; None where it is superseded."""

CARD = cards.read("precisionmembench")
BELIEFS, CASES = CARD.files["beliefs"], CARD.files["cases"]
ABOUT, facts = CARD.about, CARD.facts
OPTIONS = ("unverified",)
UNIVERSAL = "user:universal"  # the scope that every case is in
USER = "test-user"  # whose beliefs the cases ask for, where they name nobody else


def load(name: str, argument: str | None = None, *, unverified: bool = False) -> Dataset:
    """PrecisionMemBench as pinned. Raises PrerequisiteError where a file is not here, UsageError for an argument."""
    no_argument(name, argument)
    (beliefs, cases), verified = located(BELIEFS, CASES, unverified=unverified)
    return read(beliefs, cases, verified=verified)


def read(beliefs: Path, cases: Path, *, verified: bool = True) -> Dataset:
    """The data set in a file of beliefs and one of cases. Raises DataError naming file, record and field."""
    found = Builder()
    found.stores[USER], searched, known = _beliefs(beliefs, found.anomalies)
    for number, case in enumerate(items(cases)):
        query_id = filled(case, "caseId", f"{cases}: case {number}")
        where = f"{cases}: case {number} ({shown(query_id)})"
        if query_id in found.qrels or query_id in found.excluded:
            raise DataError(f"{where}: 'caseId' stands twice")
        asked, category = value_of(case, "query", str, where), filled(case, "category", where)
        relevant, excluded = _expected(value_of(case, "expect", dict, where), where)
        if (name_of(case, "userId", where) or USER) != USER:
            found.excluded[query_id] = "it is asked of another person's beliefs"
        elif not relevant:
            found.excluded[query_id] = "nothing is expected of the search"
        elif absent := [doc_id for doc_id in relevant if doc_id not in searched]:
            raise DataError(f"{where}: expects {shown(absent[0])}, which is no belief of {USER} that is searched")
        else:
            if absent := [doc_id for doc_id in excluded if doc_id not in known]:
                raise DataError(f"{where}: 'mustExclude' names {shown(absent[0])}, which is no belief")
            scopes = {UNIVERSAL, *listed(case, "scope", str, where)}
            forbidden = {doc_id for doc_id, own in searched.items() if own is None or scopes.isdisjoint(own)}
            if both := [doc_id for doc_id in relevant if doc_id in forbidden]:
                reason = "superseded" if searched[both[0]] is None else "of another scope"
                raise DataError(f"{where}: expects {shown(both[0])}, which is {reason}")
            if both := [doc_id for doc_id in relevant if doc_id in excluded]:
                raise DataError(f"{where}: 'mustExclude' names {shown(both[0])}, which 'shouldOnlyInclude' expects")
            found.forbidden[query_id] = frozenset(forbidden | (searched.keys() & set(excluded)))
            found.queries.append(Query(query_id, asked, USER, category))
            found.qrels[query_id] = dict.fromkeys(relevant, 1)
    if not found.queries:
        raise DataError(f"{cases}: holds no case that expects a belief")
    found.pools = dict.fromkeys(found.qrels, tuple(searched))
    name, paths = "precisionmembench", [beliefs, cases]
    return found.pinned(name, CARD.version, paths, verified, **facts(name))


def _beliefs(path: Path, anomalies: Counter[str]) -> tuple[tuple[Memory, ...], Ruled, set[str]]:
    """The beliefs about USER, what rules out those that a search can bring, and the ids of all beliefs."""
    memories: dict[str, Memory] = {}
    searched: dict[str, frozenset[str] | None] = {}
    seen: set[str] = set()
    for number, belief in enumerate(items(path)):
        doc_id = filled(belief, "_id", f"{path}: belief {number}")
        where = f"{path}: belief {number} ({shown(doc_id)})"
        if doc_id in seen:
            raise DataError(f"{where}: '_id' stands twice")
        seen.add(doc_id)
        name, aliases = filled(belief, "canonical_name", where), listed(belief, "aliases", str, where)
        parts = [name, *aliases, filled(belief, "content", where), value_of(belief, "why_it_matters", str, where)]
        time = iso(filled(belief, "created_at", where), f"{where}: 'created_at'")
        superseded, scopes = name_of(belief, "superseded_by", where), listed(belief, "scope", str, where)
        pinned, kind = value_of(belief, "pinned", bool, where), filled(belief, "type", where)
        if filled(belief, "user_id", where) != USER:
            anomalies["beliefs about somebody else, left out"] += 1
            continue
        memories[doc_id] = Memory(doc_id, " ".join(part for part in parts if part), time)
        if not pinned and kind != "open_question":
            searched[doc_id] = None if superseded else frozenset(scopes)
    return tuple(memories.values()), searched, seen


def _expected(expect: dict[str, Any], where: str) -> list[list[str]]:
    """The beliefs that a search should bring, and no others; and those that are excluded by name."""
    channel = typed(expect.get("relevantBeliefs", {}), dict, f"{where}: 'relevantBeliefs'")
    keys = "shouldOnlyInclude", "mustExclude"
    return [listed(channel, key, str, where) if key in channel else [] for key in keys]
