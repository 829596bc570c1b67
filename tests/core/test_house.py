"""The package as a house: each name once, no room too large without a reason, and the way through it as it is told."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Set
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import memeval

ROOT = Path(memeval.__file__).parent
LONG = 300
"""Lines of a file that need no reason."""
REASON = re.compile(r"\b(One file, though|Longer than most|is long because)")

SAME: dict[str, str] = {}
"""Names that stand twice → why."""


IDLE = {
    "sign_flip_p": "the p of one test alone, which the tests of families are held against",
}
"""What only tests use → why it stands in the package."""


@cache
def trees() -> dict[Path, ast.Module]:
    files = sorted(ROOT.rglob("*.py"))
    return {file.relative_to(ROOT): ast.parse(file.read_text(encoding="utf-8")) for file in files}


def test_a_class_has_a_name_of_its_own() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for file, tree in trees().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].add(file.as_posix())
    twice = {name: sorted(files) for name, files in found.items() if len(files) > 1 and name not in SAME}
    assert twice == {}


def test_a_long_file_says_in_its_first_lines_why_it_is_one() -> None:
    silent = []
    for file, tree in trees().items():
        said = ast.get_docstring(tree) or ""
        if (ROOT / file).read_text(encoding="utf-8").count("\n") > LONG and not REASON.search(said):
            silent.append(str(file))
    assert silent == []


def test_beside_the_folders_which_are_layers_stand_at_most_six_modules() -> None:
    contract = (ROOT.parent / ".importlinter").read_text(encoding="utf-8")
    layers = re.search(r"layers =\n((?: +\w[\w |]*\n)+)", contract)
    assert layers is not None
    named = {name for name in re.findall(r"\w+", layers[1]) if not (ROOT / f"{name}.py").exists()}
    assert {folder.name for folder in ROOT.iterdir() if (folder / "__init__.py").is_file()} == named
    assert len(list(ROOT.glob("*.py"))) <= 6


def defined(tree: ast.Module) -> Iterator[str]:
    """The functions, classes and values of a module, but those that stand in the class of an adapter or a loader."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            kind = any(isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "kind" for part in node.body)
            yield from () if kind else (node.name,)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))


LOADER = {"ABOUT", "OPTIONS", "facts", "load"}
"""What a data set's module has: it is read of whichever module a name stands for."""


def read(module: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(module, name) of what a module reads: of its own, also in words, what it imports, and takes from a module."""
    of: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            of |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            yield from ((str(node.module), alias.name) for alias in node.names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield module, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield of.get(node.value.id, ""), node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 100:
            yield from ((module, word) for word in re.findall(r"\w+", node.value))
            part, _, name = node.value.partition(".")  # as "exports.csv" of a table of functions
            yield f"{module}.{part}", name


def test_nothing_stands_in_the_package_that_it_does_not_use() -> None:
    named = {dotted(file): tree for file, tree in trees().items()}
    used = {pair for module, tree in named.items() for pair in read(module, tree)}
    idle = {(module, name) for module, tree in named.items() for name in defined(tree)} - used
    loaders = {(module, name) for module, name in idle if module.startswith("memeval.datasets.") and name in LOADER}
    assert {name for _, name in idle - loaders if not name.startswith("__")} == IDLE.keys()


def dotted(file: Path) -> str:
    """The name of the module in a file."""
    return ".".join(("memeval", *file.with_suffix("").parts)).removesuffix(".__init__")


def imported(tree: ast.AST, names: Set[str]) -> Iterator[str]:
    """The modules of `names` that a module imports when it is imported, those for types alone left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom):
            parts = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (part if part in names else str(node.module) for part in parts if str(node.module) in names)
        elif isinstance(node, ast.ClassDef | ast.Try) or (
            isinstance(node, ast.If) and "TYPE" not in ast.dump(node.test)
        ):
            yield from imported(node, names)


def test_no_module_waits_for_itself_in_a_circle_of_imports() -> None:
    names = {dotted(file): file for file in trees()}
    graph = {name: {*imported(trees()[file], names.keys())} - {name} for name, file in names.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(names)


def told() -> list[str]:
    """The files that the package's docstring names as the way to read it."""
    found = []
    for line in (memeval.__doc__ or "").splitlines():
        if files := re.match(r"(\w+)/(\w+(?:, \w+)*) {2,}", line):
            found += [f"{files[1]}/{name}" for name in files[2].split(", ")]
    return found


@pytest.mark.parametrize("file", told())
def test_the_way_to_read_the_package_names_files_that_are_there(file: str) -> None:
    assert (ROOT / f"{file}.py").is_file()


def test_the_way_to_read_the_package_goes_through_every_room() -> None:
    rooms = list(dict.fromkeys(name.partition("/")[0] for name in told()))
    assert rooms == ["core", "measures", "datasets", "rerankers", "runs", "report"]
