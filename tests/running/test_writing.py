"""Photos are written by one thread while the next are restored: in order, one batch behind, and no error is lost."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfpup import photos
from gfpup.core.errors import OutputError
from gfpup.core.types import Metadata, Photo, RestoredPhoto
from gfpup.running import photo_writer
from gfpup.running.data import Loaded, Task
from gfpup.running.photo_writer import Outcome, PhotoWriter
from gfpup.running.process import Interrupted

PATIENCE_SECONDS = 20.0


class Record:
    """Notes what is added and by which thread; waits for leave where it is told to, and fails at a name."""

    def __init__(self, *, fails_at: str | None = None) -> None:
        self.names: list[str] = []
        self.threads: set[str] = set()
        self.fails_at = fails_at
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.begun = threading.Event()

    def add(self, line: Mapping[str, Any]) -> None:
        self.begun.set()
        assert self.may_go_on.wait(PATIENCE_SECONDS)
        if line["name"] == self.fails_at:
            raise OutputError("the disk is full")
        self.names.append(line["name"])
        self.threads.add(threading.current_thread().name)


class Watcher:
    def __init__(self) -> None:
        self.heard: list[tuple[str, str, bool]] = []

    def photo_done(self, line: Mapping[str, Any], restored: RestoredPhoto | None) -> None:
        self.heard.append((line["name"], threading.current_thread().name, restored is not None))

    def run_done(self, document: Mapping[str, Any]) -> None:
        pass


def outcome(name: str) -> Outcome:
    pixels = np.full((8, 8, 3), 7, np.uint8)
    photo = Photo(Path(name), pixels, Metadata("PNG"))
    return Outcome(Loaded(Task(Path(name), name), photo, "0" * 64, 0.0), RestoredPhoto(photo, pixels, None, (), {}), None)


def writer_to(folder: Path, record: Any, *watchers: Watcher) -> PhotoWriter:
    return PhotoWriter(folder, record, photos.WriteOptions(), faces=None, observers=watchers)


def hand(writer: PhotoWriter, *names: str) -> None:
    writer.write_on_batch_end(None, None, [outcome(name) for name in names])


def test_everything_is_written_in_order_by_one_other_thread(tmp_path: Path) -> None:
    record, watcher = Record(), Watcher()
    names = [f"{i}.png" for i in range(7)]
    with writer_to(tmp_path, record, watcher) as writer:
        for name in names[:5]:
            hand(writer, name)
        hand(writer, *names[5:])
    assert record.names == names
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert [heard[0] for heard in watcher.heard] == names
    assert len(record.threads | {heard[1] for heard in watcher.heard}) == 1
    assert threading.current_thread().name not in record.threads
    assert not [thread for thread in threading.enumerate() if thread.name in record.threads]


def test_the_next_batch_is_restored_meanwhile_and_the_one_after_waits(tmp_path: Path) -> None:
    record = Record()
    record.may_go_on.clear()
    with writer_to(tmp_path, record) as writer:
        hand(writer, "first.png")  # returns although it is not recorded: the caller restores the second meanwhile
        assert record.begun.wait(PATIENCE_SECONDS)
        assert record.names == []
        handing = threading.Thread(target=hand, args=(writer, "second.png"))
        handing.start()
        handing.join(0.2)
        assert handing.is_alive(), "a second batch waits in memory beside the first"
        record.may_go_on.set()
        handing.join(PATIENCE_SECONDS)
        assert not handing.is_alive()
    assert record.names == ["first.png", "second.png"]


def test_a_large_photo_is_written_before_the_next_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_writer, "HELD_BYTES", 100)
    record = Record()
    with writer_to(tmp_path, record) as writer:
        hand(writer, "large.png")
        assert record.names == ["large.png"]


def test_what_cannot_be_recorded_stops_the_run_and_what_follows_is_dropped(tmp_path: Path) -> None:
    record, watcher = Record(fails_at="1.png"), Watcher()
    with pytest.raises(OutputError, match="the disk is full"), writer_to(tmp_path, record, watcher) as writer:
        for i in range(5):
            hand(writer, f"{i}.png")
    assert record.names == ["0.png"]
    assert [heard[0] for heard in watcher.heard] == ["0.png"]
    assert not (tmp_path / "2.png").exists()


@pytest.mark.parametrize("ends", ["with the loop", "with the block"])
def test_the_last_photo_fails_loudly_too(tmp_path: Path, ends: str) -> None:
    with pytest.raises(OutputError), writer_to(tmp_path, Record(fails_at="last.png")) as writer:
        hand(writer, "last.png")
        if ends == "with the loop":
            writer.on_predict_end(None, None)
            pytest.fail("the loop ended well although its last photo was not recorded")


def test_an_interruption_leaves_the_photo_in_hand_whole(tmp_path: Path) -> None:
    record = Record()
    record.may_go_on.clear()
    threading.Timer(0.2, record.may_go_on.set).start()
    with pytest.raises(Interrupted), writer_to(tmp_path, record) as writer:
        hand(writer, "in_hand.png")
        assert record.begun.wait(PATIENCE_SECONDS)
        raise Interrupted
    assert record.names == ["in_hand.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["in_hand.png"]


def test_photos_of_other_ranks_are_told_in_the_same_thread(tmp_path: Path) -> None:
    record, watcher = Record(), Watcher()
    with writer_to(tmp_path, record, watcher) as writer:
        hand(writer, "mine.png")
        writer.heard({"name": "theirs.png"}, None)
        hand(writer, "mine_too.png")
    assert [(name, there) for name, _, there in watcher.heard] == [
        ("mine.png", True),
        ("theirs.png", False),
        ("mine_too.png", True),
    ]
    assert {thread for _, thread, _ in watcher.heard} == record.threads
    assert record.names == ["mine.png", "mine_too.png"]
