"""The results as Markdown, for experiments/014-gpu/README.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def summary(results: Path) -> str:
    """Tables of a results.jsonl, after a line for each step."""
    rows = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    parts = [f"- {row['step']}: {row['seconds']} s{_bold(row['error'])}" for row in rows if row.get("end")]
    for steps, part in PARTS:
        of = [row for row in rows if row["step"] in steps and not row.get("end")]
        parts += ["", *part(of)] if of else []
    return "\n".join(parts) + "\n"


def _bold(text: str | None) -> str:
    return "" if text is None else f", **{text}**"


def goldens(rows: list[Row]) -> Iterable[str]:
    """What is wrong, and then the difference of every output."""
    wrong = [row for row in rows if row["result"] == "failed"]
    right = [row for row in rows if row["result"] == "ok" and row.get("difference") is not None]
    yield f"Goldens: {len(right)} outputs right, {len(wrong)} checks failed."
    yield from (f"- **{row['network']}, {row['check']}**: {row['detail']}" for row in wrong)
    yield from plain("network", "check", "difference", "tolerance")(right)


def plain(*keys: str) -> Callable[[list[Row]], list[str]]:
    """A table of these keys."""
    return lambda rows: table(keys, ([megabytes(row.get(key)) for key in keys] for row in rows))


def forwards(rows: list[Row]) -> list[str]:
    """A row for each method, mode, precision and batch."""
    cells = []
    for row in rows:
        named = [row.get("backend"), f"{row.get('side')} {row['engine']}", row.get("precision"), row.get("batch")]
        if row.get("error"):
            cells.append([*named, row["error"], None, None, None])
            continue
        milliseconds = [row[key]["median"] * 1e3 for key in ("wall", "queued")]
        cells.append([*named, *milliseconds, row["faces_a_second"], megabytes(row["device_peak"])])
    return table(("backend", "mode", "precision", "batch", "ms", "queued, ms", "faces a second", "peak MB"), cells)


def photos(rows: list[Row]) -> Iterable[str]:
    """The photo's seconds by where it was pasted, and how far the pastes are apart."""
    cells, apart = [], []
    for row in rows:
        size = "x".join(map(str, row["size"]))
        if "wall" in row:
            cells.append([size, row["faces"], row["background"], row["paste"], row["wall"]["median"], stages(row)])
        else:
            apart.append(f"- {size}, {row['faces']} faces: the device's paste differs by {row.get('levels')} levels of 255")
    return [*table(("photo", "faces", "background", "paste", "seconds", "stages"), cells), *apart]


def folder(rows: list[Row]) -> Iterable[str]:
    """The rate and the seconds of each stage."""
    for row in rows:
        rate = f"{row['faces']} faces in {row['wall']:.1f} s, **{row['faces_a_second']:.1f} a second**"
        yield f"- folder, {row['ext']}: {rate}; {stages(row)}"


def official(rows: list[Row]) -> Iterable[str]:
    """How many times as fast as the official loop."""
    for row in rows:
        said = row["error"] if row.get("error") else f"**{row['speedup']:.2f}x** the official loop"
        yield f"- {row['what']}, {row['precision']}: {said}"


PARTS: tuple[tuple[tuple[str, ...], Callable[[list[Row]], Iterable[str]]], ...] = (
    (("goldens",), goldens),
    (("batch_tolerance",), plain("backend", "precision", "batch", "levels", "changed", "repeats")),
    (
        ("memory",),
        plain("backend", "precision", "batch", "predicted_weights", "weights", "predicted_forward", "forward", "error"),
    ),
    (("forwards", "compiled"), forwards),
    (("photo",), photos),
    (("folder",), folder),
    (("official",), official),
)


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(cell(each) for each in row) + " |" for row in rows]
    return ["", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), *lines, ""]


def cell(value: Any) -> str:
    """A number in three digits, another value as it is."""
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def megabytes(value: Any) -> Any:
    """Bytes as "416 MB"; what is too small to be bytes stays as it is."""
    return f"{value / 1e6:.0f} MB" if isinstance(value, int) and value > 10_000 else value


def stages(row: Row) -> str:
    """The seconds of each stage in a row."""
    return ", ".join(f"{name} {seconds:.3g}" for name, seconds in row["stages"].items())
