"""gfpup from Python: load a method once, restore photos, score them, and start, read and compare runs.

    import gfpup

    restorer = gfpup.load("codeformer", fidelity=0.7)
    photo = gfpup.read_photo("old.jpg")
    result = restorer(photo)
    gfpup.write_photo("new.jpg", result)

Options are the words of `gfpup run`'s flags. The way from them to the pixels is that of a run, so the bytes are its bytes.
Every error that a user can put right is a `GfpupError`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from gfpup.core.errors import GfpupError, PhotoError
from gfpup.core.plan import Decision, Plan
from gfpup.core.types import Face, FaceResult, Photo, RestoredPhoto, Score
from gfpup.photos.coerce import Picture, as_photo, read_photo, write_photo
from gfpup.planning.options import Options, WeightOptions, settings_of
from gfpup.planning.settings import Settings
from gfpup.records.run_record import File, RunRecord, chosen, read_run, read_runs, read_scored
from gfpup.running.launch import run, sweep

if TYPE_CHECKING:
    from gfpup.analysis.compare import Comparison
    from gfpup.evaluation.scorer import Scorer as LoadedMetrics
    from gfpup.running.predict import PhotoRestorer
    from gfpup.weights.resolver import Resolver

__all__ = [
    "Decision",
    "Face",
    "FaceResult",
    "GfpupError",
    "Photo",
    "PhotoError",
    "Picture",
    "Plan",
    "RestoredPhoto",
    "Restorer",
    "RunRecord",
    "Score",
    "Scorer",
    "compare_runs",
    "load",
    "load_scorer",
    "plan",
    "read_photo",
    "read_run",
    "read_runs",
    "run",
    "score",
    "sweep",
    "track",
    "write_photo",
]


@dataclass(frozen=True, eq=False, repr=False)
class Restorer:
    """A loaded method: it restores one photo a call and keeps nothing of it. `plan` says what was decided, and why."""

    plan: Plan
    settings: Settings
    _restore: PhotoRestorer

    def __call__(self, photo: Picture) -> RestoredPhoto:
        """Restore one photo; the same photo gives the same pixels, whatever was restored before.

        `photo` is a `Photo`, the path of a file, or (h, w, 3) uint8 RGB pixels. The result's `pixels` are (h', w', 3) of the
        photo's dtype, its `faces` hold each face's aligned crop and restored `output`, (512, 512, 3) uint8, and say of a face
        that was left alone or failed why; `seconds` are by stage.

        Raises: PhotoError: this photo cannot be read or restored; others can.
        """
        import torch

        from gfpup.machine.allocator import is_out_of_memory, release_memory

        given = as_photo(photo)
        try:
            with _threads(self.plan.threads), torch.inference_mode():
                (result,) = self._restore([given])
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            release_memory(self.plan.device)
            raise PhotoError(f"{given.path} needs more memory than is free; load with a smaller upscale.") from error
        if self.settings.restore.aligned and result.faces[0].failed:
            raise PhotoError(f"{given.path}: {result.faces[0].reason}")
        return result

    restore = __call__

    def __repr__(self) -> str:
        return f"<Restorer {self.settings.backend.name} at {self.settings.restore.upscale:g}x on {self.plan.device}>"


@dataclass(frozen=True, eq=False)
class Scorer:
    """Loaded metrics. `missing` says of each metric that cannot be computed here why."""

    _metrics: LoadedMetrics = field(repr=False)
    _elsewhere: tuple[Score, ...] = ()

    @property
    def missing(self) -> dict[str, str]:
        return {**self._metrics.missing, **{row.metric: row.missing_reason or "" for row in self._elsewhere}}

    def __call__(
        self, restored: Picture, reference: Picture | None = None, *, degraded: Picture | None = None
    ) -> tuple[Score, ...]:
        """Score one photo and its faces, as a run does; a score has a `value`, or a `missing_reason` and never neither.

        A result of `Restorer` brings its input and its faces along. Of another picture `degraded` is the input, and one of
        512x512 pixels is its own face. Without a `reference`, metrics that need one are taken against the input and are
        called `psnr_to_input`: a good value then means that little was changed. `face` is the number of the face, or None.
        """
        from gfpup.evaluation.metrics.cost import unshared
        from gfpup.evaluation.scorer import Pictures, affines_of
        from gfpup.ops import geometry
        from gfpup.records.written import MEMORY, file_kind

        pixels = as_photo(restored).rgb8
        taken_from = file_kind(Path(restored)) if isinstance(restored, str | PathLike) else MEMORY
        truth = None if reference is None else as_photo(reference).rgb8
        before = None if degraded is None else as_photo(degraded).rgb8
        if isinstance(restored, RestoredPhoto):
            before = restored.photo.rgb8 if before is None else before
            stages = unshared(restored.seconds, restored.reused)
            pictures = Pictures(pixels, before, truth, affines_of(restored), stages=stages)
        else:
            side = geometry.CROP_PX
            h, w = (pixels if before is None else before).shape[:2]
            own = {0: geometry.resize_affine((h, w), (side, side))} if pixels.shape[:2] == (side, side) else {}
            pictures = Pictures(pixels, before, truth, own, taken_from=taken_from)
        return self._metrics(pictures) + self._elsewhere


def load(backend: str = "gfpgan", **options: Unpack[Options]) -> Restorer:
    """Load a method with all that it needs, downloading what is missing, and plan how it runs on this machine.

    `backend` is a name or an alias of `gfpup backends`. What the plan has to say beforehand comes as Python warnings.

    Raises:
        GfpupError: an unknown method or option, with the nearest one; an invalid value; weights or a consent that are
            missing.
    """
    settings = settings_of(backend, options)
    from gfpup.machine import hardware
    from gfpup.planning.missing import plan_or_name_missing
    from gfpup.running import components

    with _resolver(settings) as resolver:
        made, method = plan_or_name_missing(settings, hardware.probe(), resolver)
    with _threads(made.threads):
        people = components.load_people(settings, made, resolver)
        for sentence in (*made.warnings, *(() if people is None else people.sentences())):
            warnings.warn(sentence, stacklevel=2)
        resolver.mark_warnings_shown()
        return Restorer(made, settings, components.load(settings, made, method, resolver, people=people))


def plan(backend: str = "gfpgan", **options: Unpack[Options]) -> Plan:
    """What `load` would decide, without weights, consent or a download; `missing` names what it would lack.

    Raises: GfpupError: as `load`.
    """
    settings = settings_of(backend, options, dry_run=True)
    from gfpup.machine import hardware
    from gfpup.planning import planner

    with _resolver(settings) as resolver:
        return planner.make_plan(settings, hardware.probe(), resolver)[0]


def load_scorer(metrics: str | Sequence[str] = "fast", **options: Unpack[WeightOptions]) -> Scorer:
    """Load metrics by name, or a preset: "fast", "full". What is not available is missing from the scores, with its reason.

    Raises: GfpupError: no metric has one of the names, or an option is invalid.
    """
    from gfpup.evaluation.metrics import expand, facts
    from gfpup.machine import hardware
    from gfpup.records.rescore import load_metrics

    settings = settings_of("identity", options, WeightOptions)
    wanted = expand(metrics.split(",") if isinstance(metrics, str) else metrics)
    if not wanted:
        raise GfpupError(f"metrics={metrics!r} names no metric; give fast, full or names such as psnr,ssim.")
    of_runs = [facts(name) for name in wanted if facts(name).level in ("set", "run")]
    reason = "it is taken of a whole run, not of one photo: gfpup.run(..., metrics=...) measures it"
    elsewhere = tuple(Score(row.name, None, row.higher_is_better, reason) for row in of_runs)
    device = str(hardware.choose_device(settings.hardware.device, hardware.probe()).value)
    with _resolver(settings) as resolver:
        names = [name for name in wanted if facts(name) not in of_runs]
        return Scorer(load_metrics(names, resolver, device=device), elsewhere)


def score(
    restored: Picture,
    reference: Picture | None = None,
    *,
    metrics: str | Sequence[str] = "fast",
    degraded: Picture | None = None,
    **options: Unpack[WeightOptions],
) -> tuple[Score, ...]:
    """Score one picture; of many, `load_scorer` loads the metrics once. See `Scorer` for what is taken against what.

    Raises: GfpupError: no metric has one of the names, an option is invalid, or a file cannot be read.
    """
    return load_scorer(metrics, **options)(restored, reference, degraded=degraded)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with the plan's number of threads, on which the last bits depend, and give the caller back the former one."""
    import cv2
    import torch

    before, before_cv2 = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(before_cv2)


@contextmanager
def _resolver(settings: Settings) -> Iterator[Resolver]:
    """The weights that `settings` allow, with a bar on stderr while one is downloaded to somebody who watches."""
    from gfpup.planning.planner import open_resolver
    from gfpup.running.console import Downloads

    with Downloads(quiet=not sys.stderr.isatty()) as downloads:
        yield open_resolver(settings, progress=downloads)


def compare_runs(
    *runs: File | RunRecord,
    baseline: str | File | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    by: Sequence[str] = (),
    columns: File | None = None,
) -> Comparison:
    """Compare scored runs photo by photo; a sweep's folder stands for all runs in it.

    `baseline` is the name or the folder of the run that the others are held against, the first by default. Each line of the
    result has a mean with its interval at `confidence`, the difference to the baseline and whether it may be believed.
    `by` names facts of the photos, "face_px", "pose", "blur" or columns of the CSV file `columns`: the result's `slices` are
    then the differences within slices of the photos by them.

    Raises: GfpupError: fewer than two runs, no scores, nothing that all runs share, or an unknown fact.
    """
    from gfpup.analysis.compare import compare
    from gfpup.analysis.photo_facts import read_facts

    scored = read_scored([given.folder if isinstance(given, RunRecord) else Path(given) for given in runs])
    facts, notes = read_facts(scored, by, None if columns is None else Path(columns))
    found = compare(scored, baseline=chosen(scored, baseline), confidence=confidence, seed=seed, by=facts)
    return replace(found, notes=(*found.notes, *notes))


def track(folder: File, *, uri: str | None = None, experiment: str = "gfpup") -> list[str]:
    """Log a finished run, or a sweep's, to MLflow; returns the ids of its runs. What is there already is left alone.

    `uri` is a folder, `sqlite:///FILE` or a server's address; `mlruns/` by default.

    Raises: GfpupError: no finished run, or a store that cannot be used.
    """
    from gfpup.tracking import backfill
    from gfpup.tracking.store import store_uri
    from gfpup.tracking.target import Target

    return list(backfill.track_folder(Path(folder), Target(store_uri(uri), experiment)).runs.values())
