"""Graded labels for a data set, made by judges.

    data set → what several systems put on top → votes → levels → a folder in BEIR's layout, with who made it

A judge is a chat model asked in the mode `graded`: five levels, 0 to 4, of one memory for one query. Every answer goes
through the cache, so that nothing is paid for twice, however often the work is stopped. What a judge did not answer is
no vote; a pair without a vote has no label.

Longer than most files here, because votes, labels and the card that tells of them must change together.
"""

import json
import math
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from statistics import median_low
from typing import Any

from memeval import datasets, rerankers
from memeval.core import files, names, results
from memeval.core.errors import IncompleteError, UsageError
from memeval.core.outside import inert, visible
from memeval.core.results import Agreed, LabelCard, Voter
from memeval.core.store import ScoreCache
from memeval.core.types import ANSWERED, Dataset, Grade, Memory, Query, Scored, Status, written
from memeval.core.values import shown
from memeval.datasets import render
from memeval.datasets.candidates import retrieve
from memeval.measures import agreement
from memeval.rerankers.hosted.quote import Quote, quote
from memeval.rerankers.hosted.terms import Terms
from memeval.runs.benchmark import load_scorer
from memeval.runs.guard import Scorer
from memeval.runs.progress import Watcher
from memeval.runs.runner import HOPELESS

RULE = "a label is the median of the votes, of two middle ones the lower; what was not answered is no vote"
LABELS, PEOPLE = "the labels", "people"
"""What comes of all judges, and whose labels the data set had, as agreement names them."""
VOTES = "votes.jsonl"

Pair = tuple[Query, Memory]


@dataclass(frozen=True, slots=True)
class Vote:
    """What a judge said of a pair; `level` is None where `status` is not "ok", and then `error` says why."""

    query_id: str
    doc_id: str
    judge: str
    level: int | None
    status: Status
    error: str | None = None


@dataclass(frozen=True)
class Labelling:
    """A data set with its pairs to judge (`rendered` as judges see them), and its judges, each behind the cache."""

    dataset: Dataset
    rendering: str
    systems: tuple[str, ...]
    depth: int
    pairs: tuple[Pair, ...]
    judges: Mapping[str, Scorer]


def prepare(
    dataset: str,
    judges: Sequence[str],
    systems: Sequence[str],
    depth: int,
    rendering: str,
    *,
    cache: ScoreCache | None,
    terms: Terms,
    watcher: Watcher,
) -> Labelling:
    """What is to be judged: the best `depth` memories of each query by each system, each memory once.

    Raises UsageError for a judge that is none or stands twice, and for a system that reads labels or calls a service.
    """
    loaded = datasets.load(dataset)
    seen = render.rendered(loaded, rendering)
    named: dict[str, Scorer] = {}
    for judge in judges:
        full = _asked(judge)
        known = names.without(rerankers.address(full), "mode")
        if known in named:
            raise UsageError(f"judge {judge!r} stands twice")
        named[known] = load_scorer(full, seen, cache, terms)
    pools = _pools(seen, systems, depth, cache, terms, watcher)
    pairs = tuple(
        (query, memory)
        for query in seen.queries
        if not query.blank
        for memory in seen.stores[query.store_id]
        if memory.doc_id in pools[query.query_id]
    )
    if strange := [ids for q, m in pairs for ids in (q.query_id, m.doc_id) if set(ids) & {"\t", "\n", "\r"}]:
        raise UsageError(f"{dataset}: the id {shown(strange[0])} cannot stand in a file of labels: give it another")
    if not pairs:
        raise UsageError(f"{dataset}: the systems find no memory for any query: there is nothing to label")
    shared = tuple(rerankers.address(system) for system in systems)
    return Labelling(loaded, render.name(render.parse(rendering)), shared, depth, pairs, named)


def _asked(judge: str) -> str:
    """A judge's full name, in the mode that labels. Raises UsageError where it is no chat model."""
    asked = rerankers.parse(judge)
    option = rerankers.options(asked.kind).get("mode")
    if option is None or "graded" not in getattr(option.annotation, "__args__", ()):
        raise UsageError(f"{judge!r} is no judge: name a chat model, openai/<model> or gemini/<model>")
    if asked.options.get("mode", "graded") not in ("graded", "pointwise"):
        raise UsageError(f"judge {judge!r}: labels are made one memory at a time: leave mode out")
    return names.more(names.without(str(asked), "mode"), "mode=graded")


def _pools(
    dataset: Dataset, systems: Sequence[str], depth: int, cache: ScoreCache | None, terms: Terms, watcher: Watcher
) -> dict[str, set[str]]:
    """query_id → the memories that some system has among its best."""
    found: dict[str, set[str]] = {query.query_id: set() for query in dataset.queries}
    for system in dict.fromkeys(systems):
        if rerankers.parse(system).kind in ("first-stage", "constant", "oracle"):
            raise UsageError(f"{system!r} is a control and retrieves nothing by itself: name another --system")
        scorer = load_scorer(system, dataset, cache, terms)
        if scorer.hosted:
            raise UsageError(f"{system!r} calls a service for every memory of a store: name systems of this machine")
        watcher.begin(f"pool of {system}", len(dataset.queries), 0)
        made = retrieve(
            dataset,
            system,
            scorer,
            depth=depth,
            pool="retrieved" if dataset.pools is None else "given",
            rendering="",
            advance=lambda: watcher.advance(None),
        )
        watcher.end()
        for query_id, doc_ids in made.doc_ids.items():
            found[query_id].update(doc_ids[:depth])
    return found


def quotes(work: Labelling) -> dict[str, tuple[int, Quote]]:
    """judge → pairs that it would be asked about, and what that would take; what is remembered is left out."""
    found = {}
    for judge, scorer in work.judges.items():
        left = [scorer.left((query, (memory,))) for query, memory in work.pairs]
        if scorer.quotable is not None:
            found[judge] = sum(count for count, _ in left), quote(scorer.quotable, [request for _, request in left])
    return found


def plan_text(work: Labelling) -> str:
    """What labelling would take, for people."""
    lines = [_pooled(work)]
    for judge, (asked, told) in quotes(work).items():
        dollars = "unknown price" if told.dollars is None else f"{told.dollars[0]:,.2f} – {told.dollars[1]:,.2f} USD"
        remembered = len(work.pairs) - asked
        lines.append(f"  {judge}: {told.calls:,} calls to {told.host}, {dollars} ({remembered:,} pairs remembered)")
    lines.append("tokens are estimated from the bytes of a sample; repairs and retries come on top; nobody was asked")
    return "\n".join(map(visible, [*lines, ""]))


def plan_document(work: Labelling) -> list[dict[str, Any]]:
    """The same as JSON values."""
    return [{"judge": judge, "pairs": pairs, **asdict(told)} for judge, (pairs, told) in quotes(work).items()]


def _pooled(work: Labelling) -> str:
    asked = len({query.query_id for query, _ in work.pairs})
    return (
        f"{work.dataset.name}: {len(work.pairs):,} pairs of {asked:,} queries, the best {work.depth:,} of"
        f" {', '.join(work.systems)}"
    )


def label(work: Labelling, folder: Path, watcher: Watcher) -> LabelCard:
    """Asks the judges and writes the folder. Returns who made the labels and how far they agree.

    Raises UsageError where the folder holds something else, IncompleteError where a judge fails on each of the first
    pairs or the money ends; nothing is written then, and what was answered is remembered.
    """
    if files.is_folder(folder) and any(folder.iterdir()) and not (folder / results.JUDGED).is_file():
        raise UsageError(f"{folder}: holds something that `memeval label` did not write: name another folder")
    with files.alone(folder):
        votes: list[Vote] = []
        voters = []
        for judge, scorer in work.judges.items():
            mine, voter = _votes(judge, scorer, work.pairs, watcher)
            votes += mine
            voters.append(voter)
        labels = levels(votes)
        card = LabelCard(
            dataset=work.dataset.name,
            dataset_digest=work.dataset.digest,
            rendering=work.rendering,
            systems=work.systems,
            depth=work.depth,
            queries=len({query.query_id for query, _ in work.pairs}),
            pairs=len(work.pairs),
            unlabelled=len(work.pairs) - len(labels),
            missing=sum(vote.level is None for vote in votes),
            rule=RULE,
            judges=tuple(voters),
            agreement=tuple(_agreement(work.dataset, votes, labels)),
        )
        if not labels:
            raise IncompleteError(f"no judge answered for any of {len(work.pairs):,} pairs: nothing was written")
        _write(folder, work.dataset, votes, labels, card)
    return card


def _votes(judge: str, scorer: Scorer, pairs: Sequence[Pair], watcher: Watcher) -> tuple[list[Vote], Voter]:
    """One judge's votes in the order of the pairs, and what is to be said of it."""
    hosts = ", ".join(sorted({hosted.service.door.host for hosted in scorer.hosted}))
    watcher.step(f"{judge}: texts that are not remembered are sent to {hosts}")
    asked = scorer.many((query, (memory,)) for query, memory in pairs)
    mine, answered = [], Counter[str]()
    for (query, memory), scored in zip(pairs, answers(judge, asked, len(pairs), "pairs", watcher), strict=True):
        level = None if scored.scores is None else int(scored.scores[0])
        mine.append(Vote(query.query_id, memory.doc_id, judge, level, scored.status, scored.error))
        answered.update({key: count for key, count in (scored.usage or {}).items() if key.startswith(ANSWERED)})
    return mine, Voter(
        judge=judge,
        prompt=str((scorer.fingerprint or {}).get("prompt")),
        answered={key.removeprefix(ANSWERED): count for key, count in sorted(answered.items())},
        statuses=dict(sorted(Counter(vote.status for vote in mine).items())),
    )


def answers(name: str, given: Iterable[tuple[int, Scored]], count: int, what: str, watcher: Watcher) -> list[Scored]:
    """All answers of who is asked to label, by the place of what was asked.

    Raises IncompleteError where the first of them all failed, or the money ends: nothing is made of a part.
    """
    watcher.begin(name, count, 0)
    found: dict[int, Scored] = {}
    for place, scored in given:
        found[place] = scored
        watcher.advance(None)
        if len(found) == HOPELESS and all(one.scores is None for one in found.values()):
            raise IncompleteError(f"{name}: failed on each of its first {HOPELESS} {what}: {scored.error}")
    watcher.end()
    if spent := sum(one.status == "over-budget" for one in found.values()):
        raise IncompleteError(
            f"{name}: {spent:,} of {count:,} {what} are over the budget: nothing was written; the same command with a"
            " higher --max-cost goes on"
        )
    return [found[place] for place in range(count)]


def levels(votes: Sequence[Vote]) -> dict[tuple[str, str], int]:
    """(query_id, doc_id) → label, by RULE; pairs without a vote are not there."""
    told: dict[tuple[str, str], list[int]] = {}
    for vote in votes:
        if vote.level is not None:
            told.setdefault((vote.query_id, vote.doc_id), []).append(vote.level)
    return {pair: median_low(found) for pair, found in told.items()}


def _agreement(dataset: Dataset, votes: Sequence[Vote], labels: Mapping[tuple[str, str], Grade]) -> list[Agreed]:
    """Each two of the judges; each of them, and the labels, against people's."""
    sides: dict[str, dict[tuple[str, str], Grade]] = {}
    for vote in votes:
        mine = sides.setdefault(vote.judge, {})
        if vote.level is not None:
            mine[vote.query_id, vote.doc_id] = vote.level
    compared = [(one, other, sides[one], sides[other]) for one, other in combinations(sides, 2)]
    people = {(query_id, doc_id): grade for query_id, row in dataset.qrels.items() for doc_id, grade in row.items()}
    against = PEOPLE if not dataset.judges else " and ".join(dataset.judges)
    compared += [(one, against, mine, people) for one, mine in sides.items()]
    compared += [(LABELS, against, dict(labels), people)] if len(sides) > 1 else []
    units = {query.query_id: query.unit for query in dataset.queries}
    found = []
    for one, other, first, second in compared:
        both = [pair for pair in first if second.get(pair, -1) >= 0]
        if both:
            ours, theirs = ([side[pair] for pair in both] for side in (first, second))
            told = agreement.labels(ours, theirs, [query_id for query_id, _ in both], [units[q] for q, _ in both])
            values = {name: getattr(told, name) for name in ("same", "kappa", "weighted", "rank")}
            known = {
                name: None if each is None or math.isnan(each.value) else each.value for name, each in values.items()
            }
            found.append(Agreed(first=one, second=other, pairs=len(both), **known))
    return found


def _write(
    folder: Path, dataset: Dataset, votes: Sequence[Vote], labels: Mapping[tuple[str, str], int], card: LabelCard
) -> None:
    """The folder. Who made the labels is written before them, so that they never lie there unmarked."""
    about = ("time", "speaker", "session_id", "caption")
    corpus = [
        {"_id": memory.doc_id, "text": memory.text, "metadata": {"store_id": store_id, **_filled(memory, about)}}
        for store_id, memories in dataset.stores.items()
        for memory in memories
    ]
    asked = []
    for query in dataset.queries:
        extra = {"store_id": query.store_id, **_filled(query, ("category", "cluster"))}
        extra |= {"time": query.asked_at} if query.asked_at else {}
        extra |= {"context": list(query.context)} if query.context else {}
        asked.append({"_id": query.query_id, "text": query.text, "metadata": extra})
    rows = [f"{inert(query_id)}\t{inert(doc_id)}\t{level}" for (query_id, doc_id), level in labels.items()]
    shutil.rmtree(folder / "qrels", ignore_errors=True)
    files.write_whole(folder / results.JUDGED, results.judged_text(card))
    for name, records in (("corpus.jsonl", corpus), ("queries.jsonl", asked), (VOTES, list(map(_row, votes)))):
        text = "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)
        files.write_whole(folder / name, text)
    files.write_whole(folder / "qrels" / "test.tsv", "\n".join(["query-id\tcorpus-id\tscore", *rows, ""]))


def _row(vote: Vote) -> dict[str, Any]:
    return {key: value for key, value in written(vote).items() if key != "error" or value is not None}


def _filled(record: Memory | Query, keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key in keys if (value := getattr(record, key)) is not None}


def text(card: LabelCard, folder: Path) -> str:
    """What came of it, for people."""
    lines = [f"{card.pairs:,} pairs of {card.queries:,} queries; {card.rule}"]
    for voter in card.judges:
        statuses = ", ".join(f"{count:,} {status}" for status, count in voter.statuses.items())
        models = ", ".join(voter.answered) or "not told"
        lines.append(f"  {voter.judge} (prompt {voter.prompt}, answered by {models}): {statuses}")
    for found in card.agreement:
        kappa, weighted, same, rank = (
            "not known" if each is None else f"{each:.3f}"
            for each in (found.kappa, found.weighted, found.same, found.rank)
        )
        graded = f"weighted {weighted}" if found.rank is None else f"Spearman's rho of grades {rank}"
        lines.append(
            f"  {found.first} and {found.second}: {found.pairs:,} pairs, equal as relevant or not {same},"
            f" kappa {kappa}, {graded}"
        )
    if card.unlabelled:
        lines.append(f"  {card.unlabelled:,} pairs have no vote and so no label")
    lines.append(f"labels by judges, not by people: memeval run --dataset beir/{folder}")
    return "\n".join(map(visible, [*lines, ""]))
