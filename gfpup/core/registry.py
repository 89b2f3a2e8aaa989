"""Names to classes: a literal table of "module:Class", entry points merged in, and "did you mean" for typing errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from gfpup.core.errors import GfpupError

SHORT = 5
"""Letters of a name up to which half of them in common are chance, as of "nope" and "compile"."""


def resolve(kind: str, name: str, table: Mapping[str, str]) -> Any:
    """Import what `name` stands for in `table`; entry points of the group `gfpup.<kind>s` count as rows of it.

    Raises GfpupError for an unknown name, with the nearest one, and where an installed package's part cannot be imported.
    """
    rows = {**plugins(kind), **table}
    if name not in rows:
        raise GfpupError(unknown(kind, name, rows))
    module, _, attribute = rows[name].partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        if name in table:
            raise
        lead = f"the {kind} {name!r} of an installed package cannot be imported"
        raise GfpupError(f"{lead} ({type(error).__name__}: {error}); repair or remove it.") from error


def plugins(kind: str) -> dict[str, str]:
    """The rows that installed packages add to the table of `kind`."""
    return {point.name: point.value for point in entry_points(group=f"gfpup.{kind}s")}


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that nothing answers to."""
    names = sorted(known)
    longer = [known for known in names if len(name) > 1 and known.startswith(name)]
    near = longer or difflib.get_close_matches(name, names, n=1, cutoff=0.5 if len(name) > SHORT else 0.6)
    hint = f"did you mean {near[0]!r}?" if near else "choose one of " + ", ".join(names) + "."
    return f"there is no {kind} {name!r}: {hint}"
