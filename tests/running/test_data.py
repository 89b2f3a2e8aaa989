"""Photos are loaded in their order, large ones one at a time and when their turn comes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pictures import save

from gfpup.running.data import PhotoData, Task, batches


def tasks(*large: bool) -> list[Task]:
    return [Task(Path(f"{i}.png"), f"{i}.png", large=each) for i, each in enumerate(large)]


def sizes(size: int, *large: bool) -> list[int]:
    made = batches(tasks(*large), size)
    assert [task for batch in made for task in batch] == tasks(*large)
    return [len(batch) for batch in made]


def test_large_photos_share_no_batch() -> None:
    assert sizes(4) == []
    assert sizes(2, False, False, False) == [2, 1]
    assert sizes(4, False, False, True, False, True, True) == [2, 1, 1, 1, 1]
    assert sizes(1, True, False) == [1, 1]


def test_large_photos_are_not_decoded_ahead(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.zeros((9, 9, 3), np.uint8))
    todo = [Task(tmp_path / "a.png", "a.png"), Task(tmp_path / "a.png", "b.png", large=True)]
    data = PhotoData(todo, photo_batch=4, workers=0)
    data.setup("predict")
    (first,), (second,) = data.predict_dataloader()
    assert (first.waits, second.waits) == (False, True)
    assert first.photo is not None and second.photo is None
