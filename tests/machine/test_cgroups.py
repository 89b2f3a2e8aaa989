"""Limits of containers, read from trees of files like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfpup.machine import cgroups


def tree(tmp_path: Path, own: str, files: dict[str, str]) -> dict[str, Path]:
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        path = tmp_path / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {"root": tmp_path / "fs", "own": tmp_path / "own"}


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "max 100000\n"}, 0.5),
        # The host's path, as a container without a namespace of its own sees it: the mount is its group.
        ("0::/docker/1f2e\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/../../x\n", {"cpu.max": "200000 100000\n"}, 2.0),
        (
            "4:cpu,cpuacct:/job\n",
            {"cpu,cpuacct/job/cpu.cfs_quota_us": "300000", "cpu,cpuacct/job/cpu.cfs_period_us": "100000"},
            3.0,
        ),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3.0),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        # A hybrid: version 1's limit counts where version 2's folder has none.
        (
            "1:cpu:/\n0::/\n",
            {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000", "unified/cgroup.procs": ""},
            1.0,
        ),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "100000"}, None),
        ("nonsense", {"cpu.max": "150000 100000\n"}, None),
        ("0::/\n", {"cpu.max": "0 0\n"}, None),
    ],
)
def test_the_processor_s_quota(tmp_path: Path, own: str, files: dict[str, str], cores: float | None) -> None:
    assert cgroups.cpu_quota(**tree(tmp_path, own, files)) == cores


@pytest.mark.parametrize(
    ("own", "files", "limit", "left"),
    [
        ("0::/\n", {"memory.max": "4000000000\n", "memory.current": "1000000000\n"}, 4 * 10**9, 3 * 10**9),
        (
            "0::/\n",
            {
                "memory.max": "4000000000\n",
                "memory.current": "1000000000\n",
                "memory.stat": "anon 1\ninactive_file 400000000\nactive_file 7\n",
            },
            4 * 10**9,
            3.4 * 10**9,
        ),
        ("0::/\n", {"memory.max": "max\n", "memory.current": "5\n"}, None, None),
        (
            "0::/a/b\n",
            {
                "a/memory.max": "1000\n",
                "a/memory.current": "900\n",
                "a/b/memory.max": "2000\n",
                "a/b/memory.current": "10\n",
            },
            1000,
            100,
        ),
        ("8:memory:/j\n", {"memory/j/memory.limit_in_bytes": "1000", "memory/j/memory.usage_in_bytes": "1400"}, 1000, 0),
        ("8:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None, None),
    ],
)
def test_memory(tmp_path: Path, own: str, files: dict[str, str], limit: int | None, left: float | None) -> None:
    place = tree(tmp_path, own, files)
    assert (cgroups.memory_limit(**place), cgroups.memory_left(**place)) == (limit, left)


def test_no_groups_at_all(tmp_path: Path) -> None:
    place = {"root": tmp_path / "none", "own": tmp_path / "nothing"}
    assert cgroups.cpu_quota(**place) is None
    assert cgroups.memory_limit(**place) is None
