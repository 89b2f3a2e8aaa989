"""Loaded networks that outlive a run, for a process that restores again and again; an ordinary command keeps none."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from gfpup.core.types import BackendSpec

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class _Kept:
    """What is loaded, by the call that loaded it, the least recently used first; `budget_bytes` is for all of it."""

    budget_bytes: int = 0
    held: OrderedDict[str, tuple[Any, int]] = field(default_factory=OrderedDict)


_KEPT = _Kept()


def keep(budget_bytes: int) -> None:
    """From now on keep what is loaded in this process, up to so many bytes of checkpoints; 0 drops everything."""
    _KEPT.budget_bytes = budget_bytes
    _trim()


def load(loader: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`loader(*args, **kwargs)`, or what the same call returned before, where that is kept and its files are unchanged."""
    if not _KEPT.budget_bytes:
        return loader(*args, **kwargs)
    files = list(_files([*args, *kwargs.values()]))
    status = [(path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    key = repr((loader.__module__, loader.__qualname__, args, sorted(kwargs.items()), status))
    if key not in _KEPT.held:
        loaded = loader(*args, **kwargs)
        _KEPT.held[key] = (loaded, sum(size for size, _ in status))
        _trim()
        return loaded
    _KEPT.held.move_to_end(key)
    return _KEPT.held[key][0]  # type: ignore[no-any-return]


def _files(values: list[Any]) -> Iterator[Path]:
    for value in values:
        if isinstance(value, Path):
            yield value
        elif isinstance(value, BackendSpec):
            yield from value.checkpoints.values()
            yield from _files([member for member, _ in value.members])


def _trim() -> None:
    while _KEPT.held and (not _KEPT.budget_bytes or sum(size for _, size in _KEPT.held.values()) > _KEPT.budget_bytes):
        _KEPT.held.popitem(last=False)
