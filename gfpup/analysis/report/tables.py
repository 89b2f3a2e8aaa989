"""The tables of a report: runs and their scores, the comparison, failures, the plan and the commands. All text is escaped."""

from __future__ import annotations

import json
import shlex
import statistics
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

from gfpup.analysis.compare import Line, verdict
from gfpup.analysis.report.charts import COLOURS, number
from gfpup.analysis.report.data import Key, ReportedRun, Subject
from gfpup.evaluation.metrics import TO_INPUT
from gfpup.evaluation.metrics.cost import OUTSIDE, unshared
from gfpup.records.scores import RUN

FAILURES_SHOWN: Final = 1000


def title(key: Key, *, higher_is_better: bool) -> str:
    """A metric in words, with which way is better; against the input neither way is."""
    of = "" if key[1] == "photo" else f" of {key[1]}"
    if key[0].endswith(TO_INPUT):
        return f"{key[0]}{of}: {'higher' if higher_is_better else 'lower'} means less was changed"
    return f"{key[0]}{of}: {'higher' if higher_is_better else 'lower'} is better"


def runs_table(subject: Subject) -> str:
    """A row a run: what became of its photos and faces, and the mean of each metric with its interval."""
    keys = subject.keys
    compared = [] if subject.comparison is None else subject.comparison.metrics
    heads = [("run", "text"), ("photos", "number"), ("failed", "number"), ("faces", "number")]
    if ("seconds", "photo") not in keys:
        heads.append(("seconds a photo", "number"))
    heads += [(_short(key, subject.of(key)), "number") for key in keys]
    whole = list(dict.fromkeys(row.metric for run in subject.runs for row in run.rows if row.photo == RUN))
    heads += [(f"{metric} of the run", "number") for metric in whole]
    rows = []
    for where, run in enumerate(subject.runs):
        photos = run.document["photos"]
        faces = [face for photo in photos for face in photo["faces"]]
        lost = sum(photo["error"] is not None for photo in photos)
        restored = sum(face["restored"] for face in faces)
        cells = [_cell(_named(where, run.name), run.name), _cell(str(len(photos)), len(photos)), _cell(str(lost), lost)]
        cells.append(_cell(f"{restored} of {len(faces)}", restored))
        if ("seconds", "photo") not in keys:
            took = _seconds(run)
            cells.append(_cell("" if took is None else number(took), took))
        cells += [_mean(subject.of(key).get(run.name), compared=key in compared) for key in keys]
        for metric in whole:
            row = next((row for row in run.rows if (row.photo, row.metric) == (RUN, metric)), None)
            value = None if row is None else row.value
            cells.append(_cell("none" if value is None else number(value, metric), value))
        rows.append(cells)
    return table("runs", "Runs and their mean scores", heads, rows)


def comparison_tables(subject: Subject) -> str:
    """A table a metric, as `gfpup compare` prints it."""
    if subject.comparison is None:
        return ""
    base = subject.comparison.baseline
    heads = [("rank", "number"), ("run", "text"), ("mean", "number"), ("interval", "number"), (f"to {base}", "number")]
    heads += [("interval", "number"), ("p", "number"), ("wins", "number"), ("so it is", "text")]
    names = [run.name for run in subject.runs]
    parts = []
    for at, key in enumerate(subject.comparison.metrics):
        lines = subject.comparison.of(*key)
        rows = [[_cell(str(line.rank), line.rank), *_compared(line, names.index(line.run))] for line in lines]
        head = f"{title(key, higher_is_better=lines[0].higher_is_better)}, {lines[0].n} photos"
        parts.append(f"<h4>{escape(head)}</h4>{table(f'metric-{at}', head, heads, rows)}")
    return "".join(parts)


def _compared(line: Line, where: int) -> list[str]:
    p_value, interval = line.p_value, line.difference_interval
    return [
        _cell(_named(where, line.run), line.run),
        _cell(number(line.mean), line.mean),
        _cell(_interval(line.interval), None if line.interval is None else line.interval[0]),
        _cell("" if line.difference is None else number(line.difference, signed=True), line.difference),
        _cell("" if line.difference is None else _interval(interval, signed=True), None if interval is None else interval[0]),
        _cell("" if p_value is None else "&lt;0.001" if p_value < 0.001 else f"{p_value:.3f}", p_value),
        _cell("" if line.win_rate is None else f"{line.win_rate:.0%}", line.win_rate),
        _cell(escape(verdict(line) + (", on the front" if line.on_front else "")), verdict(line)),
    ]


def failures(subject: Subject) -> tuple[int, str]:
    """How many photos, faces and jobs failed, and the table that says which and why."""
    rows: list[Sequence[str]] = [(job, "", "job", error) for job, error in subject.lost_jobs]
    for run in subject.runs:
        for photo in run.document["photos"]:
            if photo["error"]:
                rows.append((run.name, photo["name"], "photo", photo["error"]))
            rows += [
                (run.name, photo["name"], f"face {i}", face["reason"] or "it failed")
                for i, face in enumerate(photo["faces"])
                if face["failed"]
            ]
    heads = [("run", "text"), ("photo", "text"), ("what", "text"), ("why", "text")]
    cells = [[_cell(escape(text), text) for text in row] for row in rows[:FAILURES_SHOWN]]
    more = len(rows) - FAILURES_SHOWN
    note = f"<p>And {more} more: the manifest.json of each run has all of them.</p>" if more > 0 else ""
    return len(rows), table("failed", "What failed and why", heads, cells) + note if rows else ""


def gaps(subject: Subject) -> tuple[int, str]:
    """How many metrics lack values, and the table that says of which runs, how many and why: a line a metric and reason."""
    missing: dict[tuple[str, str], dict[str, int]] = {}
    for run in subject.runs:
        for row in run.rows:
            if row.missing_reason is not None:
                of_run = missing.setdefault((row.metric, row.missing_reason), {})
                of_run[run.name] = of_run.get(run.name, 0) + 1
    rows = []
    for (metric, reason), of_runs in missing.items():
        every = len(of_runs) == len(subject.runs) > 1
        rows.append((f"all {len(of_runs)} runs" if every else ", ".join(of_runs), metric, str(sum(of_runs.values())), reason))
    heads = [("of", "text"), ("metric", "text"), ("values", "number"), ("missing because", "text")]
    cells = [[_cell(escape(text), text) for text in row] for row in rows]
    return len(rows), table("missing", "What could not be measured and why", heads, cells) if rows else ""


def plans(subject: Subject) -> str:
    """What the runs differ in, and of each run every decision with its reason."""
    parts = []
    settings = [_flat(run.document["plan"]["pixels"]) for run in subject.runs]
    differing = [
        name for name in dict.fromkeys(n for each in settings for n in each) if len({e.get(name) for e in settings}) > 1
    ]
    if differing:
        heads = [("run", "text"), *((name, "text") for name in differing)]
        rows = [
            [
                _cell(_named(where, run.name), run.name),
                *(_cell(escape(own.get(name, "")), own.get(name, "")) for name in differing),
            ]
            for where, (run, own) in enumerate(zip(subject.runs, settings, strict=True))
        ]
        parts.append(f"<p>The runs differ in:</p>{table('differ', 'Settings that differ', heads, rows)}")
    for where, run in enumerate(subject.runs):
        plan = run.document["plan"]
        rows = [
            [_cell(escape(text), text) for text in (reason["setting"], _said(reason["value"]), reason["why"])]
            for reason in plan["reasons"]
        ]
        inside = table(f"plan-{where}", f"Plan of {run.name}", [("setting", "text"), ("value", "text"), ("why", "text")], rows)
        warnings = "".join(f"<li>{escape(warning)}</li>" for warning in plan["warnings"])
        inside += f"<ul>{warnings}</ul>" if warnings else ""
        inside += f"<dl>{''.join(f'<dt>{escape(n)}</dt><dd>{escape(v)}</dd>' for n, v in _facts(run))}</dl>"
        is_open = " open" if len(subject.runs) == 1 else ""
        parts.append(f"<details{is_open}><summary>{_named(where, run.name)}</summary>{inside}</details>")
    return "".join(parts)


def commands(subject: Subject) -> str:
    """Each command line once, quoted for a shell, with the runs that came of it."""
    by_command: dict[str, list[str]] = {}
    for run in subject.runs:
        command = shlex.join(run.document["argv"])
        if "cwd" in run.document:
            command = f"cd {shlex.quote(run.document['cwd'])}\n{command}"
        by_command.setdefault(command, []).append(run.name)
    parts = []
    for command, names in by_command.items():
        note = f"<p>{escape(', '.join(names))}</p>" if len(by_command) > 1 else ""
        parts.append(f'{note}<pre class="command" tabindex="0"><code>{escape(command)}</code></pre>')
    return "".join(parts)


def table(name: str, caption: str, heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls in itself and can be sorted by each column; `rows` are cells, heads are text and kind."""
    cells = "".join(f'<th scope="col" data-kind="{kind}">{escape(text)}</th>' for text, kind in heads)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f'<table class="sortable" id="table-{name}"><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _named(where: int, name: str) -> str:
    return f'<span class="run colour-{where % COLOURS}"><b class="badge">{where + 1}</b> {escape(name)}</span>'


def _cell(inside: str, value: float | str | None) -> str:
    """A cell of HTML; what it is sorted by may be another text, or a number."""
    kind = ' class="number"' if isinstance(value, int | float) else ""
    return f'<td{kind} data-value="{"" if value is None else escape(str(value))}">{inside}</td>'


def _mean(line: Line | None, *, compared: bool) -> str:
    if line is None:
        return _cell("none", None)
    mean = number(line.mean)
    best = compared and line.rank == 1 and not line.metric.endswith(TO_INPUT)
    said = verdict(line) if compared else ""
    small = [escape(text) for text in ("" if line.interval is None else _interval(line.interval), said) if text]
    return _cell(f"{f'<b>{mean}</b>' if best else mean}{''.join(f'<small>{text}</small>' for text in small)}", line.mean)


def _short(key: Key, lines: dict[str, Line]) -> str:
    better = next(iter(lines.values())).higher_is_better
    arrow = "" if key[0].endswith(TO_INPUT) else " ↑" if better else " ↓"
    return f"{key[0]}{'' if key[1] == 'photo' else f' of {key[1]}'}{arrow}"


def _interval(interval: tuple[float, float] | None, *, signed: bool = False) -> str:
    return "none" if interval is None else f"[{number(interval[0], signed=signed)}, {number(interval[1], signed=signed)}]"


def _seconds(run: ReportedRun) -> float | None:
    """The mean time of a photo, counted as the metric of that name does."""
    stages = [unshared(photo["seconds"], photo.get("reused", {})) for photo in run.document["photos"]]
    took = [sum(v for stage, v in photo.items() if stage not in OUTSIDE) for photo in stages]
    return statistics.fmean(took) if took else None


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": _said(value)}
    return flat


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _facts(run: ReportedRun) -> list[tuple[str, str]]:
    document = run.document
    machine = document["hardware"]
    gpus = ", ".join(str(gpu.get("name", gpu)) if isinstance(gpu, dict) else str(gpu) for gpu in machine["gpus"])
    facts = [("started", document["started"]), ("ended", f"{document.get('finished', 'unknown')} ({document['status']})")]
    facts.append(("machine", f"{machine['cores']} cores, {machine['memory_bytes'] / 1e9:.0f} GB of memory, {gpus or 'no GPU'}"))
    facts.append(("versions", ", ".join(f"{name} {version}" for name, version in document["versions"].items())))
    facts.append(("commit", document["commit"] or "unknown"))
    facts += [(f"checkpoint {name}", f"{used['file']} ({used['sha256']})") for name, used in document["checkpoints"].items()]
    return facts + [(f"licence of {name}", licence) for name, licence in document["licences"].items()]
