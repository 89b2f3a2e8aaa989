"""Where a run is tracked. Nothing here imports MLflow, so that a run without tracking does not load it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

EXPERIMENT: Final = "gfpup"


@dataclass(frozen=True)
class Target:
    """Where a run is tracked, and how many of its photos are shown, at most `image_px` pixels on their longer side.

    `experiment_id` is given where the experiment was made before (in a sweep), and `parent_run_id` is the sweep's own run.
    """

    uri: str
    experiment: str = EXPERIMENT
    experiment_id: str | None = None
    parent_run_id: str | None = None
    max_images: int = 20
    image_px: int = 512


def shown(uri: str) -> str:
    """The address of a store without the user and password in it, for messages and records."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else uri
