"""The photos of a run as a Lightning data module: worker processes read and decode ahead of the restoring."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
from torch.utils.data import DataLoader, Dataset

from gfpup import photos
from gfpup.core.errors import GfpupError
from gfpup.core.types import Photo, UInt8
from gfpup.photos.opening import photo_sha256
from gfpup.photos.pairs import synthesise
from gfpup.running.lightning_import import lightning
from gfpup.running.process import leave_signals_to_parent, leave_with_parent


@dataclass(frozen=True)
class Task:
    """One photo to restore: where it lies, and the name (a path with `/`) of its result inside the output folder.

    `refusal` says why it cannot be restored, where that was known before the run. `reference` is its ground truth, `delivered`
    another tool's result. With a `damage` (protocol, seed) the file is itself the reference, and the photo to be restored is
    made from it. A `large` photo is decoded when its turn comes and not ahead, and shares its batch with no other.
    """

    path: Path
    name: str
    refusal: str | None = None
    reference: Path | None = None
    damage: tuple[str, int] | None = None
    delivered: Path | None = None
    large: bool = False


@dataclass(frozen=True, eq=False)
class Loaded:
    """A task's photo as read, or the reason why it cannot be; neither while a large photo waits for its turn."""

    task: Task
    photo: Photo | None
    sha256: str | None
    seconds: float
    reference: UInt8 | None = None
    error: str | None = None

    @property
    def waits(self) -> bool:
        """Whether `load` is still to be called, by the process that restores."""
        return self.photo is None and self.error is None


def load(task: Task) -> Loaded:
    """Read and decode one photo."""
    if task.refusal is not None:
        return Loaded(task, None, None, 0.0, error=task.refusal)
    began = time.perf_counter()
    sha256 = photo = reference = error = None
    try:
        photo = replace(photos.read_photo(task.path), delivered=task.delivered)
        sha256 = photo_sha256(task.path)  # after it was read: what is no photo may be gigabytes of something else
        if task.damage is not None:
            protocol, seed = task.damage
            degraded, reference, _ = synthesise(photo.rgb8, protocol=protocol, seed=seed, name=task.path.name)
            photo = replace(photo, pixels=degraded, alpha=None)
        elif task.reference is not None:
            reference = photos.read_photo(task.reference).rgb8
    except GfpupError as refusal:
        photo, reference, error = None, None, str(refusal)
    return Loaded(task, photo, sha256, time.perf_counter() - began, reference, error)


class _Batches(Dataset[list[Loaded]]):
    def __init__(self, tasks: Sequence[Task], size: int) -> None:
        self.batches = batches(tasks, size)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> list[Loaded]:
        return [Loaded(task, None, None, 0.0) if task.large else load(task) for task in self.batches[index]]


def batches(tasks: Sequence[Task], size: int) -> list[list[Task]]:
    """The tasks in their order, `size` to a batch, each large photo in one of its own."""
    found: list[list[Task]] = []
    for task in tasks:
        if found and not task.large and len(found[-1]) < size and not found[-1][0].large:
            found[-1].append(task)
        else:
            found.append([task])
    return found


class PhotoData(lightning.LightningDataModule):
    """Batches of `photo_batch` loaded photos, as lists, in the order of `tasks`.

    Where several ranks do the work, `share` says which of them are this one's; it is asked when the ranks have met.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        photo_batch: int,
        workers: int,
        *,
        share: Callable[[Sequence[Task]], Sequence[Task]] | None = None,
    ) -> None:
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True  # there may be fewer photos than ranks
        self.tasks = tasks
        self.photo_batch = photo_batch
        self.workers = workers
        self.share = share

    def setup(self, stage: str) -> None:
        if self.share is not None:
            self.tasks = self.share(self.tasks)
        # A worker costs a process; one photo has nothing to read ahead of.
        self.workers = max(0, min(self.workers, len(self.tasks) - 1))

    def predict_dataloader(self) -> DataLoader[list[Loaded]]:
        return DataLoader(
            _Batches(self.tasks, self.photo_batch),
            batch_size=None,
            num_workers=self.workers,
            collate_fn=list,
            worker_init_fn=_start_worker if self.workers else None,
            # In a process of joblib's the default is joblib's own way, which starts no workers.
            multiprocessing_context="fork" if self.workers and sys.platform == "linux" else None,
        )

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Leave the photos where they are: the stages move what they need."""
        return batch


def _start_worker(_: int) -> None:
    leave_signals_to_parent()
    cv2.setNumThreads(0)  # OpenCV's threads do not survive the fork
    leave_with_parent()
