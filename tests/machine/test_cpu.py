"""What is read from the kernel's description of a processor."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfpup.machine.cpu import processor

X86 = "processor\t: 0\nmodel name\t: AMD EPYC 9R14\nflags\t\t: fpu avx2 avx512_bf16\n\nprocessor\t: 1\nmodel name\t: another\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16\nCPU part\t: 0xd40\n\n"


@pytest.mark.parametrize(
    ("text", "name", "part", "bfloat16"),
    [(X86, "AMD EPYC 9R14", "", True), (X86.replace("avx512_bf16", "avx512f"), "AMD EPYC 9R14", "", False)],
)
def test_the_first_processor_is_described(tmp_path: Path, text: str, name: str, part: str, bfloat16: bool) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    found = processor(file=tmp_path / "cpuinfo")
    assert (found.name, found.part, found.bfloat16) == (name, part, bfloat16)
    assert "avx2" in found.flags and "AMD" not in found.flags


def test_arm_has_other_words(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(ARM)
    found = processor(file=tmp_path / "cpuinfo")
    assert found.part == "0xd40" and found.bfloat16 and found.flags == {"fp", "asimd", "bf16"}


def test_a_system_without_the_file_has_a_name_alone(tmp_path: Path) -> None:
    found = processor(file=tmp_path / "none")
    assert found.name and not found.flags and not found.bfloat16
