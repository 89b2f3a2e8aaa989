"""What an option of a run is: the metadata of a field of the schema, with its flags, its range and its help."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

Kind = Literal["value", "text", "list", "names", "metrics", "boxes", "group"]
"""How a value is written on the command line: "value" (a name or a number, which may be swept), "text" (any text, never swept),
"list" (one value each time the flag is given), "names" (A,B in one value), "metrics" (a preset, or such names), "boxes"
(X0,Y0,X1,Y1 each time) or "group" (a name from a group of conf/, which may be swept)."""
Scope = Literal["command", "weights", "restore", "run"]
"""Where Python takes an option: nowhere, wherever weights are loaded, in `gfpup.load`, or in `gfpup.run` alone."""


@dataclass(frozen=True)
class Flag:
    """One flag of an option. A switch takes no value and `sets` one; `common` flags stand in the short help.

    `help` is an imperative without range, unit and default: `describe` adds them from the option.
    """

    name: str
    help: str
    metavar: str = ""
    sets: Any = None
    short: str = ""
    common: bool = False
    scope: Scope | None = None

    @property
    def is_switch(self) -> bool:
        return self.sets is not None

    @property
    def keyword(self) -> str:
        """The option of the same name in Python."""
        return self.name[2:].replace("-", "_")


@dataclass(frozen=True)
class Option:
    """One option: its dotted `key` in the configuration, the `type` that the code reads, its default and what is allowed.

    `unit` belongs to a number. `shown` is the default that the help states where the configuration's own says nothing.
    `suggest` names what the shell completes values from: a group of conf/, or a table of `gfpup.cli.completion`.
    """

    flags: tuple[Flag, ...] = ()
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    unit: str = ""
    shown: str = ""
    kind: Kind = "value"
    suggest: str = ""
    section: str = ""
    scope: Scope = "restore"
    key: str = ""
    type: Any = None
    default: Any = None

    @property
    def optional(self) -> bool:
        return type(None) in typing.get_args(self.type)

    @property
    def base(self) -> Any:
        """The type without None."""
        kept = [kind for kind in typing.get_args(self.type) if kind is not type(None)]
        return kept[0] if self.optional and len(kept) == 1 else self.type


def option(default: Any, *flags: Flag, **facts: Any) -> Any:
    """A field of the schema with this default; `facts` are those of `Option`."""
    return field(default_factory=lambda: copy(default), metadata={"option": Option(flags, **facts)})


def node(cls: type, *flags: Flag, section: str = "", scope: Scope = "restore", **facts: Any) -> Any:
    """A field of the schema that holds further options; with flags it is a group of conf/, and they choose from it."""
    kept: dict[str, Any] = {"kind": "group", "section": section, "scope": scope, **facts}
    group = Option(flags, **kept) if flags else None
    return field(default_factory=cls, metadata={"node": cls, "section": section, "scope": scope, "option": group})


def walk(root: type, *, prefix: str = "", section: str = "", scope: Scope = "restore") -> Iterator[Option]:
    """Every option below `root`, in the order of declaration; a group comes before what it holds, under the key of its node."""
    hints = typing.get_type_hints(root, vars(import_module(root.__module__)))
    for item in dataclasses.fields(root):
        found: Option | None = item.metadata.get("option")
        inside: type | None = item.metadata.get("node")
        key = f"{prefix}{item.name}"
        if found is not None:
            default = None if inside else typing.cast(Any, item.default_factory)()
            kind = "text" if found.kind == "value" and "Path" in str(hints[item.name]) else found.kind
            where = found.section or section
            own = found.scope if inside or found.scope != "restore" else scope
            yield replace(found, key=key, type=hints[item.name], default=default, kind=kind, section=where, scope=own)
        if inside is not None:
            yield from walk(inside, prefix=f"{key}.", section=item.metadata["section"], scope=item.metadata["scope"])


def expected(wanted: Option) -> str:
    """What a value of the option must be, in words."""
    if wanted.choices:
        return "one of " + ", ".join(wanted.choices)
    if wanted.base is bool:
        return "true or false"
    if wanted.base in (int, float):
        noun = "a whole number" if wanted.base is int else "a number"
        if wanted.low is not None:
            noun += f" of {wanted.low:g} or more" if wanted.high is None else f" from {wanted.low:g} to {wanted.high:g}"
        return noun + (f", in {wanted.unit}" if wanted.unit else "")
    if wanted.kind in ("list", "names", "metrics"):
        return "a list of numbers" if "float" in str(wanted.type) else "a list of names"
    return "a path" if wanted.base is Path else "a text"


def describe(flag: Flag, wanted: Option) -> str:
    """The help of a flag, with choices or range, unit and default."""
    if flag.is_switch:
        return flag.help
    limits = f", {wanted.low:g} to {wanted.high:g}" if wanted.high is not None else ""
    limits = f": {'|'.join(wanted.choices)}" if wanted.choices else limits
    unit = f", in {wanted.unit}" if wanted.unit else ""
    shown = wanted.shown or ("" if wanted.default in (None, "", [], ()) else str(wanted.default))
    return flag.help + limits + unit + (f" (default: {shown})" if shown else "")


@cache
def spellings(root: type) -> dict[str, tuple[Flag, Option]]:
    """Every flag below `root` by its name and its short name."""
    found = {flag.name: (flag, wanted) for wanted in walk(root) for flag in wanted.flags}
    return found | {flag.short: (flag, wanted) for flag, wanted in found.values() if flag.short}
