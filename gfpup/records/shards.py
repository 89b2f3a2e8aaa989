"""The record of a run that several ranks share: each writes a part, and the parts end in the one record of the folder.

A part has the files of a run: `.ranks/<rank>/manifest.jsonl`, and `scores.csv` where there are metrics. It is merged when its
rank has closed it, by the run it belongs to or, when that was killed, by the next one in the same folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gfpup.core.errors import GfpupError
from gfpup.records.layout import LINES, PARTS
from gfpup.records.manifest import Manifest, append, take, writing
from gfpup.records.run_record import parse_lines, read_lines

if TYPE_CHECKING:
    from gfpup.records.scores import ScoreWriter


class Part:
    """What one rank records. `open` it when rank 0 has the folder in order; a context manager, which closes it."""

    def __init__(self, output: Path, rank: int) -> None:
        self.rank = rank
        self.output = output
        self.folder = output / PARTS / str(rank)
        self._open = ExitStack()
        self._lines: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def open(self) -> None:
        """Begin the part; a GfpupError where the same rank of another run writes it."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = take(self.folder, f"another rank {self.rank} is writing to {self.output}; wait for it, or end it.")
            self._open.callback(lock.release)
            self._lines = self._open.enter_context((self.folder / LINES).open("ab"))

    def add(self, line: Mapping[str, Any]) -> None:
        """Record one photo; the line is on the disk when this returns."""
        append(self._lines, [line], path=self.folder / LINES)

    def close(self) -> None:
        """End the part: from now on it may be merged."""
        self._open.close()


def absorb(manifest: Manifest, before: Callable[[Path, Sequence[Mapping[str, Any]]], None]) -> None:
    """Bring every part that is closed into the open `manifest`; `before(folder, lines)` sees it while it is still there."""
    folder = manifest.folder / PARTS
    for part in sorted(folder.glob("*")):
        try:
            lock = take(part, f"rank {part.name} is still writing to {part}")
        except GfpupError:
            continue  # a rank that does not know yet that its run has ended; the next run merges it
        with writing(part):
            lines = list(read_lines(part / LINES).photos.values())
            before(part, lines)
            manifest.add(*lines)
            (part / LINES).unlink(missing_ok=True)
            lock.release()
            shutil.rmtree(part)
    with suppress(OSError):  # none was there, or one is still held
        folder.rmdir()


class Growth:
    """What the parts below an output folder have gained since it was last asked, for those who watch a run go on."""

    def __init__(self, output: Path) -> None:
        self.folder = output / PARTS
        self._read: dict[Path, int] = {}

    def __call__(self) -> list[dict[str, Any]]:
        """The lines that are new, each once."""
        new = []
        for path in sorted(self.folder.glob(f"*/{LINES}")):
            with suppress(OSError), path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                data = file.read()
                whole = data[: data.rfind(b"\n") + 1]
                self._read[path] = file.tell() - len(data) + len(whole)
                new += parse_lines(whole, path)
        return new


def merge(manifest: Manifest, scores: ScoreWriter | None) -> None:
    """Bring what the other ranks recorded into the manifest and the scores of this folder."""
    from gfpup.records.scores import TABLE, ScoreWriter, by_photo, read

    def keep_scores(folder: Path, lines: Sequence[Mapping[str, Any]]) -> None:
        if (folder / TABLE).exists():
            writer = scores or ScoreWriter(manifest.folder)
            scored = by_photo(read(folder / TABLE))
            for name in (line["name"] for line in lines if line["name"] in scored):
                writer.keep(name, scored[name])

    absorb(manifest, keep_scores)
