"""The contact sheet shows each version in its column, an even sample of many photos, and names that differ."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from gfpup.analysis.report.contact_sheet import ROWS_A_BLOCK, ROWS_SHOWN, chosen, contact_sheet
from gfpup.analysis.report.pictures import THUMBNAIL_PX, Picture, Views

GAP = 8
COLUMNS = {"before": "before", "run-0": "a run"}


def views(photo: str, *levels: int | None, height: int = 100) -> Views:
    pictures = {
        key: "none" if level is None else Picture("", (), Image.new("RGB", (THUMBNAIL_PX, height), (level, 0, 0)))
        for key, level in zip(COLUMNS, levels, strict=True)
    }
    return Views(photo, (THUMBNAIL_PX, height), (), pictures)


def sheet(rows: list[tuple[str, Views]], photos: int) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(contact_sheet(rows, COLUMNS, photos=photos))), np.int64)


def reds(pixels: np.ndarray, level: int) -> tuple[int, int, int, int]:
    """Where the red of a picture lies: left, top, right, bottom."""
    near = (np.abs(pixels[..., 0] - level) < 12) & (pixels[..., 1] < 40)
    # JPEG blurs edges, which pass through every red: only what has neighbours of the same red counts.
    rows, columns = np.nonzero(cv2.erode(near.astype(np.uint8), np.ones((3, 3))))
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def test_versions_stand_side_by_side_and_photos_below_one_another() -> None:
    pixels = sheet([("a.png", views("a", 120, 180)), ("b.png", views("b", 220, None, height=60))], 2)
    width, head, line = 2 * (THUMBNAIL_PX + GAP) + 2 * GAP, 2 * 19 + GAP, 19
    assert pixels.shape == (head + 100 + 60 + 2 * (line + GAP), width, 3)
    assert reds(pixels, 120) == pytest.approx((GAP, head, GAP + 199, head + 99), abs=3)
    assert reds(pixels, 180) == pytest.approx((2 * GAP + 200, head, 2 * GAP + 399, head + 99), abs=3)
    top = head + 100 + line + GAP
    assert reds(pixels, 220) == pytest.approx((GAP, top, GAP + 199, top + 59), abs=3)
    empty = pixels[top + 2 : top + 8, 2 * GAP + 210 : 2 * GAP + 390]
    assert abs(empty.mean() - 225) < 2, "what is missing is an empty cell"
    # JPEG blurs the edge; 225 becomes the paper's 250 between the last row of the cell and the next.
    levels = pixels[:, 2 * GAP + 300].mean(axis=1)
    assert levels[top + 57 : top + 60] == pytest.approx([225] * 3, abs=7) and levels[top + 61] > 238


def test_a_lower_picture_stands_in_the_middle_of_its_row() -> None:
    tall, low = views("a", 120, 180), views("a", 120, 180, height=40)
    mixed = Views("a", (1, 1), (), {"before": tall.pictures["before"], "run-0": low.pictures["run-0"]})
    _, top, _, bottom = reds(sheet([("a", mixed)], 1), 180)
    assert (top - 46, bottom - 46) == pytest.approx((30, 69), abs=3)


def test_many_photos_are_sampled_evenly_and_stand_in_blocks() -> None:
    names = [str(i) for i in range(4 * ROWS_SHOWN)]
    assert chosen(names) == names[::4] and chosen(names[:7]) == names[:7] and chosen([]) == []
    rows = [(str(i), views(str(i), 120, 180)) for i in range(ROWS_A_BLOCK + 2)]
    assert sheet(rows, 400).shape == (46 + 11 * (100 + 27), 2 * 432, 3)
    assert sheet(rows[:ROWS_A_BLOCK], 20).shape[1] == 432
    assert sheet([], 0).shape[:2] == (46, 432)


def test_long_names_are_cut_in_the_middle() -> None:
    def ink(name: str) -> np.ndarray:
        return sheet([(name, views("a", 120, 180))], 1)[46 + 101 :]

    long = "x" * 30 + "{}" + "y" * 60
    whole, other = ink(long.format("1" * 40)), ink(long.format("2" * 9))
    assert np.abs(whole - other).max() < 40, "what differs lies in the part that is left out"
    ends = [ink("x" * 120 + end) for end in ("1", "2")]
    assert np.abs(ends[0] - ends[1]).max() > 100, "the ends of names are shown"
    starts = [ink(start + "x" * 120) for start in ("1", "2")]
    assert np.abs(starts[0] - starts[1]).max() > 100
    right = np.nonzero(ink("x" * 300).min(axis=(0, 2)) < 128)[0].max()
    assert 380 < right <= GAP + 2 * (THUMBNAIL_PX + GAP) - GAP


def test_a_cut_name_keeps_as_much_of_its_beginning_as_of_its_end() -> None:
    def ink(name: str) -> np.ndarray:
        return sheet([(name, views("a", 120, 180))], 1)[46 + 101 :]

    plain = ink("x" * 100)
    seen = [np.abs(ink("x" * place + "1" + "x" * (99 - place)) - plain).max() > 100 for place in (24, 49, 75)]
    assert seen == [True, False, True]
