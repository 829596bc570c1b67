"""Rerankers on offer: the list by shape with what is lacking here, and the card of one with its recipe and options."""

import inspect
import textwrap
from dataclasses import asdict

from memeval import rerankers
from memeval.core import files, names
from memeval.core.errors import install
from memeval.rerankers import ready, recipes
from memeval.rerankers.hosted.styles import STYLES
from memeval.rerankers.local import opened
from memeval.rerankers.recipes import Recipe, Source

WIDTH = 112
"""Characters of a line about an option."""


def groups() -> dict[str, dict[str, str]]:
    """The kinds, rerank endpoints by style, then the recipes by shape: name → one line about it."""
    found = {"kinds": {kind: made.about for kind, made in sorted(rerankers.kinds().items())}}
    spelt = {name: full for name in STYLES if (full := rerankers.spelt(name))}
    found["rerank endpoints, by what they speak"] = {
        f"{name}/<model>": f"{_needs(ready.lacks_endpoint(STYLES[name]))}  = {full}" for name, full in spelt.items()
    }
    for shape, about in recipes.SHAPES.items():
        rows = {name: recipe for name, recipe in recipes.known().items() if recipe.shared.shape == shape}
        found[f"{shape}: {about}"] = {name: _state(recipe) for name, recipe in rows.items()}
    return {group: rows for group, rows in found.items() if rows}


def card(asked: names.Name) -> str:
    """Everything about a kind or a short name."""
    name = asked.path
    full = rerankers.short_names().get(name) or rerankers.spelt(asked.kind) or name
    kind = names.parse(full).kind
    options, made = rerankers.options(kind), rerankers.kinds()[kind]
    names.check(str(asked), asked.options, options)
    lines = [f"{name}{f' = {full}' if full != name else ''}", (inspect.getdoc(made) or "").partition("\n\nArgs:\n")[0]]
    needs = sorted(set(getattr(made, "needs", {}).values()))
    lines += [f"needs the extra {extra}: {install(extra)}" for extra in needs]
    if asked.path in recipes.known():
        lines += _recipe(recipes.known()[asked.path])
    if kind == rerankers.ENDPOINT:
        lines += _styles(names.parse(full).options.get("style"))
    lines += ["options   none"] if not options else ["options"]
    width = max((len(f"{name}={option.default}") for name, option in options.items()), default=0)
    for name, option in options.items():
        told = textwrap.wrap(option.meaning, max(40, WIDTH - width)) or [""]
        lines.append(f"  {f'{name}={option.default}':<{width}}  {told[0]}".rstrip())
        lines += [f"{' ' * (width + 4)}{more}" for more in told[1:]]
    return "\n".join(lines)


def _state(recipe: Recipe) -> str:
    """Whether a recipe runs here, and what its name stands for."""
    return f"{_here(recipe)}  = {recipe.model.system}"


def _here(recipe: Recipe) -> str:
    """Whether a recipe runs here."""
    return f"cannot be run: {recipe.refused}" if recipe.refused else _needs(ready.lacks(recipe))


def _needs(lacking: str) -> str:
    return f"needs {lacking}" if lacking else "runs here"


def _recipe(recipe: Recipe) -> list[str]:
    """A recipe with its sources."""
    shared, model = recipe.shared, recipe.model
    named = shared.wording if isinstance(shared.wording, str) else recipe.family
    wording = (recipes.wordings() | recipes.formats()).get(named)
    told = {
        "is": f"{shared.about} ({shared.shape}: {recipes.SHAPES[shared.shape]})",
        "here": _here(recipe),
        "licence": recipe.licence,
        "size": f"{model.parameters} parameters" if model.parameters[0].isdigit() else "",
        "trained": shared.trained_on,
        "seen": f"known to be in its training data: {', '.join(recipe.seen)}" if recipe.seen else "",
        "code": "brings code of its own: only trust_code=true runs it" if shared.code else "",
        "limits": shared.limits,
        "reads": f"{shared.reads}, then {shared.activation}" if shared.activation else shared.reads,
        "cuts": f"its makers: {shared.cuts}; memeval: the document's end" if shared.cuts else "",
        "note": model.note,
    }
    lines = [f"{name:<9} {text}" for name, text in told.items() if text]
    if wording is not None:
        aim = wording.instruction if wording.instruction is not None else "none" if wording.takes_instruction else ""
        lines += [f"{'aim':<9} {aim}"] if aim else []
        text = f"{wording.prefix}{wording.pair}{wording.suffix}".replace(recipes.APART, "")
        lines += [f"{'prompt':<9} {named}", *(f"  | {line}" for line in text.split("\n"))]
    if not recipe.refused:
        lines += _asked(model.kind, str(model.options.get("prompt", "")))
    return [*lines, "sources", *(line for source in shared.sources for line in _read(source))]


def _asked(kind: str, word: str) -> list[str]:
    """How a model of a further local kind is asked, under the word of its `prompt=`, or the only one."""
    known = files.toml(opened.PROMPTS).get(kind, {})
    word = word or next(iter(known), "")
    said = [(name, line) for name, text in known.get(word, {}).items() for line in str(text).split("\n")]
    return [
        *([f"{'prompt':<9} {word}"] if said else []),
        *(f"  | {f'{name}:':<12} {line}".rstrip() for name, line in said),
    ]


def _read(source: Source) -> list[str]:
    marks = ", second-hand" if source.second_hand else ""
    return [f"  {source.address}", f"      {', '.join(source.says)}: read {source.read}{marks}"]


def _styles(named: str | None) -> list[str]:
    """How the styles of rerank endpoints, or one of them, want to be asked, what a call holds and what is paid for."""
    rows = ["styles" if named is None else "style"]
    for name, style in STYLES.items():
        if named not in (None, name):
            continue
        fits = asdict(style.fits)
        holds = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in fits.items() if count is not None)
        here = f"{style.url}{style.path}, {style.key}"
        own = f"url=…{style.path}, RERANK_API_KEY where it wants a key"
        own += "".join(f" ({style.key} at {host})" for host in style.hosts)
        scores = f"; scores from {style.promises[0]:g} to {style.promises[1]:g}" if style.promises else ""
        aim = "; takes an instruction" if style.instruction else ""
        paid = f"; priced by {style.unit}" if style.unit else ""
        told = f"{here if style.url else own}; a call holds {holds}{scores}{aim}{paid}"
        rows += textwrap.wrap(
            told, WIDTH, initial_indent=f"  {name:<17} ", subsequent_indent=" " * 20, break_on_hyphens=False
        )
    return rows
