"""Runs as a page to look at: one HTML file that needs no network, and a contact sheet beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import quote

from gfpup.analysis.report import contact_sheet, page
from gfpup.analysis.report.data import Subject, read_subject
from gfpup.analysis.report.pictures import Views, columns, limits_for, views
from gfpup.core.files import printable, write_atomic

REPORT: Final = "report.html"
CONTACT_SHEET: Final = "contact_sheet.jpg"
PHOTOS_A_PAGE: Final = 200


def write_report(runs: Sequence[Path], target: Path, *, baseline: str | None = None) -> Path:
    """Write the report of `runs`, each a run's folder or a sweep's, to the HTML file `target`, and return it.

    Beside it go `contact_sheet.jpg` and, for more than `PHOTOS_A_PAGE` photos, a folder of further pages named after it. The
    others are held against the run `baseline`, a name or a folder, by default the first.

    Raises:
        GfpupError: a folder is no run, none has ended, or `baseline` is none of them.
        OutputError: a file cannot be written.
    """
    subject = read_subject(runs, baseline=baseline)
    versions = columns(subject)
    groups = [subject.photos[i : i + PHOTOS_A_PAGE] for i in range(0, len(subject.photos), PHOTOS_A_PAGE)] or [()]
    folder = target.with_name(f"{target.stem}_pages")
    for old in folder.glob("photos-*.html"):
        old.unlink()  # of a report with more photos: nothing would lead to it
    files = [target, *(folder / f"photos-{i:03d}.html" for i in range(2, len(groups) + 1))]
    on_sheet = set(contact_sheet.chosen(subject.photos))
    rows: list[tuple[str, Views]] = []
    title = f"gfpup report: {_count(len(subject.photos), 'photo')}, {_runs(subject)}"
    # The report itself is written last, so that all it leads to is there.
    for i in reversed(range(len(groups))):
        limits = limits_for(len(groups[i]), len(versions))
        cards = []
        for at, seen in enumerate(views(subject, groups[i], limits), 1 + i * PHOTOS_A_PAGE):
            cards.append(page.card(subject, seen, versions, at))
            if seen.photo in on_sheet:
                rows.append((subject.name(seen.photo), seen))
        first = 1 + i * PHOTOS_A_PAGE
        heading = f"Photos {first} to {first + len(groups[i]) - 1} of {len(subject.photos)}" if len(groups) > 1 else "Photos"
        photos = page.gallery(subject, versions, cards, heading=heading, pages=_pages(files, i))
        if i:
            back = f'<p><a href="../{quote(os.fsencode(target.name))}">Back to the report</a></p>'
            html = page.document(f"{heading} · {title}", back, photos)
        else:
            data = page.photo_data(subject, _links(subject, files))
            html = page.document(title, _lead(subject), page.overview(subject) + photos + page.closing(subject), data)
        write_atomic(files[i], printable(html).encode())
    order = {subject.name(photo): at for at, photo in enumerate(subject.photos)}
    rows.sort(key=lambda row: order[row[0]])
    write_atomic(target.with_name(CONTACT_SHEET), contact_sheet.contact_sheet(rows, versions, photos=len(subject.photos)))
    return target


def _runs(subject: Subject) -> str:
    return subject.runs[0].document["title"] if len(subject.runs) == 1 else f"{len(subject.runs)} runs"


def _lead(subject: Subject) -> str:
    started = min(run.document["started"] for run in subject.runs)
    faces = max(sum(len(line["faces"]) for line in run.lines.values()) for run in subject.runs)
    counts = f"{len(subject.photos)} photos, {faces} faces, {escape(_runs(subject))}, begun {escape(started)}"
    return f'<p>{counts}. <a href="{CONTACT_SHEET}">Contact sheet</a></p>'


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _links(subject: Subject, files: Sequence[Path]) -> Mapping[str, str]:
    """Where each photo is shown, as seen from the report."""
    links = {}
    for at, photo in enumerate(subject.photos):
        i = at // PHOTOS_A_PAGE
        links[photo] = f"{quote(os.fsencode(f'{files[i].parent.name}/{files[i].name}')) if i else ''}#photo-{at + 1}"
    return links


def _pages(files: Sequence[Path], current: int) -> str:
    """Links to the other pages, as seen from this one."""
    if len(files) == 1:
        return ""
    parts = []
    for i, file in enumerate(files):
        if i == current:
            parts.append(f'<span aria-current="page">{i + 1}</span>')
            continue
        address = (f"{file.parent.name}/{file.name}" if current == 0 else file.name) if i else f"../{file.name}"
        parts.append(f'<a href="{quote(os.fsencode(address))}#photos">{i + 1}</a>')
    return f'<nav class="pages" aria-label="Pages of photos">{" ".join(parts)}</nav>'
