"""A trial: the page that asks people, and the key that says which picture is of which method."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from gfpup.analysis import web
from gfpup.analysis.vote import design
from gfpup.analysis.vote.methods import Method, Unit, read_methods, units_of
from gfpup.analysis.vote.pictures import Cutter
from gfpup.core.errors import GfpupError
from gfpup.core.files import file_text, write_atomic

PAGE: Final = "vote.html"
KEY: Final = "trial.json"
QUESTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "better": ("Which picture is better?", "Choose the one you would rather keep of this photo."),
    "same-person": ("Which picture shows the same person?", "Choose the one that looks more like the person in the input."),
}
"""What can be asked: the question, and what helps to answer it."""
PAGE_BYTES: Final = 24_000_000
"""The most that the pictures of a page may take before base64 adds a third; a phone still opens such a page."""
_DATA: Final = re.compile(r'<script id="data" type="application/json">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True)
class Contender:
    """A method in a trial: its `folder`, and when its run `started`, None where there is no record of one."""

    name: str
    folder: str
    started: str | None = None


@dataclass(frozen=True)
class VoteItem:
    """One comparison of a photo (by the name it is matched by) or a face of it.

    `a` and `b` are the numbers of the methods behind its pictures; `repeats` is the item asked again, None for one that counts.
    """

    photo: str
    face: int | None
    a: int
    b: int
    repeats: str | None = None


@dataclass(frozen=True)
class Trial:
    """The key of a trial, as `trial.json` holds it; `bytes` is the size of its page."""

    id: str
    questions: tuple[str, ...]
    show: str
    methods: tuple[Contender, ...]
    items: Mapping[str, VoteItem]
    bytes: int = 0

    @property
    def counted(self) -> dict[str, VoteItem]:
        """The items without the repeated ones."""
        return {name: item for name, item in self.items.items() if item.repeats is None}


def make_trial(
    given: Sequence[Path],
    output: Path,
    *,
    questions: Sequence[str] = tuple(QUESTIONS),
    show: str | None = None,
    pairs: int = 30,
    repeats: int | None = None,
    crop_px: int = 448,
    quality: int = 85,
    degraded: Path | None = None,
    seed: int = 0,
) -> Trial:
    """Write `vote.html` and `trial.json` into the folder `output`, of the runs, sweeps or folders of pictures in `given`.

    `pairs` bounds the comparisons of each question; see `design.choose` for which they are. `repeats` of them (by default one
    in eight, three at least) are asked a second time with sides swapped. Pictures have `crop_px` at the longer side.

    Raises: GfpupError: there is nothing to compare, the output holds votes of another trial, or the page would be too large.
    """
    if (output / "votes.csv").exists():
        raise GfpupError(f"{output} holds the votes of a finished trial: give another --output")
    methods = read_methods(given, degraded=degraded)
    shown, units = units_of(methods, show)
    rng = np.random.default_rng(seed)
    cutter = Cutter(methods, crop_px=crop_px, quality=quality)
    available = [(photo, [m for m, method in enumerate(methods) if method.has(photo)]) for photo, _ in units]

    def differ(unit: int, i: int, j: int) -> bool:
        return cutter.result(i, units[unit]) != cutter.result(j, units[unit])

    found = design.choose(available, len(methods), pairs, rng, accept=differ)
    again = max(3, round(len(found) / 8)) if repeats is None else repeats
    items = _items([(units[unit], i, j) for unit, i, j in found], again, rng)
    data = _page_data(items, cutter, questions, rng)
    html = _rendered(data, post_to=None)
    trial = Trial(data["trial"], tuple(questions), shown, tuple(map(_contender, methods)), items, len(html))
    write_atomic(output / KEY, file_text(json.dumps({"key": "keep this file from raters", **asdict(trial)}, indent=1) + "\n"))
    write_atomic(output / PAGE, html)
    return trial


def read_trial(folder: Path) -> Trial:
    """Read the key of a trial; a GfpupError where there is none, or it is damaged."""
    path = folder / KEY
    try:
        found = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
        items = {str(name): VoteItem(**item) for name, item in found["items"].items()}
        methods = tuple(Contender(**method) for method in found["methods"])
        return Trial(found["id"], tuple(found["questions"]), found["show"], methods, items, found["bytes"])
    except FileNotFoundError:
        raise GfpupError(f"there is no trial in {folder}: give the --output folder of gfpup vote with --trial") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GfpupError(f"{path} is not the key of a trial: make the trial again") from error


def page(folder: Path, *, post_to: str | None = None) -> bytes:
    """The page of the trial in a folder, as HTML.

    With `post_to`, an address on the server that serves the page, finished votes are also sent there: a POST request whose body
    is the CSV that the page offers for download.

    Raises: GfpupError: there is no trial in the folder.
    """
    try:
        html = (folder / PAGE).read_bytes()
    except OSError:
        raise GfpupError(f"there is no trial in {folder}: give the --output folder of gfpup vote") from None
    held = _DATA.search(html.decode())
    if held is None:
        raise GfpupError(f"{folder / PAGE} is not the page of a trial: make the trial again")
    return _rendered(json.loads(held[1]), post_to=post_to)


def _items(found: Sequence[tuple[Unit, int, int]], again: int, rng: np.random.Generator) -> dict[str, VoteItem]:
    """The items of a trial under names that say nothing, `again` of them twice; by chance a or b is the first method."""
    repeated = rng.permutation(len(found))[: min(again, len(found))].tolist()
    # A letter first: a spreadsheet takes 0012 and 12e45678 for numbers, and writes others.
    names = [f"i{number:08x}" for number in rng.choice(2**32, size=len(found) + len(repeated), replace=False).tolist()]
    sides = [(j, i) if rng.random() < 0.5 else (i, j) for _, i, j in found]
    made = [VoteItem(photo, face, a, b) for ((photo, face), _, _), (a, b) in zip(found, sides, strict=True)]
    made += [replace(made[at], repeats=names[at]) for at in repeated]
    return dict(zip(names, made, strict=True))


def _page_data(
    items: Mapping[str, VoteItem], cutter: Cutter, questions: Sequence[str], rng: np.random.Generator
) -> dict[str, Any]:
    """What the page holds: opaque names of items and pictures as data URIs, in an order that says nothing."""
    pictures: dict[bytes, None] = {}
    shown: dict[str, tuple[bytes | None, ...]] = {}
    for name, item in items.items():
        unit = item.photo, item.face
        shown[name] = cutter.result(item.a, unit), cutter.result(item.b, unit), cutter.degraded(unit)
        pictures |= dict.fromkeys(picture for picture in shown[name] if picture is not None)
    total = sum(map(len, pictures))
    if total > PAGE_BYTES:
        hint = "lower --pairs, --crop-px or --quality"
        raise GfpupError(f"the pictures would take {total / 1e6:.0f} MB of at most {PAGE_BYTES / 1e6:.0f} MB: {hint}")
    order = list(pictures)
    order = [order[i] for i in rng.permutation(len(order)).tolist()]
    place: dict[bytes | None, int | None] = {None: None, **{picture: i for i, picture in enumerate(order)}}
    listed = [
        {"id": name, "a": place[a], "b": place[b], "input": place[before], "repeats": items[name].repeats}
        for name, (a, b, before) in sorted(shown.items())
    ]
    uris = ["data:image/webp;base64," + base64.b64encode(picture).decode("ascii") for picture in order]
    asked = [{"id": name, "text": QUESTIONS[name][0], "hint": QUESTIONS[name][1]} for name in questions]
    content = json.dumps([listed, uris, asked], sort_keys=True).encode()
    return {"trial": f"t{hashlib.sha256(content).hexdigest()[:12]}", "questions": asked, "items": listed, "pictures": uris}


def _contender(method: Method) -> Contender:
    return Contender(method.name, str(method.folder.resolve()), method.started)


def _rendered(data: Mapping[str, Any], *, post_to: str | None) -> bytes:
    text = Markup(json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"))  # "</script>" must not end the script
    found = _environment()
    policy = Markup(found.globals["policy"]) + Markup("; connect-src 'self'" if post_to else "")
    return found.get_template("vote.html").render(data=text, policy=policy, post_to=post_to or "").encode()


@cache
def _environment() -> Environment:
    here = Path(__file__).parent
    return web.environment(here / "templates", styles=[here / "vote.css"], script=here / "vote.js")
