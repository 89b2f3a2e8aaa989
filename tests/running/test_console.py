"""The closing words of a run: how many were restored, and every warning once with its photos."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from gfpup.records.photo_record import PhotoRecord
from gfpup.running import console


def facts(**changes: Any) -> dict[str, Any]:
    usual = {"status": "done", "photos": 9, "failed": 0, "faces": 9, "faces_restored": 9, "faces_failed": 0}
    usual |= {"faces_guarded": 0, "skipped": 0, "without_faces": 0, "seconds": 1.0, "reused": {}, "median_seconds": {}}
    return {**usual, "manifest": "out/manifest.json", **changes}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "9 of 9 photos restored"),
        ({"status": "failed", "failed": 1}, "8 of 9 photos restored, 1 failed"),
        ({"status": "failed", "faces_failed": 2}, "9 of 9 photos restored, 2 faces failed"),
        ({"photos": 1}, "1 of 1 photo restored"),
        ({"status": "interrupted"}, "interrupted: 9 of 9 photos restored"),
    ],
)
def test_a_run_is_summed_up_in_numbers(changes: dict[str, Any], said: str) -> None:
    assert console.headline(facts(**changes)) == said


def test_each_warning_is_printed_once_with_its_photos() -> None:
    lines = [PhotoRecord(f"{i}.jpg", warnings=("transparency was dropped",) * 2) for i in range(7)]
    lines[0] = replace(lines[0], warnings=("no face was found",))
    screen = io.StringIO()
    console.print_summary(facts(), lines, console=Console(file=screen, width=160))
    printed = screen.getvalue()
    assert printed.count("transparency was dropped") == 1
    assert "1.jpg, 2.jpg, 3.jpg, 4.jpg, 5.jpg and 1 more: transparency was dropped" in printed
    assert "0.jpg: no face was found" in printed


def test_a_run_is_summed_up_with_its_report_and_each_reason_once() -> None:
    reasons = {"no consent": 9}
    means = [
        {"metric": name, "level": level, "mean": mean, "n": n, "higher_is_better": True, "infinite": 0, "missing": missing}
        for name, level, mean, n, missing in (
            ("lpips", "photo", None, 0, reasons),
            ("niqe", "photo", None, 0, reasons),
            ("peak_memory", "run", 1.5e9, 1, {}),
        )
    ]
    screen = io.StringIO()
    changed = facts(manifest="my photos/out/manifest.json", scores=means)
    console.print_summary(changed, [], console=Console(file=screen, width=160))
    printed = screen.getvalue()
    assert "gfpup report 'my photos/out'" in printed and "1500 MB" in printed
    assert printed.count("no consent") == 1 and "lpips, niqe: 9 missing: no consent" in printed
