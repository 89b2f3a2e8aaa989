"""Lightning's side of several ranks: who is which, how the photos are shared out, and waiting for each other at the end."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from gfpup.core.errors import GfpupError, OutputError
from gfpup.core.plan import Plan
from gfpup.records.manifest import Manifest
from gfpup.records.shards import Growth, Part
from gfpup.running.data import Task
from gfpup.running.distributed.processes import Crew
from gfpup.running.distributed.rank import Rank, found_environment
from gfpup.running.lightning_import import Callback, DDPStrategy, LightningEnvironment

WAIT = timedelta(days=1)
"""How long ranks wait for each other: rank 0 reads every photo of a resumed folder first, and shares are not equally long."""

LOOK_SECONDS = 0.2


class Started(LightningEnvironment):
    """The environment of ranks that gfpup starts: each is given its rank."""

    creates_processes_externally = True
    main_address = ""
    main_port = 0

    def __init__(self, rank: Rank) -> None:
        super().__init__()
        self.rank = rank
        self.main_address, self.main_port = rank.address, rank.port

    def local_rank(self) -> int:
        return self.rank.local_rank

    def node_rank(self) -> int:
        return self.rank.global_rank // self.rank.devices


@dataclass(eq=False)
class Team(Callback):
    """The ranks of a run as one of them sees them: a Lightning callback that shares out the photos and waits at the end.

    `record` is the whole record on rank 0, where `heard` is told of each photo that another rank has finished, and a part of it
    on the others.
    """

    rank: Rank
    record: Manifest | Part
    plan: Plan
    _: KW_ONLY
    crew: Crew
    heard: Callable[[Mapping[str, Any], None], None]

    def __post_init__(self) -> None:
        self._growth = Growth(self.record.folder) if isinstance(self.record, Manifest) else None
        self._group: Any = None
        self._on_sigterm: Any = None

    def trainer_arguments(self) -> dict[str, Any]:
        """What Lightning's trainer is told."""
        found = found_environment(devices=self.rank.devices, nodes=self.rank.nodes) if self.rank.external else None
        return {
            "devices": self.rank.devices,
            "num_nodes": self.rank.nodes,
            "strategy": DDPStrategy(timeout=WAIT),
            "plugins": [found or Started(self.rank)],
            # Its sampler repeats no photo, but it refuses fewer photos than ranks; `share` takes the same ones.
            "use_distributed_sampler": False,
        }

    def share(self, tasks: Sequence[Task]) -> Sequence[Task]:
        """This rank's part of rank 0's `tasks`: one list, made once, so that no photo is done twice and none is left out.

        Raises: GfpupError: this rank planned otherwise than rank 0: their results may not lie in one folder.
        """
        # Gloo on a GPU too: NCCL ends a process that waits too long, and waiting is what this group is for.
        self._group = dist.new_group(backend="gloo", timeout=WAIT)
        box: list[Any] = [(self.plan.recipe.facts(), list(tasks)) if self.rank.global_rank == 0 else None]
        dist.broadcast_object_list(box, src=0, group=self._group)
        recipe, everything = box[0]
        own = self.plan.recipe.facts()
        for key in recipe | own:
            if recipe.get(key) != own.get(key):
                said = f"{key} is {own.get(key)} here and {recipe.get(key)} there"
                hint = "set it for all of them, or use machines of one kind"
                raise GfpupError(f"{socket.gethostname()} plans otherwise than rank 0: {said}; {hint}.")
        if isinstance(self.record, Part):
            self.record.open()
        return list(everything[self.rank.global_rank :: self.rank.world_size])

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        torch.set_num_threads(self.plan.threads)  # Lightning has just set its own number
        self._on_sigterm = signal.getsignal(signal.SIGTERM)

    def on_predict_start(self, trainer: Any, pl_module: Any) -> None:
        # Lightning's handler broadcasts to ranks that may never have been told to end, and waits for them.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def on_predict_batch_end(self, *_: Any) -> None:
        self._look()

    def wait(self) -> None:
        """Wait until every rank has done its share and closed its part; the ranks are on their own again.

        Raises: OutputError: one of them ended before.
        """
        if isinstance(self.record, Part):
            self.record.close()
        try:
            work: Any = dist.barrier(group=self._group, async_op=True)
            while not work.is_completed():  # a plain wait would hear neither Ctrl-C nor a rank that ended
                self._look()
                time.sleep(LOOK_SECONDS)
            work.wait()
        except RuntimeError:
            time.sleep(LOOK_SECONDS)  # the connection breaks a moment before the process is gone
            self.crew.check()
            raise OutputError(
                f"rank {self.rank.global_rank} lost another before all photos were done; run the same command again to resume."
            ) from None
        self._look()
        dist.destroy_process_group()

    def _look(self) -> None:
        self.crew.check()
        for line in [] if self._growth is None else self._growth():
            self.heard(line, None)
