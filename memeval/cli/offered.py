"""Rerankers on offer: the list by shape with what is lacking here, and the card of one with its recipe and options."""

import inspect
import textwrap
from dataclasses import asdict

from memeval import rerankers
from memeval.core import names
from memeval.core.errors import install
from memeval.rerankers import ready, recipes
from memeval.rerankers.hosted.styles import STYLES
from memeval.rerankers.recipes import Recipe, Source

WIDTH = 112
"""Characters of a line about an option."""


def groups() -> dict[str, dict[str, str]]:
    """The kinds, then the recipes by shape: name → one line about it."""
    found = {"kinds": {kind: made.about for kind, made in sorted(rerankers.kinds().items())}}
    for shape, about in recipes.SHAPES.items():
        rows = {name: recipe for name, recipe in recipes.known().items() if recipe.shared.shape == shape}
        found[f"{shape}: {about}"] = {name: _state(recipe) for name, recipe in rows.items()}
    return {group: rows for group, rows in found.items() if rows}


def card(asked: names.Name) -> str:
    """Everything about a kind or a short name."""
    name, full = asked.path, rerankers.short_names().get(asked.path, asked.path)
    kind = names.parse(full).kind
    options, made = rerankers.options(kind), rerankers.kinds()[kind]
    names.check(str(asked), asked.options, options)
    lines = [f"{name}{f' = {full}' if full != name else ''}", (inspect.getdoc(made) or "").partition("\n\nArgs:\n")[0]]
    needs = sorted(set(getattr(made, "needs", {}).values()))
    lines += [f"needs the extra {extra}: {install(extra)}" for extra in needs]
    if asked.path in recipes.known():
        lines += _recipe(recipes.known()[asked.path])
    if kind == "rerank-api":
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
    lacking = ready.lacks(recipe)
    return f"is not run: {recipe.refused}" if recipe.refused else f"needs {lacking}" if lacking else "runs here"


def _recipe(recipe: Recipe) -> list[str]:
    """A recipe with its sources."""
    shared, model = recipe.shared, recipe.model
    named = shared.wording if isinstance(shared.wording, str) else recipe.family
    wording = recipes.wordings().get(named)
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
    return [*lines, "sources", *(line for source in shared.sources for line in _read(source))]


def _read(source: Source) -> list[str]:
    marks = ", second-hand" if source.second_hand else ""
    return [f"  {source.address}", f"      {', '.join(source.says)}: read {source.read}{marks}"]


def _styles(named: str | None) -> list[str]:
    """How the styles of rerank endpoints, or one of them, want to be asked and what a call holds."""
    rows = []
    for name, style in STYLES.items():
        if named not in (None, name):
            continue
        fits = asdict(style.fits)
        holds = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in fits.items() if count is not None)
        scores = f"; scores from {style.promises[0]:g} to {style.promises[1]:g}" if style.promises else ""
        aim = "; takes an instruction" if style.instruction else ""
        rows.append(f"  {name:<17} {style.url or 'url=…'}{style.path}, {style.key}; a call holds {holds}{scores}{aim}")
    return ["styles" if named is None else "style", *rows]
