"""The pages of a report: templates with their style and script, and what stands in each section."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment
from markupsafe import Markup

from gfpup.analysis import render, web
from gfpup.analysis.report import charts, tables
from gfpup.analysis.report.cards import SCORES_SHOWN, PhotoScores
from gfpup.analysis.report.data import Subject
from gfpup.analysis.shared import Key
from gfpup.core.files import printable

CHARTS_SHOWN: Final = 24
COLOURS: Final = 8
"""How many colours the style sheet has; runs are numbered too, so more of them stay apart."""
_HERE: Final = Path(__file__).parent
_EXPLANATION: Final = {
    True: "Photos on which the results differ most come first: by the mean absolute difference, in levels from 0 to 255, "
    "between the two results that differ most, over the whole photo or over the face where it is largest.",
    False: "Photos that changed most come first: by the mean absolute difference, in levels from 0 to 255, between before "
    "and after, over the whole photo or over the face where it is largest.",
}


def rendered(template: str, **context: Any) -> bytes:
    """A page in UTF-8. Only its own script may run in it, and nothing may be fetched, whatever the texts in it say."""
    return printable(_environment().get_template(template).render(context)).encode()


def sections(subject: Subject) -> dict[str, Any]:
    """What the sections of the report besides the photos show."""
    keys, seconds = subject.keys, subject.of(("seconds", "photo"))
    timed = [key for key in keys if any(line.on_front is not None for line in subject.of(key).values())]
    names = [run.name for run in subject.runs]
    return {
        "runs_table": tables.runs_table(subject),
        "notes": _notes(subject),
        "fronts": [charts.front(tables.title(subject, key), subject.of(key), seconds, names) for key in timed[:CHARTS_SHOWN]],
        "scored": bool(keys),
        "comparisons": tables.comparison_tables(subject),
        "distributions": [_distribution(subject, key) for key in keys[:CHARTS_SHOWN]],
        "not_drawn": max(0, len(keys) - CHARTS_SHOWN),
        "failures": tables.failures(subject),
        "failures_shown": tables.FAILURES_SHOWN,
        "gaps": tables.gaps(subject),
        "differing": tables.differing_settings(subject),
        "plans": tables.plans(subject),
        "commands": tables.commands(subject),
        "scoring": subject.scoring if len(subject.scoring) > 1 and not keys else (),
        "resumes": subject.noun == "run",
    }


def gallery(subject: Subject, scores: PhotoScores, columns: Mapping[str, str]) -> dict[str, Any]:
    """What the controls above the photos offer."""
    # A method that changes nothing would make a first slider that seems to do nothing.
    telling = [f"run-{i}" for i, run in enumerate(subject.runs) if run.pixels.get("backend") != "identity"]
    others = [name for name in columns if name != next(iter(columns))]
    return {
        "columns": columns,
        "right": next((name for name in telling if name in others), others[0] if others else "run-0"),
        "run_names": [run.name for run in subject.runs],
        "orders": scores.orders(),
        "scores_shown": SCORES_SHOWN,
        "explanation": _EXPLANATION[len(subject.runs) > 1],
    }


def photo_data(subject: Subject, scores: PhotoScores, links: Mapping[str, str]) -> Markup:
    """JSON for the page's script: photos with their links, and for each metric a list per run, null where there is no value."""
    metrics = []
    for key in scores.keys:
        rows = [scores.row(key, photo) for photo in subject.photos]
        metrics.append({"title": tables.title(subject, key), "values": list(zip(*rows, strict=True))})
    photos = [[subject.name(photo), links[photo]] for photo in subject.photos] if metrics else []
    data = {"runs": [run.name for run in subject.runs], "photos": photos, "metrics": metrics}
    return Markup(json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"))  # "</script>" must not end the script


@cache
def _environment() -> Environment:
    found = web.environment(_HERE / "templates", styles=[_HERE / "report.css"], script=_HERE / "report.js")
    found.globals |= {"size": charts, "colours": COLOURS, "zip": zip}
    return found


def _notes(subject: Subject) -> list[str]:
    if subject.comparison is not None:
        found = subject.comparison
        notes = [f"Scores are means over the {found.photos} photos that the runs share. {render.explanation(found)}"]
    elif subject.lines:
        notes = [f"Scores are means over photos. 95% CI: {render.BOOTSTRAP}."]
    else:
        several = len(subject.scoring) > 1
        notes = [f"There are no scores: {'the last commands compute' if several else f'{subject.scoring[0]} computes'} them."]
    return notes + [note if note.endswith(".") else f"{note}." for note in subject.notes]


def _distribution(subject: Subject, key: Key) -> charts.Chart:
    values = {run.name: {subject.name(photo): v for photo, v in run.values(key).items()} for run in subject.runs}
    return charts.distribution(tables.title(subject, key), values, list(values))
