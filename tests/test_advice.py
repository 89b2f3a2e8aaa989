"""Commands that messages advise parse as they stand: each `gfpup VERB ...` with arguments in a message of the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import gfpup
from gfpup.cli import backends
from gfpup.cli.main import IN_OWN_MODULE, VERBS
from gfpup.cli.overrides import to_overrides
from gfpup.core.errors import GfpupError

SOURCE = Path(gfpup.__file__).parent
HOLE = "X"
"""Stands for what a message fills in."""
SUBVERBS = {"list", "fetch", "verify", "import", "show", "bash", "zsh", "fish"}


def texts(file: Path) -> Iterator[str]:
    """The strings of a file that people may read: docstrings and the pages of the help are left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    left_out = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            left_out |= {id(part) for part in ast.walk(node)} - {id(node)}
            yield "".join(part.value if isinstance(part, ast.Constant) else HOLE for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            yield node.value


def commands(text: str) -> Iterator[list[str]]:
    """The commands with arguments in a message, each as far as its words are arguments and not the sentence around it."""
    for found in re.finditer(rf"\bgfpup ((?:{'|'.join(VERBS)}) [^;()'\n]*)", text):
        verb, *rest = found.group(1).split()
        words: list[str] = []
        for i, word in enumerate(rest):
            argument = word.rstrip(",.:")
            value_of_flag = i > 0 and rest[i - 1].startswith("--") and not parses([verb, *words])
            named = argument.startswith("--") or argument in SUBVERBS or argument.isupper() or re.search(r"\w[/=.]", argument)
            if not (named or value_of_flag):
                break
            words.append(argument)
            if argument != word:
                break
        if words:
            yield [verb, *words]


def parse(command: list[str]) -> None:
    verb, *rest = command
    if rest == ["--help-all"] or command == ["run", HOLE]:
        return  # the second is the translation of an older command, whose words have tests of their own
    if verb in ("run", "sweep"):
        to_overrides([*rest, *(["-m"] if verb == "sweep" else [])])
    elif verb == "backends":
        assert rest[0] == "show" and backends.names()
    elif rest != ["--help"]:
        assert verb in IN_OWN_MODULE
        module = import_module(f"gfpup.cli.{verb}")
        getattr(module, "_parse", module.PARSER.read)(rest)


def parses(command: list[str]) -> bool:
    try:
        parse(command)
    except GfpupError:
        return False
    return True


ADVICE = [
    (str(file.relative_to(SOURCE)), command)
    for file in sorted(SOURCE.rglob("*.py"))
    for text in texts(file)
    if "usage: " not in text and "\n  gfpup " not in text
    for command in commands(text)
]


@pytest.mark.parametrize(("file", "command"), ADVICE, ids=[f"{file}: {' '.join(command)}" for file, command in ADVICE])
def test_an_advised_command_parses(file: str, command: list[str]) -> None:
    parse(command)


def test_advice_was_found() -> None:
    assert len(ADVICE) > 15
    assert {"run", "score", "track", "weights", "backends"} <= {command[0] for _, command in ADVICE}
