"""Hold what `gfpup run --auto` measures, and the rules it chooses by, against damage that is known because it was drawn.

python experiments/010-auto/run.py FOLDER [--first-seed N] [--seeds N]
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.stats import spearmanr

from gfpup.ops import degrade
from gfpup.restoration.align import aligned_crop
from gfpup.restoration.auto import Choice, choose, rules
from gfpup.restoration.damage import Damage, measure_damage

PROTOCOLS = ("mild", "gfpgan", "codeformer-stage2")
SIDE_PX = 512
PHOTOS = {".jpg", ".jpeg", ".png", ".webp"}
BLUR_BANDS_PX = ((0, 3), (3, 5), (5, 8), (8, 12), (12, 99))
NOISE_BANDS = ((0, 4), (4, 8), (8, 20))


@dataclass(frozen=True)
class Sample:
    """One damaged face: the damage drawn (None: undamaged), what was measured of it, and the rule that chose."""

    protocol: str
    drawn: degrade.Damage | None
    measured: Damage
    choice: Choice

    @property
    def blur_px(self) -> float:
        """Blur in px at 512: the kernel's, and that of the smaller picture's pixels, half of which blur as much."""
        assert self.drawn is not None
        return float(np.hypot(np.mean(self.drawn.sigma_xy), self.drawn.scale / 2))


def samples(folder: Path, seeds: range) -> Iterator[Sample]:
    """Every photo of `folder` as a face of 512 px: undamaged, and damaged by each protocol with each seed."""
    every = tuple(rules()["methods"])
    for number, path in enumerate(sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTOS)):
        with Image.open(path) as image:
            face = np.asarray(image.convert("RGB").resize((SIDE_PX, SIDE_PX)))
        draws: list[tuple[str, degrade.Damage | None]] = [("undamaged", None)]
        draws += [(name, degrade.draw(name, seed=seed, name=f"{number}.png")) for name in PROTOCOLS for seed in seeds]
        for protocol, drawn in draws:
            picture = face if drawn is None else degrade.apply(face, drawn)
            measured = measure_damage(picture, [aligned_crop(picture).face])
            yield Sample(protocol, drawn, measured, choose(measured, every))


def print_rules(found: Sequence[Sample]) -> None:
    """How often each rule chose, by protocol."""
    names = [rule["name"] for rule in rules()["rules"]]
    print("| protocol | faces | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 2) + "|")
    for protocol in ("undamaged", *PROTOCOLS):
        counts = Counter(sample.choice.rule for sample in found if sample.protocol == protocol)
        print(f"| {protocol} | {counts.total()} | " + " | ".join(str(counts[name]) for name in names) + " |")


def print_correlations(damaged: Sequence[Sample]) -> None:
    """Spearman's rank correlation of each measure with what was drawn, and with what it should not follow."""
    fine = [sample for sample in damaged if sample.drawn is not None and sample.drawn.scale < 4]
    print("\n| measure | drawn | faces | Spearman |\n|---|---|---|---|")
    for measure, fact, group, said in (
        ("sharpness", "blur_px", damaged, "blur"),
        ("sharpness", "noise", damaged, "noise"),
        ("noise", "noise", fine, "noise, scale under 4"),
        ("noise", "noise", damaged, "noise, any scale"),
    ):
        ones = [getattr(sample.measured, measure) for sample in group]
        others = [sample.blur_px if fact == "blur_px" else sample.drawn.noise for sample in group if sample.drawn is not None]
        print(f"| {measure} | {said} | {len(group)} | {spearmanr(ones, others).statistic:.2f} |")


def print_bands(found: Sequence[Sample]) -> None:
    """The median of a measure, and its range, by bands of what was drawn."""
    print("\n| drawn | faces | measured: median | least | most |\n|---|---|---|---|---|")
    clean = [sample for sample in found if sample.drawn is None]
    damaged = [sample for sample in found if sample.drawn is not None]
    _print_row("sharpness, undamaged", [sample.measured.sharpness for sample in clean])
    for low, high in BLUR_BANDS_PX:
        band = [sample.measured.sharpness for sample in damaged if low <= sample.blur_px < high]
        _print_row(f"sharpness, blur {low} to {high} px", band)
    _print_row("noise, undamaged", [sample.measured.noise for sample in clean])
    for low, high in NOISE_BANDS:
        drawn = [(sample.measured.noise, sample.drawn) for sample in damaged]
        band = [noise for noise, damage in drawn if damage is not None and damage.scale < 4 and low <= damage.noise < high]
        _print_row(f"noise, {low} to {high} levels, scale under 4", band)


def _print_row(said: str, values: Sequence[float | None]) -> None:
    known = [value for value in values if value is not None]
    if known:
        print(f"| {said} | {len(known)} | {np.median(known):.2f} | {min(known):.2f} | {max(known):.2f} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="photos of one face each, cut as an aligned face is")
    parser.add_argument("--first-seed", type=int, default=0, help="0 to 11 are those that the limits were set by")
    parser.add_argument("--seeds", type=int, default=12, help="damages of each face by each protocol")
    given = parser.parse_args()
    found = list(samples(given.folder, range(given.first_seed, given.first_seed + given.seeds)))
    if not found:
        print(f"{given.folder} holds no photo.", file=sys.stderr)
        return 2
    print_rules(found)
    print_correlations([sample for sample in found if sample.drawn is not None])
    print_bands(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
