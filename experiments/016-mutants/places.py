"""Where cosmic-ray can change the code, without the places whose change nobody could or need notice."""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

SKIPPED = re.compile(
    r"(Add|Sub|Mul|Div|Mod|Pow)_(RShift|LShift|BitOr|BitAnd|BitXor|Pow)$|Is_Eq|IsNot_NotEq|(Eq|Lt|LtE|Gt|GtE)_Is"
)
"""Changes that are too easy to notice (bits of a float or a path) or the same for nearly all values (`x == None`)."""

GUARDS = {"strict", "frozen", "eq", "repr", "compare", "slots", "kw_only"}


@dataclass(frozen=True)
class Mutant:
    """One change to one file; `start` and `end` are the (line, column) of what is changed."""

    file: str
    start: tuple[int, int]
    end: tuple[int, int]
    operator: str
    arguments: tuple[tuple[str, Any], ...]
    occurrence: int

    def apply(self, code: str) -> str:
        operator = cosmic_ray.plugins.get_operator(self.operator)(**dict(self.arguments))
        return str(mutate_code(code, operator, self.occurrence))


def every_mutant(file: str, code: str) -> Iterator[Mutant]:
    """All changes that cosmic-ray's operators can make to `code`."""
    nodes = list(ast_nodes(get_ast(code)))
    for name in cosmic_ray.plugins.operator_names():
        kind = cosmic_ray.plugins.get_operator(name)
        if kind.arguments() or SKIPPED.search(name):  # the former replace a named variable by a random number
            continue
        positions = (place for node in nodes for place in kind().mutation_positions(node))
        for occurrence, (start, end) in enumerate(positions):
            yield Mutant(file, start, end, name, (), occurrence)


def excluded(code: str) -> Iterator[tuple[ast.AST, str]]:
    """The parts of `code` that are left alone, and why."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            yield node.annotation, "annotation"
        elif isinstance(node, ast.FunctionDef) and node.returns is not None:
            yield node.returns, "annotation"
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield node, "TYPE_CHECKING"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[0].lower() in (
            "log",
            "logger",
            "logging",
            "_log",
        ):
            yield node, "logging"
        elif isinstance(node, ast.keyword) and node.arg in GUARDS:
            yield node, "guard against programming errors"
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.BinOp):
            names = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
            if isinstance(node.value, ast.Subscript) or all(
                name[0].isupper() or name in ("int", "str", "float") for name in names
            ):
                yield node.value, "annotation"


def reason_to_leave(mutant: Mutant, parts: list[tuple[ast.AST, str]]) -> str | None:
    for node, reason in parts:
        first, last = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
        if first <= mutant.start and mutant.end <= last:
            return reason
    return None


def draw(root: Path, folder: str, count: int, seed: int) -> tuple[list[Mutant], int, Counter[str]]:
    """A sample of `count` mutants of a folder, the number of places it is drawn from, and the places left out by reason.

    Places are drawn evenly and then one change at each: cosmic-ray knows 11 changes of a `+` and 2 of a number.
    """
    places: dict[tuple[Any, ...], list[Mutant]] = {}
    left_out: dict[tuple[Any, ...], str] = {}
    for path in sorted((root / "gfpup" / folder).rglob("*.py")):
        code = path.read_text()
        lines = code.splitlines()
        parts = list(excluded(code))
        for mutant in every_mutant(str(path.relative_to(root)), code):
            place = (mutant.file, mutant.start, mutant.end, mutant.operator.split("_")[0])
            before, at = lines[mutant.start[0] - 1][: mutant.start[1]], lines[mutant.start[0] - 1][mutant.start[1] :]
            if at.startswith("*") and (not before.strip() or before.rstrip()[-1] in "({[,"):
                left_out[place] = "a star that is no operator"
            elif reason := reason_to_leave(mutant, parts):
                left_out[place] = reason
            else:
                places.setdefault(place, []).append(mutant)
    chance = random.Random(f"{seed} {folder}")
    chosen = chance.sample(sorted(places), min(count, len(places)))
    return [chance.choice(places[place]) for place in chosen], len(places), Counter(left_out.values())
