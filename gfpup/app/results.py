"""A restored photo as HTML and pictures: before and after, its faces beside their inputs, and what was decided, in words."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image

from gfpup.app import pictures
from gfpup.app.desk import Attempt
from gfpup.app.texts import Texts
from gfpup.core.files import one_line
from gfpup.records.run_record import find_record

FACE_PX: Final = 320


def before_after(attempt: Attempt) -> tuple[Image.Image, Image.Image] | None:
    """The input and the result in one size; None where there is no result."""
    file, line = attempt.file, attempt.line
    if file is None or line is None:
        return None
    after = pictures.shown(file)
    before = pictures.shown(Path(line.input))
    if line.turned:
        before = before.rotate(-line.turned, expand=True)
    return before.resize(after.size, Image.Resampling.LANCZOS), after


def faces(attempt: Attempt, texts: Texts) -> str:
    """Each face of a photo, as it was and as it is, with what became of it."""
    line = attempt.line
    if line is None:
        return ""
    rows = []
    for i, face in enumerate(line.faces):
        pair = [attempt.job.output / f"faces/{line.name}/{i:02d}_{kind}.png" for kind in ("aligned", "restored")]
        images = "".join(
            f'<img src="{pictures.uri(pictures.shown(path), FACE_PX)}" alt="{html.escape(alt)}">'
            for path, alt in zip(pair, (texts.input, attempt.method), strict=True)
            if path.is_file()
        )
        text = texts.restored_face if face.restored else texts.failed_face if face.failed else texts.left_alone
        reason = f": {one_line(face.reason)}" if face.reason else ""
        caption = html.escape(text.format(n=i + 1, reason=reason))
        rows.append(f'<figure class="face"><div class="pair">{images}</div><figcaption>{caption}.</figcaption></figure>')
    return f'<div class="faces">{"".join(rows)}</div>' if rows else ""


def decided(attempt: Attempt, texts: Texts) -> str:
    """What was decided about a photo, each with its reason: by the plan, for this photo, and what went less than well.

    Of the plan, what a person with a photo asks about; the record has all.
    """
    record, line = find_record(attempt.job.output), attempt.line
    if record is None:
        return ""
    rows = [
        (texts.decisions[reason["setting"]], f"{_value(reason['value'])}: {reason['why']}")
        for reason in record.plan.get("reasons", ())
        if reason["setting"] in texts.decisions
    ]
    said = [] if line is None else [*line.notes, *line.warnings, *([line.error] if line.error else [])]
    said += list(record.plan.get("warnings", ()))
    terms = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(one_line(text))}</dd>" for name, text in rows)
    notes = "".join(f"<li>{html.escape(one_line(text))}</li>" for text in dict.fromkeys(said))
    return f'<dl class="decided">{terms}</dl>' + (f'<ul class="notes">{notes}</ul>' if notes else "")


def side_by_side(attempts: Sequence[Attempt], texts: Texts) -> str:
    """The results of one photo by several methods beside its input."""
    first = attempts[0].line if attempts else None
    if first is None or len(attempts) < 2:
        return ""
    found = [pictures.figure(pictures.shown(Path(first.input)), texts.input, side_px=640)]
    for attempt in attempts:
        if attempt.file is not None:
            found.append(pictures.figure(pictures.shown(attempt.file), attempt.method, side_px=640))
    return f'<div class="beside">{"".join(found)}</div>'


def _value(value: object) -> str:
    return "none" if value is None else str(value)
