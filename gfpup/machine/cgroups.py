"""What a container leaves this process of the machine: the limits of Linux control groups, of version 2 and of version 1.

Neither torch nor the operating system's own counts know of them: a container that may use two cores of 64 is told 64.

Source: the kernel's Documentation/admin-guide/cgroup-v2.rst (cpu.max, memory.max) and cgroup-v1 (cpu.cfs_quota_us,
memory.limit_in_bytes).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def cpu_quota(*, root: Path = ROOT, own: Path = OWN) -> float | None:
    """The cores that this process may keep busy, 0.5 for half of one; None where nothing limits it."""
    quotas = [_quota(folder) for folder in _folders("cpu", root, own)]
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit(*, root: Path = ROOT, own: Path = OWN) -> int | None:
    """The bytes that this process and its neighbours in the group may hold; None where nothing limits them."""
    return min((limit for limit, _ in _memories(root, own)), default=None)


def memory_left(*, root: Path = ROOT, own: Path = OWN) -> int | None:
    """The bytes that are left of the limit, those counted in that a cache of files could give back; None without a limit."""
    return min((max(0, limit - used) for limit, used in _memories(root, own)), default=None)


def _folders(controller: str, root: Path, own: Path) -> Iterator[Path]:
    """The group's folder and those above it, wherever `controller` is mounted; a limit above counts for all below.

    Inside a container the path in `own` may be the host's and not exist here: then its parents down to the mount are looked
    at, and the mount itself is the container's own group.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            mounts = [root, root / "unified"]
        elif controller in controllers.split(","):
            mounts = [root / controllers, root / controller]
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        folders = (mount.joinpath(*parts[:length]) for mount in mounts for length in range(len(parts), -1, -1))
        yield from (folder for folder in folders if folder.is_dir())


def _quota(folder: Path) -> float | None:
    both = _words(folder / "cpu.max") or [*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
    limited = len(both) == 2 and all(word.isdecimal() and int(word) > 0 for word in both)  # not "max", or -1 in version 1
    return int(both[0]) / int(both[1]) if limited else None


def _memories(root: Path, own: Path) -> Iterator[tuple[int, int]]:
    """Each limit with what is used of it and cannot be given back."""
    for folder in _folders("memory", root, own):
        for limit_name, used_name, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit, used, stat = (_words(folder / name) for name in (limit_name, used_name, "memory.stat"))
            # Version 1 writes "none" as the largest number of pages that a long holds.
            if len(limit) == 1 and limit[0].isdecimal() and int(limit[0]) < 2**62:
                held = int(used[0]) if used and used[0].isdecimal() else 0
                cached = dict(zip(stat[::2], stat[1::2], strict=False)).get(cache, "")
                yield int(limit[0]), max(0, held - (int(cached) if cached.isdecimal() else 0))


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError:
        return []
