"""The ranks of a run: how many processes share the photos, which of them this one is, and how their records become one.

Rank 0 is the run: it holds the folder, finds the photos, talks to the screen and writes the manifest. The others restore
their share into a part of the record (`records.shards`) and are silent but for errors. Lightning's DDP strategy brings
them together (`gfpup.running.distributed.callback`); all of them see the same folders.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gfpup.core.errors import GfpupError
from gfpup.core.plan import Decision
from gfpup.machine import hardware
from gfpup.planning.schema import Hardware, Settings

if TYPE_CHECKING:
    from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment


@dataclass(frozen=True)
class Rank:
    """Which rank of how many this process is. `address` and `port` are where rank 0 is met by ranks that gfpup starts.

    `external`: srun, torchrun or the user starts all ranks, and Lightning's own environment says which one this is.
    The names are those of Lightning's cluster environments.
    """

    global_rank: int = 0
    local_rank: int = 0
    devices: int = 1
    nodes: int = 1
    ddp: bool = False
    external: bool = False
    address: str = "127.0.0.1"
    port: int = 0

    @property
    def world_size(self) -> int:
        """The number of ranks."""
        return self.devices * self.nodes

    @property
    def sharing(self) -> int:
        """How many ranks share the cores that this process sees: Slurm gives each task its own."""
        return 1 if self.external and "SLURM_PROCID" in os.environ else self.devices

    @property
    def decision(self) -> Decision[int]:
        """The line of the plan."""
        who = "started by another program" if self.external else "started by gfpup"
        return Decision("ranks", self.world_size, f"asked for: {self.devices} on each of {self.nodes} machines, {who}")


def find_rank(settings: Settings) -> Rank:
    """Find out which rank this process is.

    Raises: GfpupError: the machine lacks what was asked for, or the program that started the ranks says something else.
    """
    asked, nodes = settings.hardware, settings.hardware.num_nodes
    devices = 1 if asked.devices == 1 else _devices(asked)
    if devices * nodes == 1 and asked.strategy == "auto":
        return Rank()
    environment = found_environment(devices=devices, nodes=nodes)
    if environment is not None:
        node, local_rank = environment.node_rank(), environment.local_rank()
        return Rank(node * devices + local_rank, local_rank, devices, nodes, ddp=True, external=True)
    if nodes == 1:
        with socket.create_server(("127.0.0.1", 0)) as free:
            return Rank(0, 0, devices, nodes, ddp=True, port=free.getsockname()[1])
    try:
        node = int(os.environ["NODE_RANK"])
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    except (KeyError, ValueError):
        raise GfpupError(
            f"--num-nodes {nodes} needs the same command on each machine with MASTER_ADDR, MASTER_PORT and NODE_RANK set, "
            "or srun, which sets its own."
        ) from None
    return Rank(node * devices, 0, devices, nodes, ddp=True, address=address, port=port)


def _devices(asked: Hardware) -> int:
    """The ranks on each machine."""
    machine = hardware.probe()
    kind, numbered = hardware.choose_device(asked.device, machine).value.kind, ":" in asked.device
    if asked.devices is None:
        return len(machine.gpus) if kind == "cuda" and not numbered else 1
    if kind == "cuda" and numbered:
        raise GfpupError(f"--devices {asked.devices} and --device {asked.device} exclude each other; use --device cuda.")
    if kind == "mps" or (kind == "cuda" and asked.devices > len(machine.gpus)):
        has = "one Apple GPU" if kind == "mps" else f"{len(machine.gpus)} GPUs"
        raise GfpupError(f"--devices {asked.devices} was asked for, but this machine has {has}.")
    return asked.devices


def adapt(settings: Settings, rank: Rank) -> Settings:
    """The request as this rank carries it out: on its own GPU, and silent where it is not rank 0."""
    if rank.global_rank != 0:
        settings = settings.changed({"screen.quiet": True, "screen.json": False})
    if rank.devices > 1 and hardware.choose_device(settings.hardware.device, hardware.probe()).value.kind == "cuda":
        settings = settings.changed({"hardware.device": f"cuda:{rank.local_rank}"})
    return settings


def share_of(machine: hardware.Machine, rank: Rank) -> hardware.Machine:
    """What a rank may count on: its part of the cores and of the memory."""
    among = rank.sharing
    if among == 1:
        return machine
    cores, memory, free = max(1, machine.cores // among), machine.memory_bytes // among, machine.free_bytes // among
    limits = (*machine.limits, f"{among} ranks share this machine")
    return replace(machine, cores=cores, memory_bytes=memory, free_bytes=free, limits=limits)


def found_environment(*, devices: int, nodes: int) -> ClusterEnvironment | None:
    """Lightning's environment where srun, torchrun or the user started the ranks; None where gfpup is to start them.

    Raises: GfpupError: they started other ranks than were asked for.
    """
    from gfpup.running.lightning_import import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment

    environment: ClusterEnvironment
    try:
        if TorchElasticEnvironment.detect():
            environment = TorchElasticEnvironment()
        elif SLURMEnvironment.detect() and os.environ.get("SLURM_NTASKS") == str(devices * nodes):
            environment = SLURMEnvironment(auto_requeue=False)
        elif "LOCAL_RANK" in os.environ:
            environment = LightningEnvironment()
        else:
            return None
        environment.validate_settings(num_devices=devices, num_nodes=nodes)
    except (ValueError, RuntimeError) as error:
        raise GfpupError(" ".join(str(error).split())) from None
    return environment
