"""A folder that `gfpup score` wrote about any pictures: what is known of it, in the form of a run's record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gfpup.core.errors import GfpupError
from gfpup.core.files import natural_key
from gfpup.evaluation.metrics import TO_INPUT
from gfpup.records.folders import folder_document
from gfpup.records.items import Item, items_of_folder
from gfpup.records.scores import TABLE, read_summary


def read_scored(folder: Path, photos: Sequence[str]) -> tuple[dict[str, Any], list[Item], list[str]]:
    """What a manifest would say of the scored pictures in `folder`, the pictures themselves, and notes.

    `photos` are the names in its scores; they stand in where the pictures have moved since. Lines have no "faces": a folder of
    pictures does not record them.
    """
    summary = read_summary(folder)
    restored, computed = Path(summary.get("restored") or folder), summary.get("computed", {})
    partners = {what: _partner(computed.values(), what) for what in ("reference", "input")}
    try:
        items, notes = items_of_folder(restored, reference=partners["reference"], degraded=partners["input"])
    except GfpupError as error:
        items = [Item(name, refusal=str(error)) for name in sorted(dict.fromkeys(photos), key=natural_key)]
        notes = [f"the scored pictures are not shown: {error}"]
    scored = datetime.fromtimestamp((folder / TABLE).stat().st_mtime, UTC).isoformat(timespec="seconds")
    metrics = dict.fromkeys(name.removesuffix(TO_INPUT) for name in computed)
    argv = ["gfpup", "score", "--restored", str(restored)]
    argv += [word for what, path in partners.items() if path is not None for word in (f"--{what}", str(path))]
    argv += ["--metrics", ",".join(metrics)] if metrics else []
    command = [*argv, "--output", str(folder.resolve())]
    document = folder_document(items, restored, argv=command, started=scored)
    return document, items, notes


def _partner(computed: Iterable[dict[str, Any]], what: str) -> Path | None:
    """The folder of references or inputs that a metric was computed with."""
    return next((Path(facts[what]) for facts in computed if facts.get(what)), None)
