"""The floors of the house: a folder imports folders below it, none beside or above it, and no files import in a circle.

The imports are read from the files, those inside functions and under TYPE_CHECKING too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "gfpup"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("core",),
    ("machine", "ops", "weights"),
    ("photos",),
    ("models",),
    ("restoration", "evaluation"),
    ("planning", "records"),
    ("tracking",),
    ("analysis",),
    ("running", "tools"),
    ("cli", "app", "api"),
)
AT_THE_ROOT = {"__init__.py", "__main__.py", "api.py"}
NEVER_IN_THE_CORE = {"torchvision", "gfpgan", "basicsr", "facexlib", "pyiqa"}

Graph = Mapping[str, set[str]]
"""The modules that each module imports, as dotted names below the package: "photos.read", and "photos" for its __init__."""


def read_imports(package: Path) -> dict[str, set[str]]:
    """The imports of every file of a package among its own modules; "" is the package's own __init__."""
    modules = {_module_of(path, package): path for path in package.rglob("*.py")}
    return {name: set(_own_imports(path, package.name, modules)) - {name} for name, path in modules.items()}


def _module_of(path: Path, package: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _own_imports(path: Path, package: str, modules: Mapping[str, Path]) -> Iterator[str]:
    for name in _imported(path):
        top, _, rest = name.partition(".")
        if top != package:
            continue
        while rest and rest not in modules:  # a class or function of the module
            rest = rest.rpartition(".")[0]
        yield rest


def _imported(path: Path) -> Iterator[str]:
    """What a file imports, "a.b.name" for `from a.b import name`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def upward(graph: Graph, floors: tuple[tuple[str, ...], ...]) -> list[str]:
    """The imports that do not go down, as "planning.fit imports running.run", and the modules that stand on no floor."""
    number = {folder: floor for floor, folders in enumerate(floors) for folder in folders}
    found = []
    for module, imports in sorted(graph.items()):
        own = module.partition(".")[0]
        if own in ("", "__main__"):  # the package's table of contents and its door, which open what they name when asked
            continue
        if own not in number:
            found.append(f"{module} stands on no floor")
            continue
        for other in sorted(imports):
            there = other.partition(".")[0]
            if there not in ("", own) and number.get(there, 99) >= number[own]:
                found.append(f"{module} imports {other}")
    return found


def circles(graph: Graph) -> list[list[str]]:
    """The groups of modules that import each other, directly or by others; Tarjan's strongly connected components."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph[module]:
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            at = stack.index(module)
            group = sorted(stack[at:])
            del stack[at:]
            if len(group) > 1:
                found.append(group)

    for module in graph:
        if module and module not in index:
            visit(module)
    return found


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    read = read_imports(PACKAGE)
    read[""] = set()  # gfpup/__init__.py is the table of contents: it opens gfpup.api when a name of it is asked for
    return read


def test_folders_import_only_folders_below(graph: Graph) -> None:
    assert upward(graph, FLOORS) == []


def test_no_files_import_in_a_circle(graph: Graph) -> None:
    assert circles(graph) == []


def test_at_the_root_stand_only_folders_and_three_files() -> None:
    assert {path.name for path in PACKAGE.glob("*.py")} == AT_THE_ROOT
    folders = {folder.name for folder in PACKAGE.iterdir() if any(folder.rglob("*.py"))}
    assert folders <= {name for floor in FLOORS for name in floor}


def test_the_test_sees_what_it_is_for(tmp_path: Path) -> None:
    house = tmp_path / "house"
    files = {
        "__init__.py": "",
        "core/__init__.py": "",
        "core/errors.py": "def say():\n    from house.cli.main import main\n",
        "ops/__init__.py": "",
        "ops/resize.py": "from house.core import errors\nfrom house.ops import tiles\n",
        "ops/tiles.py": "def f():\n    from house.ops.resize import g\n",
        "weights/store.py": "import house.ops.tiles\n",
        "cli/main.py": "from house.core.errors import say\n",
        "attic.py": "",
    }
    for name, text in files.items():
        (house / name).parent.mkdir(parents=True, exist_ok=True)
        (house / name).write_text(text)
    seen = read_imports(house)
    assert upward(seen, (("core",), ("ops", "weights"), ("cli",))) == [
        "attic stands on no floor",
        "core.errors imports cli.main",  # upwards, inside a function
        "weights.store imports ops.tiles",  # beside it
    ]
    assert sorted(circles(seen)) == [["cli.main", "core.errors"], ["ops.resize", "ops.tiles"]]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_official_packages_stay_out(path: Path) -> None:
    if path.name.startswith(("upstream", "no_reference")):
        return
    assert not {name.partition(".")[0] for name in _imported(path)} & NEVER_IN_THE_CORE


def test_importing_gfpup_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'hydra', 'cv2', 'lightning'}"
    code = f"import sys, gfpup, gfpup.cli.main; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
