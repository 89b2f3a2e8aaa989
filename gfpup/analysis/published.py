"""What papers report, each number with its protocol and source; it is comparable with measurements of that protocol only."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

FILE: Final = "published_results.csv"
CELEBA_TEST: Final = "pmrf-celeba-test"
"""The one protocol under which most of the methods were published side by side."""


@dataclass(frozen=True)
class Published:
    """One number as it was published. `metric` is the publication's word; `source` says who computed it and where."""

    protocol: str
    dataset: str
    method: str
    metric: str
    value: float
    source: str


MEASURED_AS: Final[Mapping[str, Mapping[str, str]]] = {
    CELEBA_TEST: {"PSNR": "psnr", "SSIM": "ssim", "LPIPS": "lpips_vgg", "NIQE": "niqe", "Deg": "deg", "LMD": "lmd"},
}
"""For each protocol, which of gfpup's metrics is computed as the published one is.

Each of the latter names its protocol (`gfpup.evaluation.protocols`). From evaluation/ of github.com/ohayonguy/PMRF: PSNR and
SSIM of BasicSR on RGB, LPIPS on VGG, VQFR's Deg and LMD, BasicSR's NIQE. Its FID is torch-fidelity's (`fid_fidelity`) against
all of FFHQ, which a run does not say of its references; scripts of other protocols were not found.
"""


@cache
def rows() -> tuple[Published, ...]:
    """Every published number that gfpup knows."""
    found: list[Published] = []
    text = (files("gfpup.analysis") / FILE).read_text(encoding="utf-8")
    for line in csv.DictReader(text.splitlines()):
        source = found[-1].source if line["source"] == "same" else line["source"]
        found.append(Published(line["protocol"], line["dataset"], line["method"], line["metric"], float(line["value"]), source))
    return tuple(found)


def beside(protocol: str | None, metrics: Iterable[str]) -> tuple[tuple[str, Published], ...]:
    """The published numbers that are comparable with measured ones: (gfpup's metric, the published number) pairs.

    `protocol` is the published protocol that the measured run follows, None where it follows none; then no number is.
    """
    same = MEASURED_AS.get(protocol or "", {})
    wanted = set(metrics)
    return tuple((same[row.metric], row) for row in rows() if row.protocol == protocol and same.get(row.metric) in wanted)
