"""Finished runs as candidates for advice: what each one is, from its record, in folders or in an MLflow experiment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import Any, Final

from gfpup.analysis.recommend.guide import GB, commercial_use, guide
from gfpup.core.errors import GfpupError
from gfpup.evaluation.metrics.cost import seconds as seconds_score
from gfpup.models import backends
from gfpup.records.layout import DOCUMENT
from gfpup.records.run_record import RunRecord
from gfpup.records.scores import TABLE

SECONDS: Final = ("seconds", "photo")


@dataclass(frozen=True, eq=False)
class Candidate:
    """A finished run as one to take, from its record.

    `flags` are those of `gfpup run` that make what this run made, but for its photos and its folder. `uses` are the methods
    whose weights and licences it needs, `peak_gb` is the most memory it held, `guide_method` what the guide calls it.
    """

    name: str
    backend: str
    flags: tuple[str, ...]
    uses: tuple[str, ...]
    device: str
    hardware: Mapping[str, Any]
    peak_gb: float | None
    guide_method: str | None

    @classmethod
    def of(cls, record: RunRecord) -> Candidate:
        """The candidate that a run is.

        Raises: GfpupError: the run is still going on, or its record does not say what it ran.
        """
        pixels = record.ended().pixels
        if "backend" not in pixels:
            raise GfpupError(f"{record.folder} does not record its method: give the --output folder of gfpup run.")
        backend, flags = str(pixels["backend"]), _flags(record)
        known = {name: {facts["backend"], *chain(*facts["flags"].items())} for name, facts in guide()["methods"].items()}
        return cls(
            name=record.name,
            backend=backend,
            flags=flags,
            uses=tuple(dict.fromkeys(member["backend"] for member in pixels.get("members", ()))) or (backend,),
            device=str(pixels.get("device", record.plan.get("device", "cpu"))),
            hardware=record.document.get("hardware") or {},
            peak_gb=next((s.value / GB for s in record.scores if s.metric == "peak_memory" and s.value is not None), None),
            guide_method=next((name for name, words in known.items() if words <= set(flags)), None),
        )

    @property
    def commercial_use(self) -> str:
        """The strictest of what its methods' licences say of commercial use."""
        order = ("no", "contested", "unknown", "yes")
        return min((commercial_use(name) if name in backends.TABLE else "unknown" for name in self.uses), key=order.index)


def _flags(record: RunRecord) -> tuple[str, ...]:
    pixels, asked, words = record.pixels, record.configuration, ["--backend", str(record.pixels["backend"])]
    members = pixels.get("members", ()) if pixels["backend"] == "ensemble" else ()
    parameters = dict(pixels.get("parameters", {}))
    for member in members:
        parameters |= member["parameters"]
    for key in ("version", "fidelity", "steps"):
        words += [f"--{key}", str(parameters.pop(key))] if key in parameters else []
    if members:
        words += ["--ensemble-backends", ",".join(member["backend"] for member in members)]
        words += ["--ensemble-weights", ",".join(f"{member['weight']:g}" for member in members)]
    own = asked.get("weights", {}).get("model")
    words += ["--model-path", str(own)] if own is not None else []
    for key, usual in (("upscale", 2), ("strength", 1), ("identity_min", None)):
        words += [_flag(key), f"{pixels[key]:g}"] if pixels.get(key, usual) != usual else []
    words += [_flag(key) for key in ("aligned", "match_color") if pixels.get(key)]
    words += [_flag(pixels["mode"])] if pixels.get("mode", "standard") != "standard" else []
    machine = asked.get("hardware", {})
    for key in ("precision", "engine"):
        words += [_flag(key), str(machine[key])] if machine.get(key, "auto") != "auto" else []
    words += ["--compile"] if machine.get("compile") else []
    return (*words, *(f"restore.{key}={value}" for key, value in sorted(parameters.items())))


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def timed(record: RunRecord) -> RunRecord:
    """The run with seconds a photo: where the scores have none, from its record.

    Raises: GfpupError: neither has any, and the results are not another tool's.
    """
    if record.made_elsewhere:
        return record
    if any(score.key == SECONDS and score.value is not None for score in record.scores):
        return record
    found = []
    for photo in record.photos:
        score = seconds_score(photo.unshared_seconds)
        if photo.error is None and score.value is not None:
            found.append(replace(score, photo=photo.name))
    if not found:
        raise GfpupError(f"{record.folder} has no seconds, which the advice needs; restore its photos again with gfpup run.")
    return replace(record, scores=(*(s for s in record.scores if s.metric != "seconds"), *found))


def machine_of(hardware: Mapping[str, Any]) -> str:
    """A machine in words, from what a record says of it."""
    gpus = ", ".join(gpu["name"] for gpu in hardware.get("gpus", ()))
    return f"{hardware.get('cores', '?')} cores" + (f" and {gpus}" if gpus else "")


def fetch(experiment: str, uri: str | None, into: Path) -> list[Path]:
    """Bring record and scores of an experiment's tracked runs into folders below `into`, one each; returns the folders.

    Of an experiment with sweeps the last one's runs are taken, else all of it; runs without scores are passed over.

    Raises: GfpupError: the store cannot be used, or has no such experiment or no scored run in it.
    """
    from gfpup.tracking import store as tracking_store
    from gfpup.tracking.facts import COMPLETE
    from gfpup.tracking.target import shown

    uri = tracking_store.store_uri(uri)
    where = shown(uri)
    database = tracking_store.database(uri)
    if database is not None and not database.is_file():
        raise GfpupError(f"there is no store at {database}; track a run first: gfpup track out/, or give --tracking-uri.")
    if database is not None:
        tracking_store.follow_folder(database)
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
    folder = next(folder for n in count(1) if not (folder := into / (plain if n == 1 else f"{plain}-{n}")).exists())
    folder.mkdir(parents=True)
    return folder
