"""The floors of the house: a lower one never imports an upper one, and parts on one floor do not import each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "gfpup"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "types", "registry", "processor", "provenance", "torchvision_cure", "published"),
    ("ops",),
    ("images", "photos", "sources", "pairs", "weights"),
    ("nets", "engines", "hardware", "cgroups", "memory"),
    ("faces", "backends", "background", "metrics"),
    (
        "configuration",
        "settings",
        "options",
        "supply",
        "methods",
        "tiers",
        "arithmetic",
        "needs",
        "fitting",
        "footing",
        "planner",
        "pipeline",
    ),
    ("observers",),
    (
        "runner",
        "verify",
        "results",
        "scoring",
        "degraded_set",
        "compare",
        "report",
        "bench",
        "recommend",
        "doctor",
        "records",
        "api",
    ),
    ("cli", "__main__"),
)
PARTS = 4
NEVER_IN_THE_CORE = ("torchvision", "gfpgan", "basicsr", "facexlib", "pyiqa")


def floor_of(module: str) -> int:
    """The floor of `gfpup.a.b`, by its first name below the package; the package itself stands below all."""
    top = module.split(".")[1] if "." in module else ""
    for number, names in enumerate(FLOORS):
        if top in names:
            return number
    return -1 if top in ("", "__version__", "conf") else 99


def imports_of(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            found += [f"{base}.{alias.name}" if base == "gfpup" else base for alias in node.names]
    return found


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    own = ".".join(["gfpup", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
    floor = floor_of(own)
    assert floor != 99, f"{own} stands on no floor"
    for name in imports_of(path):
        if name.split(".")[0] == "gfpup":
            if own == "gfpup":  # the package's table of contents, loaded when asked for: held light by the test below
                assert name.startswith("gfpup.api"), f"gfpup itself imports {name}"
                continue
            assert floor_of(name) <= floor, f"{own} (floor {floor}) imports {name} (floor {floor_of(name)})"
            # faces/align and faces/detect are two parts; a package's own __init__ is its table of contents.
            if floor == floor_of(name) == PARTS and path.name != "__init__.py":
                assert name in ("gfpup.backends", own.rpartition(".")[0]), f"{own} imports its neighbour {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_official_packages_stay_out(path: Path) -> None:
    if path.name.startswith(("upstream", "no_reference")):
        return
    assert not {name.split(".")[0] for name in imports_of(path)} & set(NEVER_IN_THE_CORE)


def test_importing_gfpup_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'hydra', 'cv2', 'lightning'}"
    code = f"import sys, gfpup, gfpup.cli.main; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_broken_floor_would_be_seen() -> None:
    assert floor_of("gfpup.errors") < floor_of("gfpup.ops.geometry") < floor_of("gfpup.faces.paste")
    assert floor_of("gfpup.surprise") == 99
