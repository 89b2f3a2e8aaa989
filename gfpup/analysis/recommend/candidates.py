"""Finished runs as candidates for advice: what each one is, from its record, in folders or in an MLflow experiment."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from gfpup.analysis.compare import Run
from gfpup.analysis.recommend.guide import GB, commercial_use, guide
from gfpup.core.errors import GfpupError
from gfpup.evaluation.metrics.cost import seconds as seconds_score
from gfpup.evaluation.metrics.cost import unshared
from gfpup.models import backends
from gfpup.records.manifest import DOCUMENT
from gfpup.records.scores import RUN, TABLE, ScoreRow

SECONDS: Final = ("seconds", "photo")


@dataclass(frozen=True)
class Candidate:
    """One finished run: `backend` with its `flags`, the `members` of an ensemble, the hardware it ran on, peak memory in GB."""

    name: str
    backend: str
    flags: tuple[str, ...]
    members: tuple[str, ...]
    device: str
    hardware: Mapping[str, Any]
    peak_gb: float | None

    @property
    def uses(self) -> tuple[str, ...]:
        """The methods whose weights and licences it needs."""
        return self.members or (self.backend,)

    @property
    def guide_method(self) -> str | None:
        """What the guide calls it, None for what the guide does not know."""
        for name, facts in guide()["methods"].items():
            wanted = [word for pair in facts["flags"].items() for word in pair]
            if facts["backend"] == self.backend and set(wanted) <= set(self.flags):
                return str(name)
        return None

    @property
    def commercial_use(self) -> str:
        """The strictest of what its methods' licences say of commercial use."""
        order = ("no", "contested", "unknown", "yes")
        return min((commercial_use(name) if name in backends.TABLE else "unknown" for name in self.uses), key=order.index)


def timed(run: Run, folder: Path) -> Run:
    """The run with seconds a photo: where the scores have none, from its record.

    Raises:
        GfpupError: neither has any.
    """
    if any((row.metric, row.level) == SECONDS and row.value is not None for row in run.rows):
        return run
    rows = []
    for line in _document(folder)["photos"]:
        score = seconds_score(unshared(line["seconds"], line.get("reused", {})))
        if line["error"] is None and score.value is not None:
            rows.append(ScoreRow(line["name"], None, score.metric, score.value, score.higher_is_better))
    if not rows:
        raise GfpupError(f"{folder} says nothing of seconds, which the advice needs; restore its photos again with gfpup run.")
    return replace(run, rows=(*run.rows, *rows))


def candidate(run: Run, folder: Path) -> Candidate:
    """What a finished run in `folder` is, by its record.

    Raises:
        GfpupError: there is no record, or the run goes on still.
    """
    document = _document(folder)
    plan = document["plan"]
    pixels = plan["pixels"]
    members = pixels.get("members", [])
    peaks = [row.value for row in run.rows if row.photo == RUN and row.metric == "peak_memory" and row.value is not None]
    return Candidate(
        name=run.name,
        backend=pixels["backend"],
        flags=tuple(_flags(pixels, members, document)),
        members=tuple(dict.fromkeys(member["backend"] for member in members)),
        device=str(pixels.get("device", plan.get("device", "cpu"))),
        hardware=document.get("hardware") or {},
        peak_gb=peaks[0] / GB if peaks else None,
    )


def _flags(pixels: Mapping[str, Any], members: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> list[str]:
    """The flags of `gfpup run` that make what this run made, but for its photos and its folder."""
    words = ["--backend", str(pixels["backend"])]
    parameters = dict(pixels.get("parameters", {}))
    for member in members if pixels["backend"] == "ensemble" else ():
        parameters |= member["parameters"]
    words += [word for key in ("version", "fidelity") if key in parameters for word in (f"--{key}", str(parameters.pop(key)))]
    if members and pixels["backend"] == "ensemble":
        words += ["--ensemble-backends", ",".join(member["backend"] for member in members)]
        words += ["--ensemble-weights", ",".join(f"{member['weight']:g}" for member in members)]
    asked = document.get("configuration", {})
    own = asked.get("weights", {}).get("model")
    if own is not None:
        words += ["--model-path", str(own)]
    for key, flag, usual in (
        ("upscale", "--upscale", 2),
        ("strength", "--strength", 1),
        ("identity_min", "--identity-min", None),
    ):
        if pixels.get(key, usual) != usual:
            words += [flag, f"{pixels[key]:g}"]
    words += [flag for key, flag in (("aligned", "--aligned"), ("match_color", "--match-color")) if pixels.get(key)]
    words += [f"--{pixels['mode']}"] if pixels.get("mode", "standard") != "standard" else []
    machine = asked.get("hardware", {})
    for key in ("precision", "engine"):
        words += [f"--{key}", str(machine[key])] if machine.get(key, "auto") != "auto" else []
    words += ["--compile"] if machine.get("compile") else []
    return words + [f"restore.{key}={value}" for key, value in sorted(parameters.items())]


def _document(folder: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
        document["plan"]["pixels"]["backend"], document["photos"]
    except (OSError, ValueError, KeyError, TypeError):
        raise GfpupError(f"{folder / DOCUMENT} is no record of a run; give the --output folder of gfpup run.") from None
    if document.get("status") == "running":
        raise GfpupError(f"the run in {folder} has not ended; wait for it, or give its command again, which resumes it.")
    return document


def machine_of(hardware: Mapping[str, Any]) -> str:
    """A machine in words, from what a record says of it."""
    gpus = ", ".join(gpu["name"] for gpu in hardware.get("gpus", ()))
    return f"{hardware.get('cores', '?')} cores" + (f" and {gpus}" if gpus else "")


def fetch(experiment: str, uri: str | None, into: Path) -> list[Path]:
    """Bring record and scores of an experiment's tracked runs into folders below `into`, one each; returns the folders.

    Of an experiment with sweeps the last one's runs are taken, else all of it; runs without scores are passed over.

    Raises:
        GfpupError: the store cannot be used, or has no such experiment or no scored run in it.
    """
    from gfpup.tracking import store as tracking_store
    from gfpup.tracking.facts import COMPLETE

    uri = tracking_store.store_uri(uri)
    where = tracking_store.shown(uri)
    database = tracking_store.database(uri)
    if database is not None and not database.is_file():
        raise GfpupError(f"there is no store at {database}; track a run first: gfpup track out/, or give --tracking-uri.")
    folders: list[Path] = []
    with tracking_store.opened(uri) as store:
        found = store.get_experiment_by_name(experiment)
        if found is None:
            names = ", ".join(sorted(each.name for each in store.search_experiments())) or "none"
            raise GfpupError(f"{where} has no experiment {experiment!r}; it has {names}.")
        sweep = tracking_store.last_sweep(store, [found.experiment_id])
        runs = [] if sweep is None else tracking_store.children(store, sweep.info.run_id)
        for run in runs or store.search_runs([found.experiment_id], f"tags.`{tracking_store.KIND}` = 'run'", max_results=1000):
            files = {file.path for file in store.list_artifacts(run.info.run_id)}
            if not run.data.tags.get(COMPLETE) or not {DOCUMENT, TABLE} <= files:
                continue
            folder = _fresh(into, run.info.run_name or run.info.run_id)
            for file in (DOCUMENT, TABLE):
                store.download_artifacts(run.info.run_id, file, str(folder))
            folders.append(folder)
    if not folders:
        raise GfpupError(f"the experiment {experiment!r} of {where} has no scored run; run with --metrics, or gfpup track one.")
    return folders


def _fresh(into: Path, name: str) -> Path:
    """A new folder named after a run, whatever letters its name has."""
    plain = re.sub(r"[^\w.,=+-]+", "_", name).strip("._") or "run"
    number = 1
    while (folder := into / (plain if number == 1 else f"{plain}-{number}")).exists():
        number += 1
    folder.mkdir(parents=True)
    return folder
