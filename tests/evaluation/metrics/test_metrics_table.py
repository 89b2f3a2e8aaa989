"""The table of metrics is sound, and lists and presets stand for what they say."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from gfpup.core import registry
from gfpup.core.types import Score, UInt8
from gfpup.evaluation import metrics
from gfpup.evaluation.metrics import PRESETS, TABLE, MetricError
from gfpup.evaluation.scorer import load_scorer
from gfpup.weights.catalogue import CATALOGUE, METRIC_FILES
from gfpup.weights.licences import PACKAGES


def test_every_row_says_everything() -> None:
    files = {row.name for row in CATALOGUE}
    licences = {row.licence_id for row in CATALOGUE} | set(PACKAGES)
    for row in TABLE.values():
        assert row.meaning and row.implementation and row.licence_id in licences
        assert set(row.weights) <= files
        low, high = row.bounds
        assert low is None or high is None or low < high
        assert bool(row.entry) == (row.kind != "cost")
        assert not row.name.endswith(metrics.TO_INPUT)


def test_non_commercial_metrics_are_exactly_those_of_pyiqa() -> None:
    gated = {row.name for row in TABLE.values() if row.licence_id == metrics.POLYFORM}
    assert gated == {row.name for row in TABLE.values() if row.implementation.startswith("pyiqa")}
    assert gated == {row.name for row in TABLE.values() if row.kind == "no_reference"} - {"niqe"}  # which is gfpup's own


def test_presets() -> None:
    assert metrics.expand(["off"]) == ()
    assert set(PRESETS["fast"]) == {"identity", "psnr", "ssim", "seconds", "peak_memory"}
    full = metrics.expand(["full"])
    assert {"lpips", "dists", "ms_ssim", "niqe", "musiq", "maniqa", "clipiqa", "topiq", "fid", "kid"} <= set(full)
    assert {"fid_torchmetrics", "fid_reference", "topiq_nr-face"} <= set(full)
    assert not {"lmd", "identity_bgr", "niqe_pyiqa", "fid_fidelity", "precision", "indrmse"} & set(full)
    assert full[: len(PRESETS["fast"])] == PRESETS["fast"] and len(set(full)) == len(full)
    assert metrics.expand(["lpips", "fast", "lpips"])[:2] == ("lpips", "identity")
    by_person = ("identity_gallery", "identity_gallery_mean", "identity_gallery_margin")
    assert metrics.expand(["identity_gallery"]) == by_person and not set(by_person) & set(full)
    assert metrics.expand(["identity_gallery_mean"]) == by_person[1:2]


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(MetricError, match="did you mean 'lpips'"):
        metrics.expand(["lpisp"])
    with pytest.raises(MetricError, match="there is no metric"):
        metrics.facts("beauty")
    assert metrics.facts("lpips_to_input").name == "lpips"


def test_the_table_is_read_without_torch() -> None:
    heavy = "{'torch', 'torchmetrics', 'pyiqa', 'torchvision'}"
    code = f"import sys, gfpup.evaluation.metrics; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_the_files_of_metrics_are_no_others() -> None:
    names = [row.name for row in CATALOGUE]
    assert len(set(names)) == len(names)
    files = [row.file for row in CATALOGUE]
    assert len(set(files)) == len(files)
    for row in METRIC_FILES:
        # Their publishers put the first eight digits of the hash into the name; both must say the same.
        stem = row.file.rpartition(".")[0]
        if row.sha256 is not None and "-" in stem:
            assert row.sha256.startswith(stem.rpartition("-")[2])


class Brightness:
    """how bright the picture is"""

    kind = "no_reference"
    higher_is_better = True
    bounds = (0, 255)

    @classmethod
    def load(cls, files: dict[str, Path], *, device: str = "cpu") -> Brightness:
        return cls()

    def score(self, restored: UInt8, reference: UInt8 | None) -> Score:
        return Score("brightness", float(restored.mean()), self.higher_is_better)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint(name="brightness", value=f"{__name__}:Brightness", group="gfpup.metrics")]
    points.append(EntryPoint(name="undeclared", value="pathlib:Path", group="gfpup.metrics"))
    monkeypatch.setattr(registry, "entry_points", lambda group: [point for point in points if point.group == group])


@pytest.mark.usefixtures("plugin")
def test_a_package_may_add_a_metric() -> None:
    assert metrics.expand(["psnr", "brightness"]) == ("psnr", "brightness")
    row = metrics.facts("brightness")
    assert (row.kind, row.higher_is_better, row.bounds, row.meaning) == (
        "no_reference", True, (0, 255), "how bright the picture is",
    )  # fmt: skip
    picture = np.full((4, 4, 3), 7, np.uint8)
    assert load_scorer(["brightness"], find=Path).loaded["brightness"].score(picture, None).value == 7
    assert "brightness" not in metrics.expand(["full"])


@pytest.mark.usefixtures("plugin")
def test_a_plug_in_that_does_not_declare_itself_is_refused() -> None:
    with pytest.raises(MetricError, match="needs the attributes kind"):
        metrics.facts("undeclared")
    with pytest.raises(MetricError, match="did you mean 'brightness'"):
        metrics.expand(["brightnes"])


def test_directions_and_bounds_are_those_of_the_definitions() -> None:
    """Written down a second time, because a sign here turns every ranking round."""
    identities = ("identity", "identity_bgr", "identity_adaface", "identity_gallery", "identity_gallery_mean")
    higher = {
        "psnr",
        "ssim",
        "ms_ssim",
        *identities,
        "identity_gallery_margin",
        "musiq",
        "maniqa",
        "clipiqa",
        "topiq",
        "topiq_nr-face",
        "precision",
    }
    assert {row.name for row in TABLE.values() if row.higher_is_better} == higher
    shares = ("ms_ssim", "dists", "maniqa", "clipiqa", "topiq", "topiq_nr-face", "precision")
    cosines = ("ssim", *identities)
    bounds = dict.fromkeys(TABLE, (0, None)) | dict.fromkeys(shares, (0, 1)) | dict.fromkeys(cosines, (-1, 1))
    bounds |= {"identity_gallery_margin": (-2, 2), "deg": (0, 180), "musiq": (0, 100), "kid": (None, None)}
    assert {row.name: row.bounds for row in TABLE.values()} == bounds


class HalfDeclared(Brightness):
    """Says its kind, and not which way is better.

    This is not part of what it means.
    """

    higher_is_better = "yes"  # type: ignore[assignment]


class WithoutWords(Brightness):
    kind = "full_reference"
    weights = ("vgg16",)


WithoutWords.__doc__ = None


class SeveralLines(Brightness):
    """how bright it is

    This is not part of what it means.
    """


def test_a_plug_in_is_described_by_the_first_line_of_its_docstring_or_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    classes = {"half": HalfDeclared, "silent": WithoutWords, "several": SeveralLines}
    points = [EntryPoint(name, f"{__name__}:{cls.__name__}", "gfpup.metrics") for name, cls in classes.items()]
    monkeypatch.setattr(registry, "entry_points", lambda group: [point for point in points if point.group == group])
    assert metrics.facts("several").meaning == "how bright it is"
    silent = metrics.facts("silent")
    assert (silent.meaning, silent.weights, silent.level, silent.licence_id) == (
        "silent", ("vgg16",), "photo and faces", "unknown",
    )  # fmt: skip
    with pytest.raises(MetricError, match="higher_is_better"):
        metrics.facts("half")
