"""From the run files of one system to its result: what they are runs of, what was measured, and whether that holds."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

from memeval.core import files, results
from memeval.core.errors import MemevalError
from memeval.core.outside import struck
from memeval.core.types import Candidates, Dataset, Header, Result, ScoreKind
from memeval.measures import scoring
from memeval.runs import repeats, shards
from memeval.runs.suite import Suite, System


def header(
    suite: Suite,
    system: str,
    model: str,
    dataset: Dataset,
    candidates: Candidates,
    fingerprint: Mapping[str, Any] | None,
    limit: shards.Portion,
    score_kind: ScoreKind | None = None,
) -> Header:
    """What a run of this system is a run of."""
    return Header(
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        candidates_digest=candidates.digest,
        first_stage=candidates.first_stage,
        depth=candidates.depth,
        pool=candidates.pool,
        rendering=suite.rendered,
        system=system,
        model=model,
        fingerprint=recorded(fingerprint),
        partial=limit,
        score_kind=score_kind,
        address=dataset.address,
    )


def facts(header: Header) -> dict[str, Any]:
    """What a header says, by name."""
    return {part.name: getattr(header, part.name) for part in fields(header)}


def measure(
    path: Path,
    dataset: Dataset,
    candidates: Candidates,
    suite: Suite,
    sliced: Mapping[str, frozenset[str]],
    system: System | None = None,
) -> Result:
    """The result of a run file, and of those beside it where the suite has the `system` run several times.

    The files are as they were written, or compressed. `sliced` are the slices of the data set. Raises DataError for a
    file that is missing or broken.
    """
    further = repeats.files(path, system.repeat, system.orders) if system is not None else {}
    run = results.read_run(files.stored(path) or path)
    again = {
        kind: [results.read_run(files.stored(file) or file).rankings for file in further[kind]] for kind in further
    }
    how = scoring.signature(facts(run.header), suite.measures, suite.seed, *_digests(path, further))
    about = scoring.card(dataset, [*map(len, candidates.doc_ids.values())])
    queries = shards.taken(dataset.queries, run.header.partial)
    measured = scoring.averaged(
        [
            scoring.score(
                queries,
                dataset.qrels,
                rankings,
                signature=how,
                card=about,
                slices=sliced,
                forbidden=dataset.forbidden,
            )
            for rankings in (run.rankings, *again.get("repeats", ()))
        ]
    )
    names = list(measured.values)
    told = {kind: repeats.summary([run.rankings, *runs], dataset, names) for kind, runs in again.items()}
    return replace(measured, repeats=told or None)


def current(
    target: Path, run: Path, about: Header, suite: Suite, further: Mapping[str, Sequence[Path]]
) -> Result | None:
    """The result in `target` if it is what running again would give."""
    runs = (run, *chain(*further.values()))
    if not target.is_file() or about.fingerprint is None or not all(map(files.stored, runs)):
        return None
    try:
        known = results.read_result(target)
    except MemevalError:
        return None
    wanted = scoring.signature(facts(about), suite.measures, suite.seed, *_digests(run, further))
    # Facts that move no number: the unit follows from the data, what is said of the scores from the adapter, and the
    # data set's address from what it was asked for as.
    told = known.signature
    wanted = replace(wanted, unit=told.unit, score_kind=told.score_kind, address=told.address)
    return known if wanted == told and not _unfinished(known) else None


def altered(target: Path, about: Header, runs: Sequence[Path]) -> list[Path]:
    """Which of the run files are not those that the result in `target` was measured from.

    Such a file was changed by somebody else: with the same header, a run that answered everything is never written
    again. Without such a result nothing can be said.
    """
    try:
        known = results.read_result(target)
    except MemevalError:
        return []
    moved = [part.name for part in fields(Header) if part.compare]
    if _unfinished(known) or any(getattr(known.signature, name) != getattr(about, name) for name in moved):
        return []
    measured = (known.signature.run_digest, *chain(*known.signature.further_runs.values()))
    found = [(files.stored(run), digest) for run, digest in zip(runs, measured, strict=False)]
    return [file for file, digest in found if file is not None and files.digest(file) != digest]


def _unfinished(result: Result) -> bool:
    """Whether a run of it has queries that are tried again."""
    return bool(scoring.unanswered(result) or any(found.failed for found in (result.repeats or {}).values()))


def _digests(path: Path, further: Mapping[str, Sequence[Path]]) -> tuple[str, dict[str, list[str]]]:
    def of(path: Path) -> str:
        return files.digest(files.stored(path) or path)

    return of(path), {kind: [of(file) for file in runs] for kind, runs in further.items()}


def recorded(value: Any) -> Any:
    """As JSON gives it back, tuples are lists, and without places on this machine."""
    if isinstance(value, Mapping):
        return {recorded(key): recorded(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [recorded(inner) for inner in value]
    return struck(value) if isinstance(value, str) else value
