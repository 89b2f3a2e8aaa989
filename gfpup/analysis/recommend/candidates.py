"""Finished runs as candidates for advice: what each one is, from its record, in folders or in an MLflow experiment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from gfpup.analysis.recommend.guide import GB, commercial_use, guide
from gfpup.core.errors import GfpupError
from gfpup.evaluation.metrics.cost import seconds as seconds_score
from gfpup.evaluation.metrics.cost import unshared
from gfpup.models import backends
from gfpup.records.layout import DOCUMENT
from gfpup.records.run_record import RunRecord
from gfpup.records.scores import TABLE

SECONDS: Final = ("seconds", "photo")


@dataclass(frozen=True, eq=False)
class Candidate:
    """A finished run as one to take: its record, and what of it a method's command needs.

    Raises:
        GfpupError: the run is still going on, or its record does not say what it ran.
    """

    record: RunRecord

    def __post_init__(self) -> None:
        if "backend" not in self.record.ended().pixels:
            raise GfpupError(f"{self.record.folder} does not record its method: give the --output folder of gfpup run.")

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.record.name

    @property
    def backend(self) -> str:
        """The method."""
        return str(self.record.pixels["backend"])

    @property
    def members(self) -> tuple[str, ...]:
        """The methods of an ensemble."""
        return tuple(dict.fromkeys(member["backend"] for member in self.record.pixels.get("members", ())))

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of `gfpup run` that make what this run made, but for its photos and its folder."""
        return tuple(_flags(self.record.pixels, self.record.pixels.get("members", ()), self.record.configuration))

    @property
    def device(self) -> str:
        """The device it ran on."""
        return str(self.record.pixels.get("device", self.record.plan.get("device", "cpu")))

    @property
    def hardware(self) -> Mapping[str, Any]:
        """The machine it ran on."""
        return self.record.document.get("hardware") or {}

    @property
    def peak_gb(self) -> float | None:
        """The most memory it held, in GB."""
        peaks = [s.value for s in self.record.scores if s.metric == "peak_memory" and s.value is not None]
        return peaks[0] / GB if peaks else None

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


def timed(record: RunRecord) -> RunRecord:
    """The run with seconds a photo: where the scores have none, from its record.

    Raises:
        GfpupError: neither has any, and the results are not another tool's.
    """
    if record.pixels.get("backend") == "precomputed":
        return record
    if any((score.metric, score.level) == SECONDS and score.value is not None for score in record.scores):
        return record
    found = []
    for line in record.photos:
        score = seconds_score(unshared(line["seconds"], line.get("reused", {})))
        if line["error"] is None and score.value is not None:
            found.append(replace(score, photo=line["name"]))
    if not found:
        raise GfpupError(f"{record.folder} has no seconds, which the advice needs; restore its photos again with gfpup run.")
    return replace(record, scores=(*(s for s in record.scores if s.metric != "seconds"), *found))


def _flags(pixels: Mapping[str, Any], members: Sequence[Mapping[str, Any]], asked: Mapping[str, Any]) -> list[str]:
    words = ["--backend", str(pixels["backend"])]
    parameters = dict(pixels.get("parameters", {}))
    for member in members if pixels["backend"] == "ensemble" else ():
        parameters |= member["parameters"]
    words += [word for key in ("version", "fidelity") if key in parameters for word in (f"--{key}", str(parameters.pop(key)))]
    if members and pixels["backend"] == "ensemble":
        words += ["--ensemble-backends", ",".join(member["backend"] for member in members)]
        words += ["--ensemble-weights", ",".join(f"{member['weight']:g}" for member in members)]
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
    number = 1
    while (folder := into / (plain if number == 1 else f"{plain}-{number}")).exists():
        number += 1
    folder.mkdir(parents=True)
    return folder
