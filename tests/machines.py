"""Faked machines, and a request as the command line would compose it, for the tests of planning."""

from __future__ import annotations

from functools import cache

from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from gfpup.machine.hardware import Gpu, Machine
from gfpup.planning.settings import Settings, read_settings

GB = 10**9

NO_GPU = Machine(2, 8 * GB, free_bytes=7 * GB)


def machine(*gpus: Gpu) -> Machine:
    """A machine of eight cores and 32 GB with these GPUs."""
    return Machine(8, 32 * GB, gpus, free_bytes=30 * GB)


def gpu(total_gb: float, *, free_gb: float | None = None, bfloat16: bool = True, trouble: str | None = None) -> Gpu:
    """A GPU of a name that nothing knows; it is idle where `free_gb` is not given: a desktop takes 0.3 GB of it."""
    free = max(0.0, total_gb - 0.3) if free_gb is None else free_gb
    return Gpu("Unheard-of 9000", round(total_gb * GB), round(free * GB), bfloat16, trouble)


@cache
def request(*overrides: str) -> Settings:
    """The checked settings of `gfpup run` with these overrides, composed once for all tests of a process."""
    with initialize_config_module("gfpup.conf", version_base="1.3"):
        config = compose("run", ["source.paths=[photo.png]", *overrides])
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    plain.pop("hydra", None)
    return read_settings({str(key): value for key, value in plain.items()})
