"""Scores of results that lie on disk already, without restoring them again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gfpup.core.errors import GfpupError
from gfpup.core.types import Score
from gfpup.evaluation import protocols
from gfpup.evaluation.metrics import POLYFORM, TO_INPUT, expand, facts
from gfpup.evaluation.scorer import Pictures, Scorer, load_scorer, notes
from gfpup.ops import geometry
from gfpup.photos import pairs, read_photo
from gfpup.records.items import Item, items_of_run
from gfpup.records.layout import DOCUMENT
from gfpup.records.run_record import RunRecord
from gfpup.records.scores import TABLE, is_cost, read, read_summary, write
from gfpup.records.written import file_kind
from gfpup.weights import licences
from gfpup.weights.catalogue import METRIC_FILES
from gfpup.weights.resolver import Resolver
from gfpup.weights.store import locate

if TYPE_CHECKING:
    from gfpup.evaluation.metrics.statistics import Statistics

_MEMORY: Final = "it is measured while photos are restored: ask for it with gfpup run --metrics fast"


@dataclass
class Result:
    """What came of scoring: `unscored` gives the reason for each photo without scores, `said` counts what was done to sizes."""

    rows: list[Score] = field(default_factory=list)
    photos: int = 0
    unscored: dict[str, str] = field(default_factory=dict)
    said: dict[str, int] = field(default_factory=dict)


def load_metrics(
    names: Sequence[str], resolver: Resolver, *, device: str = "cpu", statistics: Mapping[str, Statistics] | None = None
) -> Scorer:
    """Load the metrics `names` (presets allowed) from the files of `resolver`; one that is not available has its reason.

    `statistics`, by the protocol of their features, take the place of the reference faces.
    """
    own = {row.name for row in METRIC_FILES}

    def find(name: str) -> Path:
        if name in own:
            return locate(name, resolver.store)
        resolver.use_published(name, name)
        return resolver.paths[name]

    def allow(licence_id: str, what: str) -> None:
        licences.require_licence(licence_id, what=what, accepted=resolver.accepted)

    # What restoring needed of memory cannot be measured afterwards.
    wanted = [name for name in expand(names) if name != "peak_memory"]
    return load_scorer(wanted, find=find, device=device, allow=allow, statistics=statistics)


def score_items(items: Iterable[Item], scorer: Scorer, *, memory: bool = False) -> Result:
    """Score the photos one by one, then the set. `memory` says that peak memory was asked for, which is missing here."""
    if scorer.sets is not None:  # forget the faces of the run before; its network stays loaded
        scorer.sets = scorer.sets.emptied()
    result = Result()
    for item in items:
        result.photos += 1
        try:
            if item.refusal is not None:
                raise GfpupError(item.refusal)
            pictures = pictures_of(item)
        except GfpupError as error:
            result.unscored[item.name] = str(error)
            result.rows += scorer.unmeasured(item.name, str(error), referenced=item.referenced)
            continue
        for note in notes(pictures):
            result.said[note] = result.said.get(note, 0) + 1
        scores = [_explained(score, item, pictures, scorer) for score in scorer(pictures)]
        on_pixels = [score for score in scores if not is_cost(score.metric)]
        if on_pixels and all(score.value is None for score in on_pixels):
            result.unscored[item.name] = str(on_pixels[0].missing_reason)
        result.rows += scores
    result.rows += scorer.finish()
    if memory:
        result.rows.append(Score("peak_memory", None, False, _MEMORY))
    return result


def score_earlier(
    scorer: Scorer, record: RunRecord, *, seen: Collection[str], lacking: Collection[str]
) -> dict[str, list[Score]]:
    """Score the photos of a run that are `lacking` scores from their files; returns the scores of each.

    Those that `scorer` has not `seen` enter its metrics of the whole set. A GfpupError names a photo that cannot be read.
    """
    if scorer.sets is None and not lacking:
        return {}
    found = {}
    for item in items_of_run(record)[0]:
        if item.name in seen or item.refusal is not None:
            continue
        pictures = pictures_of(item)
        if item.name in lacking:
            found[item.name] = [_explained(score, item, pictures, scorer) for score in scorer(pictures)]
        else:
            scorer.remember(pictures)
    return found


def lacking_metrics(names: Sequence[str], resolver: Resolver) -> list[str]:
    """Of each of the metrics (presets allowed) that could not be computed here why not, as far as files and consents say."""
    own = {row.name for row in METRIC_FILES}
    found = []
    for name in expand(names):
        row = facts(name)
        try:
            if row.licence_id == POLYFORM:
                licences.require_licence(row.licence_id, what=f"the metric {name}", accepted=resolver.accepted)
            for weight in own.intersection(row.weights):
                locate(weight, resolver.store)
        except GfpupError as error:
            found.append(f"metric {name}: {error}")
            continue
        lacks = [resolver.store.missing(weight) for weight in row.weights if weight not in own]
        found += [f"metric {name}: {lack}" for lack in lacks if lack is not None]
    return found


def per_photo_metrics(names: Sequence[str]) -> list[str]:
    """Those of the metrics (presets allowed) of which every photo has a line."""
    return [name for name in expand(names) if facts(name).level not in ("set", "run")]


def has_run_scores(names: Sequence[str], rows: Sequence[Score]) -> bool:
    """Whether `rows`, the lines of a whole run, hold all metrics (presets allowed) that are of the whole run."""
    return {name for name in expand(names) if facts(name).level in ("set", "run")} <= {row.metric for row in rows}


def check_target(target: Path, folder: Path) -> None:
    """Refuse, with a GfpupError, to put the scores of `folder` into a folder that holds other results' scores."""
    if target.resolve() == folder.resolve():
        return
    if (target / DOCUMENT).exists():
        raise GfpupError(f"{target} is a run itself: give another --output for the scores of {folder}")
    before = read_summary(target).get("restored")
    if before is not None and before != str(folder.resolve()):
        raise GfpupError(f"{target} holds the scores of {before}: give another --output for those of {folder}")


def write_scores(
    target: Path,
    result: Result,
    *,
    resolver: Resolver,
    origin: Mapping[str, Path | None],
    statistics: Mapping[str, Statistics] | None = None,
) -> dict[str, Any]:
    """Write `scores.csv` and `scores.json`: metrics scored now replace their earlier lines, the others stay.

    The summary also says of each metric what computed it: implementation, weights with their SHA-256, licence, the
    `statistics` it was taken against, and the folders of `origin` ("restored", "reference", "input"). Returns the summary.
    """
    table = target / TABLE
    before = read(table) if table.exists() else []
    new = {row.metric for row in result.rows if (row.metric, row.missing_reason) != ("peak_memory", _MEMORY)}
    kept = [row for row in before if row.metric not in new]
    measured = any(row.metric == "peak_memory" for row in kept)
    rows = kept + [row for row in result.rows if row.metric in new or not measured]
    paths = {name: None if path is None else str(path.resolve()) for name, path in origin.items()}
    earlier = read_summary(target)
    renamed = {} if "protocols" in earlier else protocols.BEFORE
    computed = {renamed.get(name, name): said for name, said in earlier.get("computed", {}).items()}
    for metric in sorted(new):
        computed[metric] = computed_by(metric, resolver, statistics or {})
        computed[metric] |= {"reference": paths.get("reference"), "input": paths.get("input")}
    return write(target, rows, restored=paths.get("restored"), computed=computed)


def computed_by(metric: str, resolver: Resolver, statistics: Mapping[str, Statistics] | None = None) -> dict[str, Any]:
    """What computed a metric: the implementation, and the files with the hashes they have here."""
    row, store = facts(metric), resolver.store
    files = {name: resolver.paths.get(name) or store.present(name) for name in row.weights}
    weights = {name: store.digest(path) for name, path in files.items() if path is not None}
    features = protocols.FEATURES_OF.get(metric)
    taken = (statistics or {}).get(features or "")
    return {
        "implementation": row.implementation,
        "licence": row.licence_id,
        "weights": weights or list(row.weights),
        **({} if taken is None else {"statistics": taken.facts}),
    }


def pictures_of(item: Item) -> Pictures:
    """The pictures of a photo that has a result, read from its files; a GfpupError names one that cannot be read."""
    assert item.restored is not None
    restored = read_photo(item.restored).rgb8
    degraded, reference = (None if path is None else read_photo(path).rgb8 for path in (item.degraded, item.reference))
    if item.damage is not None and degraded is not None and item.degraded is not None:
        protocol, seed = item.damage
        degraded, made_from, _ = pairs.synthesise(degraded, protocol=protocol, seed=seed, name=item.degraded.name)
        reference = made_from if reference is None else reference
    degraded, reference = (None if it is None else geometry.turned_pixels(it, item.turned) for it in (degraded, reference))
    affines = item.affines
    if affines is None:
        side = geometry.CROP_PX
        h, w = (restored if degraded is None else degraded).shape[:2]
        affines = {0: geometry.resize_affine((h, w), (side, side))} if restored.shape[:2] == (side, side) else {}
    mean = None if item.posterior_mean is None else read_photo(item.posterior_mean).rgb8
    taken = {"photo": item.name, "taken_from": file_kind(item.restored)}
    return Pictures(restored, degraded, reference, affines=affines, stages=item.stages, posterior_mean=mean, **taken)


def _explained(score: Score, item: Item, pictures: Pictures, scorer: Scorer) -> Score:
    """A missing score with the reason that is known here, where the pictures alone do not tell it."""
    base = score.metric.removesuffix(TO_INPUT)
    if score.value is not None or base in scorer.missing:
        return score
    reason = item.no_seconds if score.metric == "seconds" else None
    if reason is None and facts(base).level == "faces" and not pictures.affines:
        reason = item.no_faces
    if score.metric.endswith(TO_INPUT) and pictures.degraded is None:
        reason = item.no_input
    return score if reason is None else replace(score, missing_reason=reason)
