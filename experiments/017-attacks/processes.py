"""The processes of a group, and the memory that they hold (Linux)."""

from __future__ import annotations

from pathlib import Path


def processes_of(group: int) -> list[int]:
    """The processes of a group that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, process_group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(process_group) == group and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


def memory_bytes(process: int) -> tuple[int, int]:
    """The proportional set size of a process now and its largest resident set, in bytes; zeros where it has ended.

    Pages that n processes share count 1/n in each, so that the sum over a group is what the group takes.

    Source: proc(5), smaps_rollup and VmHWM.
    """
    return _kilobytes(process, "smaps_rollup", "Pss:") * 1024, _kilobytes(process, "status", "VmHWM:") * 1024


def _kilobytes(process: int, file: str, field: str) -> int:
    try:
        lines = Path(f"/proc/{process}/{file}").read_text(errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(field)), 0)
