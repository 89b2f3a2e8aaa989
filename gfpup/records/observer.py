"""Watchers of a run: they see each photo after it is written and never change a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from gfpup.core.types import RestoredPhoto


class Observer(Protocol):
    """What the runner calls, in order, from one thread."""

    def photo_done(self, line: Mapping[str, Any], restored: RestoredPhoto | None) -> None:
        """A photo's manifest line was written; `restored` is None where the photo failed."""
        ...

    def run_done(self, document: Mapping[str, Any]) -> None:
        """The manifest was written."""
        ...
