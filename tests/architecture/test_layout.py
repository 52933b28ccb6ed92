"""How the source is laid out: what import-linter cannot see, read from the syntax trees.

The import contracts in ``pyproject.toml`` keep the tower. These laws keep the contracts honest: no import hides inside
a function, annotations point down like everything else, an ``__init__`` holds no code, nothing is imported that was
not declared, and no device is known by name where devices are judged.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = sorted(p.parent for p in ROOT.glob("*/pyproject.toml")) + sorted(
    p.parent for p in ROOT.glob("backends/*/pyproject.toml")
)
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

#: Words that name one device or one device library. "gpu" is absent: it is a word of the public API.
DEVICES = re.compile(
    r"(?<![a-z])(cpu|cuda|tpu|opencl|rocm|metal|xla|pocl|cupy|pyopencl|jaxlib|libtpu)(?![a-z])", re.IGNORECASE
)
#: Floors that must not know any device's name, in any string or identifier.
NAMELESS = ("core", "primitives", "transforms", "higher_order", "random", "nn", "scipy")
#: Words of JAX's API among which is a device's name: spelled so that programs which say them run here.
VOCABULARY = {
    "portax.core.config": "settings",
    "portax.core.idle_settings": "settings without an effect here",
    "portax.nn.attention": "the values of the parameter implementation",
}
#: Distribution names that differ from what is imported.
IMPORT_NAMES = {"scikit-learn": "sklearn"}


@dataclass(frozen=True)
class Module:
    name: str
    path: Path
    distribution: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text("utf-8"), str(self.path))

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    def at(self, node: ast.AST) -> str:
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def source_modules() -> dict[str, Module]:
    """All modules of all distributions by name."""
    found = {}
    for distribution in DISTRIBUTIONS:
        source = distribution / "src"
        for path in sorted(source.rglob("*.py")):
            parts = path.relative_to(source).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = Module(name, path, distribution)
    return found


MODULES = source_modules()
FRAMEWORK = [m for m in MODULES.values() if m.name.split(".")[0] == "portax"]
SUITE = [m for m in MODULES.values() if m.name.split(".")[0] == "portax_conformance"]


def every(modules: list[Module]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("module", [pytest.param(m, id=m.name) for m in modules])


def hidden_imports(tree: ast.AST) -> Iterator[ast.AST]:
    """Imports inside a function: statements, ``__import__``, and ``import_module`` of portax's own by name.

    A library that is slow to load, or that not every release has, may be asked for by name when it is needed: it
    cannot close a circle.
    """
    for function in ast.walk(tree):
        if not isinstance(function, Function):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield node
            elif isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                first = node.args[0] if node.args else None
                own = isinstance(first, ast.Constant) and str(first.value).startswith(("portax", "."))
                if called == "__import__" or (called == "import_module" and own):
                    yield node


def for_types_only(tree: ast.Module) -> set[ast.AST]:
    """The nodes below ``if TYPE_CHECKING:``."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.body:
                found.update(ast.walk(statement))
    return found


def imported(module: Module, node: ast.AST, known: dict[str, Module]) -> Iterator[str]:
    """The modules an import statement names; of a package's members, those that are modules themselves."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = module.name.split(".") if module.is_package else module.name.split(".")[:-1]
            base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
        for alias in node.names:
            full = f"{base}.{alias.name}"
            yield full if full in known else base


def import_graph(known: dict[str, Module]) -> dict[str, set[str]]:
    """What each module imports when the program runs, inside functions included, annotations left out."""
    graph: dict[str, set[str]] = {}
    for module in known.values():
        annotations = for_types_only(module.tree)
        graph[module.name] = {
            target
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Import | ast.ImportFrom) and node not in annotations
            for target in imported(module, node, known)
            if target in known and target != module.name
        }
    return graph


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """One circle of the graph, its first node repeated at the end; empty where there is none."""
    state: dict[str, int] = {}
    for start in graph:
        path, todo = [], [(start, False)]
        while todo:
            node, leaving = todo.pop()
            if leaving:
                state[path.pop()] = 2
            elif state.get(node) == 1:
                if node in path:
                    return [*path[path.index(node) :], node]
            elif node not in state:
                state[node] = 1
                path.append(node)
                todo.append((node, True))
                for target in sorted(graph[node]):
                    if state.get(target) == 1:
                        return [*path[path.index(target) :], target]
                    todo.append((target, False))
    return []


def floors() -> dict[str, int]:
    """The tower of pyproject.toml: how far from the top each room stands."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (tower,) = [c for c in contracts if c["id"] == "tower"]
    return {room.strip(" ()"): i for i, layer in enumerate(tower["layers"]) for room in re.split(r"[|:]", layer)}


@every(list(MODULES.values()))
def test_no_import_hides_inside_a_function(module: Module) -> None:
    hidden = [f"{module.at(node)}: {ast.unparse(node)}" for node in hidden_imports(module.tree)]
    assert not hidden, "\n".join(hidden)


@every([m for m in MODULES.values() if m.is_package])
def test_an_init_only_re_exports(module: Module) -> None:
    allowed = []
    for i, node in enumerate(module.tree.body):
        docstring = i == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        dunder = isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and all(
            isinstance(target, ast.Name) and re.fullmatch(r"__\w+__", target.id)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        )
        allowed.append(docstring or dunder or isinstance(node, ast.Import | ast.ImportFrom))
    code = [module.at(node) for node, fine in zip(module.tree.body, allowed, strict=True) if not fine]
    assert not code, f"code belongs in a module of its own: {code}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    cycle = find_cycle(import_graph(MODULES))
    assert not cycle, " -> ".join(cycle)


@every(FRAMEWORK)
def test_annotations_point_down_the_tower_too(module: Module) -> None:
    tower = floors()
    mine = module.name.split(".")[1:2]
    up = [
        f"{module.at(node)}: {target}"
        for node in for_types_only(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for target in imported(module, node, MODULES)
        if mine and target.startswith("portax.") and tower[target.split(".")[1]] < tower[mine[0]]
    ]
    assert not up, "\n".join(up)


def lazily_named(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """What ``lazy("...")`` stands for: an import, only later."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "lazy":
            yield from ((node, a.value) for a in node.args[:1] if isinstance(a, ast.Constant))


@every(FRAMEWORK)
def test_what_loads_later_stands_no_higher(module: Module) -> None:
    tower = floors()
    mine = module.name.split(".")[1:2]
    up = [
        f"{module.at(node)}: {target}"
        for node, target in lazily_named(module.tree)
        if mine and target.startswith("portax.") and tower[target.split(".")[1]] < tower[mine[0]]
    ]
    assert not up, "\n".join(up)


@every(list(MODULES.values()))
def test_what_is_imported_is_declared(module: Module) -> None:
    project = tomllib.loads((module.distribution / "pyproject.toml").read_text("utf-8"))["project"]
    requirements = [*project["dependencies"]]
    for extra in project.get("optional-dependencies", {}).values():
        requirements += extra
    declared = {re.split(r"[^\w.-]", r.strip(), maxsplit=1)[0].lower() for r in requirements}
    importable = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in declared}
    importable |= {module.name.split(".")[0], *sys.stdlib_module_names}
    undeclared = {
        f"{module.at(node)}: {target}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for target in imported(module, node, MODULES)
        if target.split(".")[0].lower() not in importable
    }
    assert not undeclared, "\n".join(sorted(undeclared))


def docstring_nodes(tree: ast.Module) -> set[ast.AST]:
    """Strings that stand as statements: docstrings, and the notes below an attribute."""
    statements = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
    return {value for value in statements if isinstance(value, ast.Constant)}


def device_names(module: Module) -> list[str]:
    """Strings and identifiers with a device's name in them; what is written for a reader does not count."""
    prose = docstring_nodes(module.tree)
    found = []
    for node in ast.walk(module.tree):
        words = []
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose:
            words = [node.value]
        elif isinstance(node, ast.Name):
            words = [node.id]
        elif isinstance(node, ast.Attribute):
            words = [node.attr]
        elif isinstance(node, ast.arg):
            words = [node.arg]
        elif isinstance(node, ast.alias):
            words = node.name.split(".")
        found += [f"{module.at(node)}: {w}" for w in words if DEVICES.search(w.replace("_", " "))]
    return found


def device_decisions(module: Module) -> list[str]:
    """Places where the program's way depends on a device's name."""
    found = []
    for node in ast.walk(module.tree):
        tested: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            tested = [node.left, *node.comparators]
        elif isinstance(node, ast.match_case):
            tested = [node.pattern]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            tested = list(node.args) if node.func.attr in ("startswith", "endswith") else []
        for part in tested:
            for leaf in ast.walk(part):
                if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str) and DEVICES.search(leaf.value):
                    found.append(f"{module.at(node)}: {ast.unparse(node)}")
    return found


@every([m for m in FRAMEWORK if m.name.split(".")[1:2] in [[n] for n in NAMELESS] and m.name not in VOCABULARY] + SUITE)
def test_no_device_is_named_where_devices_are_judged(module: Module) -> None:
    named = device_names(module)
    assert not named, "\n".join(named)


@every([m for m in FRAMEWORK if m.name not in VOCABULARY] + SUITE)
def test_nothing_is_decided_by_a_devices_name(module: Module) -> None:
    decided = device_decisions(module)
    assert not decided, "\n".join(decided)


#: Where what is compared with another library is read only where that library is installed.
PEER = sorted((ROOT / "tests" / "peer").glob("test_*.py"))


@pytest.mark.parametrize("path", [pytest.param(p, id=p.stem) for p in PEER])
def test_what_is_beside_the_peer_says_so(path: Path) -> None:
    marked = [
        ast.unparse(node.value)
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Assign) and "pytestmark" in [getattr(t, "id", "") for t in node.targets]
    ]
    assert "pytest.mark.peer" in "".join(marked), f"{path.name} needs pytestmark = pytest.mark.peer"


@every(list(MODULES.values()))
def test_a_module_opens_with_what_it_is(module: Module) -> None:
    assert module.path.name == "__main__.py" or ast.get_docstring(module.tree), module.at(module.tree)


@pytest.mark.parametrize("name", VOCABULARY)
def test_a_vocabulary_names_a_device(name: str) -> None:
    assert device_names(MODULES[name]), f"{name} spells no device: take it off the list"


def test_every_distribution_is_typed_and_licensed() -> None:
    wanted = [folder / name for folder in DISTRIBUTIONS for name in ("LICENSE", "README.md")]
    wanted += [init.parent / "py.typed" for folder in DISTRIBUTIONS for init in folder.glob("src/*/__init__.py")]
    missing = [str(path.relative_to(ROOT)) for path in wanted if not path.exists()]
    assert not missing


# ------------------------------------------------------------------------------------- the laws can fail


def module_of(tmp_path: Path, text: str, name: str = "portax.core.made") -> Module:
    path = tmp_path / f"{name.rsplit('.', 1)[-1]}.py"
    path.write_text(text, "utf-8")
    return Module(name, path, tmp_path)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("import os\n", 0),
        ("def f():\n    import os\n", 1),
        ("class C:\n    def f(self):\n        from os import path\n", 1),
        ("f = lambda: __import__('os')\n", 1),
        ("import importlib\ndef f():\n    importlib.import_module('portax.numpy')\n", 1),
        ("import importlib\ndef f():\n    importlib.import_module('os')\n", 0),
        ("import importlib\ndef f(name):\n    importlib.import_module(name)\n", 0),
    ],
)
def test_a_hidden_import_is_seen(text: str, count: int) -> None:
    assert len(list(hidden_imports(ast.parse(text)))) == count


def test_what_loads_later_is_seen() -> None:
    [(_, name)] = lazily_named(ast.parse('cache = lazy("portax.runtime.cache")'))
    assert name == "portax.runtime.cache"
    assert any(list(lazily_named(m.tree)) for m in FRAMEWORK)


def test_a_circle_is_seen_and_a_ladder_is_none() -> None:
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()}) == ["a", "b", "c", "a"]
    assert find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_a_circle_closed_inside_a_function_is_seen(tmp_path: Path) -> None:
    a = module_of(tmp_path, "from portax import b\n", "portax.a")
    b = module_of(tmp_path, "def f():\n    import portax.a\n", "portax.b")
    assert find_cycle(import_graph({"portax.a": a, "portax.b": b})) == ["portax.a", "portax.b", "portax.a"]


def test_a_circle_of_annotations_alone_is_none(tmp_path: Path) -> None:
    a = module_of(tmp_path, "from portax import b\n", "portax.a")
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from portax import a\n"
    b = module_of(tmp_path, text, "portax.b")
    assert find_cycle(import_graph({"portax.a": a, "portax.b": b})) == []


@pytest.mark.parametrize("text", ["x == 'opencl'", "x in ('cpu', 'gpu')", "x.startswith('cuda')"])
def test_a_decision_by_name_is_seen(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[Module.__module__], "ROOT", tmp_path)
    assert device_decisions(module_of(tmp_path, f"def f(x):\n    return {text}\n"))
    assert not device_decisions(module_of(tmp_path, "def f(x):\n    return x == 'output'\n"))


def test_a_devices_name_is_seen_in_code_and_not_in_prose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[Module.__module__], "ROOT", tmp_path)
    assert device_names(module_of(tmp_path, "cuda_kernel = 1\n"))
    assert device_names(module_of(tmp_path, "x = {'opencl': 1}\n"))
    assert not device_names(module_of(tmp_path, '"""Unlike XLA, this rounds."""\noutput = "inputs"\n'))
