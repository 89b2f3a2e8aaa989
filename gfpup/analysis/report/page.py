"""The pages: photos as cards, charts and tables in sections, put into the template with its style and script."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final

from gfpup.analysis.report import charts, tables
from gfpup.analysis.report.data import Key, Subject
from gfpup.analysis.report.pictures import Box, Picture, Views

CHARTS_SHOWN: Final = 24
_ZOOM_WORTH: Final = 1.15
"""Below, a face fills its picture already, as aligned faces do, and a button that zooms to it would do nothing."""


def overview(subject: Subject) -> str:
    """The sections before the photos: what was run, scores, quality against seconds, how values are spread, failures."""
    keys = subject.keys
    parts = [section("runs", "Runs", tables.runs_table(subject) + _notes(subject))]
    if keys:
        details = tables.comparison_tables(subject)
        inside = _details("Each metric against the baseline", details) if details else ""
        inside += _details("Each photo", _photo_scores()) + _details(
            "How the values are spread over photos", _spreads(subject, keys)
        )
        parts.append(section("scores", "Scores", inside))
    seconds = subject.of(("seconds", "photo"))
    timed = [key for key in keys if any(line.on_front is not None for line in subject.of(key).values())]
    if timed:
        figures = "".join(
            _figure(_title(subject, key), charts.front(subject.of(key), seconds, [run.name for run in subject.runs]))
            for key in timed[:CHARTS_SHOWN]
        )
        said = "<p>Each numbered point is a run. The line joins the front: no other run is both as good and as fast.</p>"
        parts.append(section("front", "Quality against seconds", f'{said}<div class="charts">{figures}</div>'))
    count, failed = tables.failures(subject)
    lacking, missing = tables.gaps(subject)
    if count or lacking:
        folded = _details(f"What could not be measured ({lacking})", missing) if lacking else ""
        parts.append(section("failures", f"Failures and gaps ({count + lacking})", failed + folded))
    return "".join(parts)


def closing(subject: Subject) -> str:
    """The sections behind the photos: the plans and how to do it again."""
    again = "<p>Run in the folder where it was run first; what is done already is not done again.</p>"
    return section("plan", "Plan", tables.plans(subject)) + section(
        "command", "The command to repeat it", again + tables.commands(subject)
    )


def gallery(subject: Subject, columns: Mapping[str, str], cards: Iterable[str], *, heading: str, pages: str) -> str:
    """The section of the photos with the switches that hold for all of them."""
    options = [f'<option value="{name}">{escape(label)}</option>' for name, label in columns.items()]
    # The zero of every comparison would look like a slider that does nothing.
    telling = [i for i, run in enumerate(subject.runs) if run.document["plan"]["pixels"].get("backend") != "identity"]
    chosen = f"run-{(telling or [0])[0]}"
    right = "".join(option.replace(" value", " selected value", 1) if f'"{chosen}"' in option else option for option in options)
    bar = (
        '<div class="bar"><div role="group" aria-label="How photos are shown">'
        '<button type="button" data-mode="slider" aria-pressed="true">Slider</button>'
        '<button type="button" data-mode="grid" aria-pressed="false">Side by side</button></div>'
        f'<label class="pick">left <select id="left">{"".join(options)}</select></label>'
        f'<label class="pick">right <select id="right">{right}</select></label></div>'
    )
    help_text = (
        '<p class="help">Drag the line, or focus it and use the arrow keys. <kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> zoom, '
        "side by side all versions together; the arrow keys, with <kbd>Shift</kbd> on a slider, move what is zoomed.</p>"
    )
    return section(
        "photos", heading, f'{bar}{help_text}{pages}<div class="cards" data-mode="slider">{"".join(cards)}</div>{pages}'
    )


def card(subject: Subject, views: Views, columns: Mapping[str, str], number: int) -> str:
    """One photo: all its versions in one stage, which the style sheet lays over or beside one another."""
    name = subject.name(views.photo)
    width, height = views.size_wh
    panes = "".join(
        f'<div class="pane" data-column="{column}"><div class="world">{_inside(views.pictures[column], label, name)}</div>'
        f'<span class="tag">{escape(label)}</span></div>'
        for column, label in columns.items()
        if column in views.pictures
    )
    faces = [face for face in views.faces if min(0.7 / face[2], 0.7 / face[3]) > _ZOOM_WORTH]
    buttons = "".join(_face_button(at, face, name) for at, face in enumerate(faces, 1))
    return (
        f'<article class="card" id="photo-{number}"><h3>{escape(name)}</h3>{_said(subject, views.photo)}'
        f'<div class="stage" role="group" aria-label="{escape(name)}" style="--ratio:{width / height:.4f}">{panes}'
        '<input class="split" type="range" min="0" max="100" value="50" '
        f'aria-label="Slide between left and right of {escape(name)}">'
        '<span class="handle" aria-hidden="true"></span></div>'
        f'<div class="tools" role="group" aria-label="Zoom of {escape(name)}">{buttons}'
        '<button type="button" data-zoom="out" aria-label="zoom out">−</button>'
        '<button type="button" data-zoom="in" aria-label="zoom in">+</button>'
        '<button type="button" data-zoom="fit">whole</button></div></article>'
    )


def document(title: str, lead: str, sections: str, data: Mapping[str, Any] | None = None) -> str:
    """A whole page. Only its own script may run in it, and nothing may be fetched, whatever the texts in it say."""
    script = _part("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return Template(_part("report.html")).substitute(
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'",
        title=escape(title),
        lead=lead,
        style=_part("report.css"),
        sections=sections,
        data=json.dumps(data or {}, separators=(",", ":")).replace("<", "\\u003c"),
        script=script,
    )


def photo_data(subject: Subject, links: Mapping[str, str]) -> dict[str, Any]:
    """The scores of each photo for the page's script: photos with their links, and by metric a list a run, null for none."""
    metrics = []
    for key in subject.keys:
        by_run = [run.values(key) for run in subject.runs]
        values = [[_rounded(values.get(photo)) for photo in subject.photos] for values in by_run]
        metrics.append({"title": _title(subject, key), "values": values})
    return {
        "runs": [run.name for run in subject.runs],
        "photos": [[subject.name(photo), links[photo]] for photo in subject.photos] if metrics else [],
        "metrics": metrics,
    }


def section(name: str, heading: str, inside: str) -> str:
    """A section with its heading; the links at the top of the page are made of these."""
    title = f'<h2 id="{name}-heading">{escape(heading)}</h2>'
    return f'<section id="{name}" aria-labelledby="{name}-heading">{title}{inside}</section>'


@cache
def _part(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _inside(picture: Picture | str, label: str, name: str) -> str:
    if isinstance(picture, str):
        return f'<p class="gone">{escape(picture)}</p>'
    whole = f'<img src="{picture.uri}" alt="{escape(f"{name}, {label}")}" loading="lazy" decoding="async">'
    return whole + "".join(
        f'<img class="patch" src="{uri}" alt="" loading="lazy" decoding="async" style="{_place(box)}">'
        for box, uri in picture.patches
    )


def _place(box: Box) -> str:
    return ";".join(f"{side}:{100 * part:.4f}%" for side, part in zip(("left", "top", "width", "height"), box, strict=True))


def _face_button(at: int, face: Box, name: str) -> str:
    box = " ".join(f"{part:.4f}" for part in face)
    label = f"zoom to face {at} of {escape(name)}"
    return f'<button type="button" data-face="{box}" aria-pressed="false" aria-label="{label}">face {at}</button>'


def _said(subject: Subject, photo: str) -> str:
    """What a viewer should know of a photo: how many faces, and what runs had to say of it."""
    lines = [(run.name, run.lines[photo]) for run in subject.runs if photo in run.lines]
    counts = {len(line["faces"]) for _, line in lines if not line["error"]}
    faces = f"{' or '.join(map(str, sorted(counts)))} face{'s' * (counts != {1})}" if counts else "not restored"
    notes = []
    for run, line in lines:
        own = [line["error"]] if line["error"] else [*line.get("notes", ()), *line["warnings"]]
        own += [f"face {i + 1}: {face['reason']}" for i, face in enumerate(line["faces"]) if face["reason"]]
        notes += [f"<li>{escape(f'{run}: {note}' if len(subject.runs) > 1 else note)}</li>" for note in own]
    if not notes:
        return f'<p class="facts">{faces}</p>'
    plural = "s" * (len(notes) > 1)
    return f'<details class="facts"><summary>{faces}, {len(notes)} note{plural}</summary><ul>{"".join(notes)}</ul></details>'


def _notes(subject: Subject) -> str:
    parts = []
    if subject.comparison is not None:
        said = subject.comparison
        parts.append(
            f"Scores are means over the {said.photos} photos that the runs share, with {said.confidence:.0%} bootstrap "
            f"intervals over photos; what is better or worse is held against {said.baseline}, by paired sign-flip tests "
            f"corrected for {said.tests} comparisons."
        )
    elif subject.lines:
        parts.append("Scores are means over photos, with 95% bootstrap intervals over photos.")
    else:
        parts.append("There are no scores: gfpup score makes them.")
    parts += [f"{note}." if not note.endswith(".") else note for note in subject.notes]
    return f'<ul class="notes">{"".join(f"<li>{escape(part)}</li>" for part in parts)}</ul>'


def _photo_scores() -> str:
    return (
        '<div class="filter"><label>metric <select id="metric"></select></label>'
        '<label>photo <input id="filter" type="search" placeholder="part of a name"></label></div>'
        '<div class="scroll" role="region" tabindex="0" aria-label="Scores of each photo">'
        '<table id="photo-scores"><thead></thead><tbody></tbody></table></div><div class="pager" id="pager"></div>'
    )


def _spreads(subject: Subject, keys: Sequence[Key]) -> str:
    figures = []
    names = [run.name for run in subject.runs]
    for key in keys[:CHARTS_SHOWN]:
        by_run = {run.name: run.values(key) for run in subject.runs}
        values = {name: list(found.values()) for name, found in by_run.items()}
        photos = {name: [subject.name(photo) for photo in found] for name, found in by_run.items()}
        figures.append(_figure(_title(subject, key), charts.spread(values, names, photos)))
    more = len(keys) - CHARTS_SHOWN
    note = f"<p>{more} more metrics are in the tables only.</p>" if more > 0 else ""
    return f'<div class="charts">{"".join(figures)}</div>{note}'


def _figure(caption: str, chart: str) -> str:
    return f"<figure><figcaption>{escape(caption)}</figcaption>{chart}</figure>"


def _details(summary: str, inside: str) -> str:
    return f"<details><summary>{summary}</summary>{inside}</details>"


def _title(subject: Subject, key: Key) -> str:
    return tables.title(key, higher_is_better=next(iter(subject.of(key).values())).higher_is_better)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
