"""What differs between two recipes, in the words of the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

# fmt: off
FLAGS: Final[Mapping[str, str]] = {
    "backend": "--backend", "parameters.version": "--version", "parameters.fidelity": "--fidelity",
    "parameters.template": "restore.template", "parameters.smooth_small": "restore.smooth_small", "parameters.steps": "--steps",
    "results": "--restored",
    "dtype": "--precision", "engine": "--engine", "seed": "--seed", "device": "--device", "threads": "--threads",
    "upscale": "--upscale", "aligned": "--aligned", "strength": "--strength", "match_color": "--match-color",
    "keep_tone": "--keep-tone", "detector": "--detector", "detection_threshold": "--detection-threshold",
    "detect_size": "--detect-size", "turn": "--turn", "mask": "--mask", "identity_min": "--identity-min",
    "people.false_match": "--false-match", "background": "--background",
    "faces.which": "--faces", "faces.min_px": "--min-face", "faces.min_eye_distance_px": "--min-eye-distance",
    "faces.min_score": "--min-score", "faces.keep_large": "--keep-large-faces",
    "write.ext": "--ext", "write.suffix": "--suffix",
}
"""The flag of each value of a recipe, by its dotted key."""

WHOLE: Final[Mapping[str, str]] = {
    "damage": "the damage of --source synthetic", "mode": "--high-quality or --memory-efficient",
    "rules": "the rules of --auto", "members": "the methods of --auto or --ensemble-backends",
    "checkpoints": "the checkpoints", "tiles": "--tile or --tile-overlap",
    "faces.leave_alone": "--leave-alone", "faces.picked": "--pick-faces", "faces.persons": "--person",
    "people.photos": "the photos of --people", "write.metadata": "--strip-metadata",
    "write.mark": "the mark in XMP (--no-mark)",
}
"""What has no flag of its own, or no value that a person would recognise: these are only named."""
# fmt: on

OF_THE_METHOD: Final = ("parameters", "results", "rules", "members", "checkpoints")
"""What another method brings along."""


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A phrase for each setting that differs between the recipe of recorded results and that of a run."""
    left_out = OF_THE_METHOD if before.get("backend") != now.get("backend") else ()
    return list(_differing(_without(before, left_out), _without(now, left_out)))


def _without(recipe: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in recipe.items() if key not in keys}


def _differing(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name in dict.fromkeys((*before, *now)):
        key, old, new = f"{prefix}{name}", before.get(name), now.get(name)
        if old == new:
            continue
        if key in WHOLE:
            yield f"{WHOLE[key]} changed"
        elif isinstance(old or new, Mapping):
            yield from _differing(old or {}, new or {}, f"{key}.")
        else:
            yield f"{FLAGS.get(key, key.replace('parameters.', 'restore.'))} was {_said(old)} and is {_said(new)}"


def _said(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value) or "empty"
