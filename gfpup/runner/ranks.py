"""The ranks of a run: how many processes share the photos, which of them this one is, and how their records become one.

Rank 0 is the run: it holds the folder, finds the photos, talks to the screen and writes the manifest. The others restore
their share into a part of the record (`gfpup.observers.parts`) and are silent but for errors. Lightning's DDP strategy brings
them together (`gfpup.runner.team`); all of them see the same folders.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gfpup import hardware
from gfpup.errors import GfpupError, OutputError
from gfpup.settings import Settings
from gfpup.types import Reason

if TYPE_CHECKING:
    from gfpup.observers.manifest import Manifest
    from gfpup.observers.scores import ScoreWriter
    from gfpup.runner.request import Prepared

GRACE_SECONDS = 30.0
"""How long a run may take to notice that one of its ranks is gone: a photo may be in the making."""

LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Place:
    """Which rank of how many this process is. `address` and `port` are where rank 0 is met by ranks that gfpup starts.

    `external`: srun, torchrun or the user starts all ranks, and Lightning's own environment says which one this is.
    """

    rank: int = 0
    local_rank: int = 0
    devices: int = 1
    nodes: int = 1
    ddp: bool = False
    external: bool = False
    address: str = "127.0.0.1"
    port: int = 0

    @property
    def world(self) -> int:
        """The number of ranks."""
        return self.devices * self.nodes

    @property
    def neighbours(self) -> int:
        """How many ranks share this process's share of the machine: Slurm gives each task cores of its own."""
        return 1 if self.external and "SLURM_PROCID" in os.environ else self.devices

    @property
    def reason(self) -> Reason:
        """The line of the plan."""
        who = "started by another program" if self.external else "started by gfpup"
        return Reason("ranks", self.world, f"asked for: {self.devices} on each of {self.nodes} machines, {who}")


def find_place(settings: Settings) -> Place:
    """Find out which rank this process is.

    Raises:
        GfpupError: the machine has not what was asked for, or those who started the ranks say something else.
    """
    if settings.devices == 1 and settings.num_nodes == 1 and settings.strategy == "auto":
        return Place()
    devices, nodes = _devices(settings), settings.num_nodes
    if devices * nodes == 1 and settings.strategy == "auto":
        return Place()
    from gfpup.runner import team

    environment = team.found_environment(devices=devices, nodes=nodes)
    if environment is not None:
        node, local_rank = environment.node_rank(), environment.local_rank()
        return Place(node * devices + local_rank, local_rank, devices, nodes, ddp=True, external=True)
    if nodes == 1:
        return Place(0, 0, devices, nodes, ddp=True, port=team.free_port())
    try:
        node = int(os.environ["NODE_RANK"])
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    except (KeyError, ValueError):
        raise GfpupError(
            f"--num-nodes {nodes} wants the same command on each machine with MASTER_ADDR, MASTER_PORT and NODE_RANK set, "
            "or srun, which sets its own."
        ) from None
    return Place(node * devices, 0, devices, nodes, ddp=True, address=address, port=port)


def _devices(settings: Settings) -> int:
    """The ranks on each machine."""
    machine = hardware.probe()
    kind = hardware.choose_device(settings.device, machine).value.partition(":")[0]
    if settings.devices is None:
        return len(machine.gpus) if kind == "cuda" and ":" not in settings.device else 1
    if settings.devices == 1:
        return 1
    if kind == "cuda" and ":" in settings.device:
        raise GfpupError(f"--devices {settings.devices} and --device {settings.device} exclude each other; use --device cuda.")
    if kind == "cuda" and settings.devices > len(machine.gpus):
        raise GfpupError(f"--devices {settings.devices} was asked for, but this machine has {len(machine.gpus)} GPUs.")
    if kind == "mps":
        raise GfpupError(f"--devices {settings.devices} was asked for, but there is one Apple GPU; leave it out.")
    return settings.devices


def adapt(settings: Settings, place: Place) -> Settings:
    """The request as this rank carries it out: on its own GPU, and silent where it is not rank 0."""
    if place.rank != 0:
        settings = replace(settings, quiet=True, json=False)
    if place.devices > 1 and hardware.choose_device(settings.device, hardware.probe()).value.startswith("cuda"):
        settings = replace(settings, device=f"cuda:{place.local_rank}")
    return settings


def share_of(machine: hardware.Machine, place: Place) -> hardware.Machine:
    """What a rank may count on: its part of the cores and of the memory."""
    if place.neighbours == 1:
        return machine
    among = place.neighbours
    limits = (*machine.limits, f"{among} ranks share this machine")
    return replace(
        machine,
        cores=max(1, machine.cores // among),
        memory_bytes=machine.memory_bytes // among,
        free_bytes=machine.free_bytes // among,
        limits=limits,
    )


def merge(manifest: Manifest, scores: ScoreWriter | None) -> None:
    """Bring what the other ranks recorded into the manifest and the scores of this folder."""
    from gfpup.observers import parts
    from gfpup.observers.scores import RUN, TABLE, ScoreRow, ScoreWriter, read

    def keep_scores(folder: Path, lines: Sequence[Mapping[str, Any]]) -> None:
        if not (folder / TABLE).exists():
            return
        writer = scores or ScoreWriter(manifest.folder)
        rows: dict[str, list[ScoreRow]] = {}
        for row in read(folder / TABLE):
            rows.setdefault(row.photo, []).append(row)
        for line in lines:
            if line["name"] in rows and line["name"] != RUN:
                writer.keep(line["name"], rows[line["name"]])

    parts.merge(manifest, keep_scores)


def follow(prepared: Prepared) -> None:
    """Restore this rank's share of a run. It ends when the photos of all ranks are done."""
    from gfpup.observers.parts import Part
    from gfpup.observers.scores import ScoreWriter
    from gfpup.runner import parts

    settings, plan = prepared.settings, prepared.plan
    scorer = parts.load_metrics(settings, plan, prepared.supply)
    if scorer is not None:
        scorer.sets = None  # rank 0 takes the faces of all ranks from their results
    restorer = parts.load(settings, plan, prepared.method, prepared.supply)
    with Part(settings.output, prepared.place.rank) as part:
        scores = [] if scorer is None else [ScoreWriter(part.folder, fresh=True)]
        parts.predict([], restorer, scorer, prepared, part, scores)


class Crew:
    """The ranks that this process started on its machine."""

    def __init__(self, processes: Mapping[int, subprocess.Popen[bytes]]) -> None:
        self.processes = processes
        self._over = threading.Event()

    def check(self) -> None:
        """Do nothing while all is well.

        Raises:
            OutputError: a rank ended before its photos were done.
        """
        for rank, process in self.processes.items():
            if process.poll():
                raise OutputError(
                    f"rank {rank} ended with status {process.returncode} before its photos were done; "
                    "the same command goes on from here."
                )

    def watch(self) -> None:
        """Until the crew is dismissed: end this process where it waits for a rank that will never come."""
        while not self._over.wait(LOOK_SECONDS):
            try:
                self.check()
            except OutputError as error:
                if not self._over.wait(GRACE_SECONDS):
                    print(f"gfpup: {error}", file=sys.stderr, flush=True)
                    self._end(signal.SIGTERM)
                    os._exit(1)

    def dismiss(self, *, patience_seconds: float) -> None:
        """Wait for the ranks to end, and end those that do not."""
        self._over.set()
        until = time.monotonic() + patience_seconds
        for process in self.processes.values():
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def stop(self) -> None:
        """Ask the ranks to end where they are."""
        self._over.set()
        # Not SIGTERM: Lightning answers that with a broadcast, and waits for ranks that will never answer.
        self._end(signal.SIGTERM if sys.platform == "win32" else signal.SIGINT)

    def _end(self, number: int) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(number)


@contextmanager
def started(prepared: Prepared) -> Iterator[Crew]:
    """Start the other ranks of this machine, if they are gfpup's to start; they have ended when the block has.

    Each gets the composed configuration, so it runs what this process runs: a job of a sweep, a call from Python.
    """
    place = prepared.place
    mine = range(1, place.devices) if not place.external and place.local_rank == 0 else range(0)
    processes: dict[int, subprocess.Popen[bytes]] = {}
    crew = Crew(processes)
    try:
        for local_rank in mine:
            at = replace(place, rank=place.rank + local_rank, local_rank=local_rank)
            request = {"configuration": prepared.settings.resolved, "sweeping": prepared.sweeping, "place": asdict(at)}
            command = [sys.executable, "-m", "gfpup.runner"]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            processes[at.rank] = process
            assert process.stdin is not None
            with process.stdin:
                process.stdin.write(json.dumps(request).encode())
        if processes:
            threading.Thread(target=crew.watch, name="gfpup-ranks", daemon=True).start()
        yield crew
    except BaseException:
        crew.stop()
        crew.dismiss(patience_seconds=10)
        raise
    crew.dismiss(patience_seconds=60)
