"""Reads checked values from a composed configuration, by their dotted keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfpup.core.errors import GfpupError
from gfpup.restoration.select import FaceChoice
from gfpup.weights import catalogue


class Reader:
    """Reads values by their dotted key and refuses each wrong one in the same words."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    def raw(self, key: str) -> Any:
        node: Any = self.config
        for part in key.split("."):
            if not isinstance(node, Mapping) or part not in node:
                raise GfpupError(f"{key} is not in the configuration any more; take back what replaced or removed it.")
            node = node[part]
        return node

    @staticmethod
    def refuse(key: str, value: Any, wanted: str) -> GfpupError:
        return GfpupError(f"{key}={value!r} means nothing; it takes {wanted}.")

    def optional(self, read: Any, key: str, *limits: float) -> Any:
        return None if self.raw(key) is None else read(key, *limits)

    def flag(self, key: str) -> bool:
        value = self.raw(key)
        if not isinstance(value, bool):
            raise self.refuse(key, value, "true or false")
        return value

    def number(self, key: str, low: float, high: float = float("inf")) -> float:
        value = self.raw(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.refuse(key, value, f"a number {_between(low, high)}")
        return float(value)

    def integer(self, key: str, low: int, high: float = float("inf")) -> int:
        value = self.raw(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refuse(key, value, f"a whole number {_between(low, high)}")
        return value

    def count(self, key: str) -> int | None:
        """A number of 1 or more, or None for "auto"."""
        value = self.raw(key)
        if value != "auto" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise self.refuse(key, value, "auto or a whole number of 1 or more")
        return None if value == "auto" else value

    def text(self, key: str, *, empty: bool = False) -> str:
        value = self.raw(key)
        if isinstance(value, bool | dict | list) or value is None or (not empty and str(value) == ""):
            raise self.refuse(key, value, "a text")
        return str(value)

    def words(self, key: str) -> tuple[str, ...]:
        value = self.raw(key)
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self.refuse(key, value, "a list of names")
        return tuple(value)

    def files(self, key: str) -> dict[str, Path]:
        files = {}
        for pair in self.words(key):
            name, _, path = pair.partition("=")
            if not name or not path:
                raise self.refuse(key, pair, "NAME=FILE, a checkpoint's name and your file for it")
            files[catalogue.find(name).name] = Path(path)
        return files

    def numbers(self, key: str) -> tuple[float, ...]:
        value = self.raw(key)
        if not isinstance(value, list) or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
            raise self.refuse(key, value, "a list of numbers")
        return tuple(float(v) for v in value)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.raw(key)
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list) or not value or any(v is None or isinstance(v, dict | list) for v in value):
            raise GfpupError("nothing to restore was named; give a photo, a folder or a pattern with --input.")
        return tuple(str(v) for v in value)

    def path(self, key: str) -> Path | None:
        return None if self.raw(key) is None else Path(self.text(key))

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.raw(key)
        if value not in allowed:
            raise self.refuse(key, value, "one of " + ", ".join(allowed))
        return str(value)

    def parameters(self) -> dict[str, Any]:
        """What the `restore` node holds beyond the settings that every run has; null is "not given"."""
        own = ("upscale", "aligned", "strength", "match_color")
        self.raw("restore.upscale")  # refuses a node that was replaced
        return {key: value for key, value in self.raw("restore").items() if key not in own and value is not None}

    def face_choice(self) -> FaceChoice:
        which = self.raw("faces.which")
        is_count = isinstance(which, int) and not isinstance(which, bool) and which > 0
        if which not in ("all", "largest", "center") and not is_count:
            raise self.refuse("faces.which", which, "all, largest, center or a number of faces")
        regions = self.raw("faces.leave_alone") or []
        if not isinstance(regions, list) or not all(_is_box(region) for region in regions):
            raise self.refuse("faces.leave_alone", regions, "boxes [x0,y0,x1,y1] in photo pixels, x0 < x1 and y0 < y1")
        return FaceChoice(
            which=which,
            min_px=self.number("faces.min_px", 0),
            min_eye_distance_px=self.number("faces.min_eye_distance_px", 0),
            min_score=self.number("faces.min_score", 0, 1),
            leave_alone=tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in regions),
        )


def _is_box(region: Any) -> bool:
    if not isinstance(region, list) or len(region) != 4:
        return False
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in region):
        return False
    return bool(region[0] < region[2] and region[1] < region[3])


def _between(low: float, high: float) -> str:
    return f"of {low:g} or more" if high == float("inf") else f"from {low:g} to {high:g}"
