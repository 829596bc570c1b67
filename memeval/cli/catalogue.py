"""What there is: lists and cards of data sets, rerankers, measures, suites and claims, and what is installed here."""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import memeval
from memeval import datasets, rerankers
from memeval.cli import offered
from memeval.core import files, names, plugins
from memeval.core.errors import DISTRIBUTION, PrerequisiteError, UsageError, did_you_mean, install
from memeval.core.numbers import count
from memeval.core.outside import visible
from memeval.core.terminal import aligned
from memeval.core.types import Dataset
from memeval.datasets import download
from memeval.measures.ranx import families, parse
from memeval.rerankers.hosted.styles import STYLES
from memeval.runs import ceiling, machine, suite
from memeval.runs.progress import Watcher

KEYS = (
    "OPENAI_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    *dict.fromkeys(style.key for style in STYLES.values()),
    "HF_TOKEN",
)
BASE_URLS = ("OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "MEMOS_BASE_URL")
NAMED = 4
"""So many of the queries that are excluded for one reason are named."""
EXTRAS = {
    "local": ("torch", "transformers", "sentence_transformers"),
    "openai": ("openai",),
    "gemini": ("google.genai",),
    "api": ("httpx2", "tenacity", "anyio", "aiolimiter", "genai_prices", "choix"),
    "hub": ("datasets",),
    "train": ("torch", "peft"),
    "ray": ("ray",),
    "vllm": ("vllm",),
}


def listed(what: str) -> dict[str, dict[str, str]]:
    """Group (one without a name, if there is one alone) → name → one line about it.

    Raises UsageError for a kind of thing there is none of.
    """
    if what == "rerankers":
        return offered.groups()
    return {"": _one_group(what)}


def _one_group(what: str) -> dict[str, str]:
    from memeval.report import claimed

    groups: dict[str, Callable[[], dict[str, str]]] = {
        "claims": lambda: {
            name: f"{one.title} ({one.source})" for name in claimed.shipped() if (one := claimed.load(name))
        },
        "datasets": lambda: {name: datasets.about(name) for name in datasets.on_offer()},
        "measures": lambda: {
            name: family.definition.format(scope="the list", length="its length", p="p")
            for name, family in families().items()
        },
        "suites": lambda: {name: files.toml(path).get("about", "") for name, path in suite.shipped().items()},
    }
    if what not in groups:
        said = f"cannot list {what!r}{did_you_mean(what, [*groups, 'rerankers'])}"
        raise UsageError(said if what else "list what: rerankers, datasets, measures, suites or claims?")
    return groups[what]()


def card(name: str, *, ceiling: bool | None = None, watcher: Watcher | None = None) -> str:
    """Everything about one of them. Raises UsageError for an unknown name.

    Args:
        ceiling: whether to compute the first-stage ceiling of a data set; None: where that takes seconds.
        watcher: is told how far that is.
    """
    from memeval.report import claimed

    asked = names.parse(name, "name")
    if asked.kind in datasets.on_offer():
        return _dataset(asked, name, ceiling, watcher or Watcher())
    if asked.path in rerankers.short_names() or asked.kind in rerankers.kinds() or rerankers.spelt(asked.kind):
        return offered.card(asked)
    if asked.kind == "schema":
        from memeval.cli import schemas

        return schemas.listed() if asked.argument is None else schemas.text(asked.argument)
    stem, stated = name.removesuffix(".toml"), {path.stem: path for path in claimed.shipped().values()}
    if stem in suite.shipped():
        claims = (
            f"\n\n# what is claimed of these systems: memeval show {stem}-claims" if f"{stem}-claims" in stated else ""
        )
        return files.text(suite.find(stem)).rstrip() + claims
    if stem in stated:
        return files.text(stated[stem]).rstrip()
    with contextlib.suppress(UsageError):
        return f"{parse(name).name}: {parse(name).definition}"
    known = [
        *datasets.on_offer(),
        *rerankers.kinds(),
        *rerankers.short_names(),
        *STYLES,
        *(f"{name}.toml" for name in (*suite.shipped(), *stated)),
        *families(),
        "schema",
    ]
    if Path(name).is_dir():
        raise UsageError(f"{name} is a folder: `show {name} --query ID` shows a query of results, `report {name}` all")
    close = did_you_mean(name, known)
    lists = "; `memeval list rerankers` names what there is, so with datasets, measures, suites and claims"
    raise UsageError(f"nothing is called {name!r}{close if 'did you mean' in close else lists}")


def _dataset(asked: names.Name, name: str, with_ceiling: bool | None, watcher: Watcher) -> str:
    try:
        found = datasets.load(name)
    except UsageError:
        if asked.path != asked.kind or asked.options:
            raise
        return datasets.manual(name)  # it wants a file or a subset: what it takes is in its manual
    except PrerequisiteError as error:
        return _absent(name, error)
    relevant = [sum(grade > 0 for grade in found.qrels.get(q.query_id, {}).values()) for q in found.queries]
    never = [found.forbidden[q.query_id] for q in found.queries if found.forbidden.get(q.query_id)]
    memories = sum(map(len, found.stores.values()))
    sizes = ((len(found.queries), "queries"), (len(found.stores), "stores"), (memories, "memories"))
    dev = sum(split == "dev" for split in found.splits.values())
    categories = Counter(query.category or "–" for query in found.queries)
    lines = [
        f"{found.name} {found.version}: {found.about or datasets.about(name)}",
        *_source(found.licence, found.url or "no address is stated", restricted=found.restricted),
        *([] if found.verified else ["WARNING   not verified: its files are not, or may not be, the pinned ones"]),
        f"size      {', '.join(count(*size) for size in sizes)}",
        f"splits    {count(dev, 'stores')} for development, {len(found.stores) - dev:,} for testing",
        *([f"says      {found.instruction}"] if found.instruction else []),
        *_clusters(found),
        *(f"protocol  {rule}" for rule in found.rules),
        f"labels    {sum(relevant):,} relevant pairs; {count(relevant.count(0), 'queries')} without any",
        *([f"forbidden {sum(map(len, never)):,} pairs of {len(never):,} queries"] if never else []),
        *_ceiling(name, found, memories, with_ceiling, watcher),
        "categories",
        *(f"  {count:>6,}  {category}" for category, count in categories.items()),
        f"excluded  {len(found.excluded):,} queries" if found.excluded else "excluded  none",
        *_excluded(found.excluded),
        "anomalies" if found.anomalies else "anomalies none",
        *(f"  {count:>6,}  {what}" for what, count in found.anomalies.items()),
        *_doubts(found.known_problems, found.trained_on),
    ]
    return "\n".join(map(visible, lines))


def _clusters(found: Dataset) -> list[str]:
    """What chance is shared with, where that is not the store."""
    units = {query.unit for query in found.queries}
    own = all(query.unit == query.store_id for query in found.queries)
    return (
        [] if own else [f"clusters  {len(units):,}: intervals and tests take queries of one together, not of one store"]
    )


def _absent(name: str, error: PrerequisiteError) -> str:
    """What is known of a data set that cannot be read here, and why it cannot."""
    known = datasets.facts(name)
    licence = known.get("licence", "told by its files")
    lines = [
        f"{name}: {datasets.about(name)}",
        *_source(licence, known.get("url", "told below"), restricted=known.get("restricted", False)),
        f"NOT READ  so its size, labels, splits, exclusions and ceiling cannot be told: {error}",
        *(_doubts(known.get("known_problems", ()), known.get("trained_on", ())) if known else ()),
        "",
        datasets.manual(names.parse(name).kind),
    ]
    return "\n".join(lines)


def _source(licence: str, url: str, *, restricted: bool) -> list[str]:
    return [
        f"licence   {licence}{' (texts must not be redistributed)' if restricted else ''}",
        f"from      {url}",
    ]


def _doubts(problems: Sequence[str], trained_on: Sequence[str]) -> list[str]:
    """Known problems of the labels, and who has seen them in training."""
    return [
        *(f"problem   {problem}" for problem in problems or ["none is known"]),
        *(f"trained   {system} is known to have been trained on it" for system in trained_on or ["no system"]),
    ]


def _excluded(reasons: Mapping[str, str]) -> list[str]:
    """Each reason with its number of queries and the first of their ids."""
    by_reason: dict[str, list[str]] = {}
    for query_id, reason in reasons.items():
        by_reason.setdefault(reason, []).append(query_id)
    return [
        f"  {len(ids):>6,}  {reason} ({', '.join(ids[:NAMED])}{', …' if len(ids) > NAMED else ''})"
        for reason, ids in by_reason.items()
    ]


def _ceiling(name: str, found: Dataset, memories: int, asked: bool | None, watcher: Watcher) -> list[str]:
    """What the first stage reaches and what the best order of its candidates would."""
    if asked is None and memories > ceiling.MANY:
        return [f"ceiling   not computed for {memories:,} memories, which takes a while: memeval show {name} --ceiling"]
    if asked is False:
        return []
    made = ceiling.ceiling(
        name,
        found,
        begin=lambda task, total: watcher.begin(task, total, 0),
        advance=lambda: watcher.advance(None),
    )
    watcher.end()
    whose = {"retrieved": f"its best {made.depth}", "given": "the data set's own candidates", "store": "every memory"}
    return [
        f"{label:<9} {', '.join(f'{measure} {value:.3f}' for measure, value in values.items())} ({what})"
        for label, values, what in (
            (made.first_stage, made.reached, f"the first stage: {whose[made.pool]}, rendered as {made.rendering}"),
            ("ceiling", made.best, "the same candidates in their best order"),
        )
    ]


def doctor() -> dict[str, Any]:
    """Versions, extras, devices, names of the keys that are set, folders."""
    cache = download.cache_folder()
    scores = cache / "scores.sqlite"
    data = os.environ.get("MEMEVAL_DATA")
    return {
        "memeval": memeval.__version__,
        "others": _others(),
        "versions": machine.versions(),
        "extras": {extra: all(map(plugins.installed, modules)) for extra, modules in EXTRAS.items()},
        "device": machine.device(),
        "keys set": [key for key in KEYS if os.environ.get(key)],
        "base URLs": {name: _host(os.environ[name]) for name in BASE_URLS if os.environ.get(name)},
        "data folder": data or "MEMEVAL_DATA is not set",
        "cache folder": str(cache),
        "score cache": f"{scores.stat().st_size / 1e6:.1f} MB" if scores.is_file() else "none yet",
    }


def doctor_text(facts: dict[str, Any]) -> str:
    """The same for people."""
    extras = [(f"  {name}", "yes" if there else f"no: {install(name)}") for name, there in facts["extras"].items()]
    lines = [*facts["others"], "versions"]
    lines += [f"  {name} {number}" for name, number in facts["versions"].items()]
    lines += ["extras", *aligned(extras, left=(0, 1)), f"device    {facts['device']}"]
    lines += [f"keys set  {', '.join(facts['keys set']) or 'none'}"]
    lines += [f"base URL  {name} names {host}" for name, host in facts["base URLs"].items()]
    lines += aligned([(name, facts[name]) for name in ("data folder", "cache folder", "score cache")], left=(0, 1))
    return "\n".join(map(visible, lines))


def _others() -> list[str]:
    """Other distributions here with a module or a command of this name: which of them runs is chance."""
    modules = packages_distributions().get("memeval", ())
    commands = (one.dist.name for one in entry_points(group="console_scripts", name="memeval") if one.dist is not None)
    found = {"module": {*modules} - {DISTRIBUTION}, "command": {*commands} - {DISTRIBUTION}}
    return [
        f"warning   the distribution {name} provides a {what} memeval, too: pip uninstall {name}, then install"
        f" {DISTRIBUTION} again"
        for what, names in found.items()
        for name in sorted(names)
    ]


def _host(url: str) -> str:
    """The host that a base URL names; nothing else of it is shown."""
    try:
        host = urlsplit(url).netloc
    except ValueError:
        return "no URL"
    return "no URL" if not host else host.rpartition("@")[2] + (" (and a user or password)" if "@" in host else "")
