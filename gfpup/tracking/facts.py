"""What is logged of a run in MLflow, computed from its record: parameters, metrics, tags, the data set, keys of pictures.

Nothing here imports MLflow. Metrics are named by what they are: `per_photo/psnr` and `per_photo_faces/psnr` are
series with a step a photo (a face's photo has the mean of its faces), `mean_photo/psnr` and `mean_faces/psnr` their means over
photos, `run/fid` is of the whole run, `infinite_photo/psnr` and `missing_photo/psnr` count what did not enter a mean, and
`count/...`, `median_seconds/...` tell of the run itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import statistics
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import cv2
import numpy as np

from gfpup.core.files import file_text, natural_key, printable
from gfpup.core.types import Pixels, Score, UInt8
from gfpup.photos.modes import rounded_to_8
from gfpup.records.photo_record import PhotoRecord
from gfpup.records.scores import RUN, grouped, per_photo, summarise

IDENTITY: Final = "gfpup.identity"
"""The tag that says which run of ours this is: by it no run is logged twice."""
COMPLETE: Final = "gfpup.complete"
"""The tag that a run gets when everything of it is there."""
VALUE_CHARACTERS: Final = 500
TAG_CHARACTERS: Final = 5000
DIGEST_CHARACTERS: Final = 32  # MLflow takes 36
SLUG_CHARACTERS: Final = 40

_NOT_IN_KEYS: Final = re.compile(r"[^A-Za-z0-9_\-./ ]+")


def identity(header: Mapping[str, Any]) -> str:
    """What makes a run this one and no other: its fingerprint, when it began, and what it was to do with which files."""
    asked = hashlib.sha256(json.dumps(header["configuration"], sort_keys=True, default=str).encode()).hexdigest()[:16]
    return f"{header['fingerprint']} {header['started']} {asked}"


def steps(names: Iterable[str], more: Iterable[str] = ()) -> dict[str, int]:
    """The step of each photo: its place in natural order, so that a photo has one step in all runs over the same photos.

    Names of `more` that are not among `names` come after them.
    """
    first = set(names)
    ordered = sorted(first | set(more), key=lambda name: (name not in first, natural_key(name), name))
    return {name: step for step, name in enumerate(ordered)}


def picture_key(name: str) -> str:
    """The key of a photo's pictures, the same in every run: its name in the letters that MLflow allows, and a hash of it."""
    plain = unicodedata.normalize("NFKD", os.path.splitext(name)[0]).encode("ascii", "ignore").decode()  # noqa: PTH122 (no path)
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-")[-SLUG_CHARACTERS:].strip("-")
    short = hashlib.sha256(file_text(name)).hexdigest()[:8]
    return f"{slug}-{short}" if slug else short


def shrunk(pixels: Pixels, image_px: int) -> UInt8:
    """Bring (h, w, 3) pixels to uint8 and, by area, to at most `image_px` on the longer side; never enlarged."""
    h, w = pixels.shape[:2]
    if (longest := max(h, w)) > image_px:
        size = (max(1, round(w * image_px / longest)), max(1, round(h * image_px / longest)))
        pixels = cast(Pixels, cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    # A copy in any case: what is logged later must not change, nor hold a whole photo in memory.
    return np.array(rounded_to_8(pixels), order="C")


def parameters(header: Mapping[str, Any]) -> dict[str, str]:
    """The resolved configuration, the plan and the weights' hashes, flat and of bounded length."""
    plan = header["plan"]
    decided = {key: plan[key] for key in ("device", "face_batch", "photo_batch", "workers", "threads") if key in plan}
    weights = {role: facts["sha256"] for role, facts in header.get("checkpoints", {}).items()}
    found: dict[str, str] = {}
    for prefix, group in (("", header["configuration"]), ("plan", {**decided, **plan["pixels"]}), ("weights", weights)):
        for key, value in _flat(group, prefix):
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            found[key_of(key)] = _bounded(text, VALUE_CHARACTERS)
    return found


def tags(header: Mapping[str, Any]) -> dict[str, str]:
    """Who, where, with which versions, and a description with the plan's reasons."""
    plan = header["plan"]
    lines = [
        f"**{header['title']}**",
        "",
        "    " + " ".join(header["argv"]),
        "",
        *(f"- {warning}" for warning in plan["warnings"]),
    ]
    lines += ["", "| setting | value | because |", "| --- | --- | --- |"]
    lines += [f"| {reason['setting']} | {reason['value']} | {reason['why']} |" for reason in plan["reasons"]]
    return {
        IDENTITY: identity(header),
        "gfpup.fingerprint": header["fingerprint"],
        "gfpup.started": header["started"],
        "mlflow.source.name": _bounded(" ".join(header["argv"]), VALUE_CHARACTERS),
        "mlflow.source.type": "LOCAL",
        "mlflow.note.content": _bounded("\n".join(lines), TAG_CHARACTERS),
        **({"mlflow.source.git.commit": header["commit"]} if header.get("commit") else {}),
        **{f"version.{key_of(name)}": str(version) for name, version in header["versions"].items()},
    }


def data_set(photos: Sequence[PhotoRecord]) -> tuple[str, str, str, str]:
    """The photos of a run as name, digest, source and profile: the digest depends on their bytes and on nothing else."""
    hashes = sorted(photo.input_sha256 or photo.name for photo in photos)
    digest = hashlib.sha256(file_text("\n".join(hashes))).hexdigest()[:DIGEST_CHARACTERS]
    folders = {os.path.dirname(photo.input) for photo in photos if photo.input}  # noqa: PTH120 (another machine's)
    try:
        folder = os.path.commonpath(folders) if folders else ""
    except ValueError:  # on several drives
        folder = ""
    name = re.split(r"[/\\]", folder)[-1] or "photos"
    return printable(name), digest, json.dumps({"uri": folder}), json.dumps({"num_photos": len(photos)})


def photo_metrics(seconds: Mapping[str, float], rows: Sequence[Score]) -> dict[str, float]:
    """The finite numbers of one photo: its scores, the means of its faces' scores, and its seconds."""
    found = grouped((f"per_photo{'' if row.face is None else '_faces'}/{row.metric}", row) for row in rows)
    metrics = {key: value for key, group in found.items() for value in per_photo(group).values()}
    metrics |= {f"per_photo_seconds/{stage}": float(value) for stage, value in seconds.items()}
    return {key_of(key): value for key, value in metrics.items()}


def run_metrics(photos: Sequence[PhotoRecord], rows: Sequence[Score]) -> dict[str, float]:
    """The numbers of the whole run: means of every metric, what is missing from them, counts, median seconds."""
    metrics: dict[str, float] = {}
    for fact in summarise(rows)["scores"]:
        level = fact["level"]
        if fact["mean"] is not None:
            metrics[f"run/{fact['metric']}" if level == "run" else f"mean_{level}/{fact['metric']}"] = fact["mean"]
        for what, count in (("infinite", fact["infinite"]), ("missing", sum(fact["missing"].values()) - fact["infinite"])):
            if count:
                metrics[f"{what}_{level}/{fact['metric']}"] = float(count)
    faces = [face for photo in photos for face in photo.faces]
    metrics |= {"count/photos": len(photos), "count/photos_failed": sum(photo.error is not None for photo in photos)}
    metrics |= {"count/faces": len(faces), "count/faces_restored": sum(face.restored for face in faces)}
    metrics |= {"count/faces_failed": sum(face.failed for face in faces)}
    stages = grouped(item for photo in photos for item in photo.seconds.items())
    metrics |= {f"median_seconds/{stage}": statistics.median(values) for stage, values in stages.items()}
    return {key_of(key): float(value) for key, value in metrics.items()}


def table(photos: Sequence[PhotoRecord], rows: Sequence[Score]) -> dict[str, list[Any]]:
    """A line a photo: its step, faces, error and each score, in pandas' "split" orientation that MLflow shows as a table."""
    of = grouped((f"{row.level}/{row.metric}", row) for row in rows if row.photo != RUN)
    values = {key: per_photo(group) for key, group in of.items()}
    by_name = {photo.name: photo for photo in photos}
    data = [
        [name, picture_key(name), len(by_name[name].faces), by_name[name].error, *(each.get(name) for each in values.values())]
        for name in steps(by_name)
    ]
    return {"columns": ["photo", "pictures", "faces", "error", *values], "data": data}


def key_of(text: str) -> str:
    """A name with the letters that MLflow allows in keys, of bounded length."""
    return _NOT_IN_KEYS.sub("_", text)[:200]


def _flat(group: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in group.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping) and value:
            yield from _flat(value, name)
        else:
            yield name, value


def _bounded(text: str, length: int) -> str:
    text = printable(text)
    return text if len(text) <= length else f"{text[: length - 1]}…"
