"""Runs as a page to look at: one HTML file that needs no network, and a contact sheet beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from gfpup.analysis.report import contact_sheet, page
from gfpup.analysis.report.cards import PhotoScores
from gfpup.analysis.report.data import Folders, Subject, read_subject
from gfpup.analysis.report.pictures import Views, columns, differences, limits_for, views
from gfpup.core.files import address, write_atomic

REPORT: Final = "report.html"
CONTACT_SHEET: Final = "contact_sheet.jpg"
PHOTOS_A_PAGE: Final = 200


def write_report(runs: Sequence[Path], target: Path, *, baseline: str | None = None, folders: Folders | None = None) -> Path:
    """Write the report of `runs`, and of plain `folders` of pictures, to the HTML file `target`, and return it.

    Each of `runs` is the folder of a run, of a sweep, or of `gfpup score`. Beside the file go `contact_sheet.jpg` and, for more
    than `PHOTOS_A_PAGE` photos, a folder of further pages named after it. The others are compared with the run `baseline`, a
    name or a folder, by default the first.

    Raises:
        GfpupError: a folder holds neither a run nor scores, no run has ended, or `baseline` is none of them.
        OutputError: a file cannot be written.
    """
    subject = read_subject(runs, baseline=baseline, folders=folders)
    versions = columns(subject)
    seen = _seen_at_once(subject, len(versions))
    apart = {photo: found.apart for photo, found in seen.items() if found.apart is not None} if seen else differences(subject)
    scores = PhotoScores(subject, apart)
    gallery = page.gallery(subject, scores, versions)
    photos = scores.sorted_photos(next(iter(gallery["orders"].values()))[0])
    groups = [photos[i : i + PHOTOS_A_PAGE] for i in range(0, len(photos), PHOTOS_A_PAGE)] or [[]]
    files = _files(target, len(groups))
    on_sheet = set(contact_sheet.chosen(subject.photos))
    rows: dict[str, Views] = {}
    common = {"title": _title(subject), "gallery": gallery}
    # The report itself is written last, so that everything it links to exists.
    for i in reversed(range(len(groups))):
        limits = limits_for(len(groups[i]), len(versions))
        shown = [seen[photo] for photo in groups[i]] if seen else views(subject, groups[i], limits)
        cards = [scores.card(found) for found in shown]
        rows |= {card.views.photo: card.views for card in cards if card.views.photo in on_sheet}
        first = 1 + i * PHOTOS_A_PAGE
        heading = f"Photos {first} to {first + len(cards) - 1} of {len(photos)}" if len(groups) > 1 else "Photos"
        context = common | {"cards": cards, "heading": heading, "pages": _pages(files, i)}
        if i:
            write_atomic(files[i], page.rendered("photos.html", **context, report=f"../{address(target.name)}"))
        else:
            data = page.photo_data(subject, scores, _links(scores, groups, files))
            context |= page.sections(subject) | {"data": data, "lead": _lead(subject), "contact_sheet": CONTACT_SHEET}
            write_atomic(target, page.rendered("report.html", **context))
    sheet = [(subject.name(photo), rows[photo]) for photo in subject.photos if photo in rows]
    write_atomic(target.with_name(CONTACT_SHEET), contact_sheet.contact_sheet(sheet, versions, photos=len(photos)))
    return target


def _seen_at_once(subject: Subject, versions: int) -> dict[str, Views]:
    """All photos where they are on one page, so that each is read once; none where they are too many to hold."""
    if len(subject.photos) > PHOTOS_A_PAGE:
        return {}
    return {found.photo: found for found in views(subject, subject.photos, limits_for(len(subject.photos), versions))}


def _files(target: Path, pages: int) -> list[Path]:
    """The files of so many pages, the report first; further pages of an earlier report, which nothing would link to, go."""
    folder = target.with_name(f"{target.stem}_pages")
    for old in folder.glob("photos-*.html"):
        old.unlink()
    return [target, *(folder / f"photos-{i:03d}.html" for i in range(2, pages + 1))]


def _title(subject: Subject) -> str:
    several = len(subject.runs) > 1
    what = f"{len(subject.runs)} {subject.noun}s" if several else str(subject.runs[0].document["title"])
    return f"gfpup report: {_count(len(subject.photos), 'photo')}, {what}"


def _lead(subject: Subject) -> str:
    times = [run.document["started"] for run in subject.runs if run.document["started"]]
    if not times:
        return "Pictures of the same names, from folders."
    started = f"{min(times)[:16].replace('T', ' ')} UTC"
    faces = max(sum(len(photo.faces) for photo in run.lines.values()) for run in subject.runs)
    return f"{_count(faces, 'face')}, started {started}." if faces else f"Started {started}."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _links(scores: PhotoScores, groups: Sequence[Sequence[str]], files: Sequence[Path]) -> Mapping[str, str]:
    """Where each photo is shown, relative to the report."""
    pages = ["", *(address(f"{file.parent.name}/{file.name}") for file in files[1:])]
    return {photo: f"{at}#photo-{scores.numbers[photo]}" for at, group in zip(pages, groups, strict=True) for photo in group}


def _pages(files: Sequence[Path], current: int) -> list[str | None]:
    """The addresses of all pages relative to the current one, which has None; empty where there is only one."""
    inside = "" if current else f"{files[-1].parent.name}/"
    own = [f"../{files[0].name}", *(f"{inside}{file.name}" for file in files[1:])]
    return [None if i == current else address(path) for i, path in enumerate(own)] if len(files) > 1 else []
