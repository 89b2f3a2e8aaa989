"""The photo, the distance of two pictures, the ceiling, the weights, the tables and the plot."""

from __future__ import annotations

import itertools
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import torch

from gfpup.core.errors import GfpupError
from gfpup.core.types import AlignedCrop
from gfpup.restoration.align import align_faces
from gfpup.tools.bench import machine, table, worker
from gfpup.tools.bench.measure import changed_codes, difference
from gfpup.tools.bench.request import Request, Workload
from gfpup.tools.bench.scaling import FACE_PX, FACES, MEGAPIXELS, fit, size_of
from gfpup.tools.bench.sides import face_crop, places, planted
from gfpup.tools.bench.weights import DETERMINISTIC, Weights
from gfpup.tools.bench.worker import Process
from gfpup.weights import licences, store


@pytest.mark.parametrize("faces", [0, 1, 2, 7, 32, 200])
@pytest.mark.parametrize("size_wh", [(2000, 1500), (512, 512), (300, 900)])
def test_faces_lie_apart_and_inside(size_wh: tuple[int, int], faces: int) -> None:
    found = places(size_wh, faces, 400)
    assert len(found) == faces
    for x, y, side in found:
        assert min(x, y) >= 0 and x + side <= size_wh[0] and y + side <= size_wh[1]
    for (ax, ay, a), (bx, by, _) in itertools.combinations(found, 2):
        assert abs(ax - bx) >= a or abs(ay - by) >= a


def test_every_face_of_the_plot_has_its_full_size() -> None:
    assert places((2000, 1500), max(FACES), FACE_PX)[0][2] == FACE_PX
    assert places(size_of(min(MEGAPIXELS)), 1, FACE_PX)[0][2] == FACE_PX


def test_a_planted_face_is_aligned_to_the_face_it_was_made_of() -> None:
    photo, faces = planted((900, 700), 2, 400)
    assert photo.size_hw == (700, 900)
    for crop in align_faces(photo.rgb8, faces):
        assert isinstance(crop, AlignedCrop)
        # Reduced to 280 px and enlarged again: softer, but the same face in the same place.
        assert np.abs(crop.pixels[60:-60, 60:-60].astype(float) - face_crop()[60:-60, 60:-60]).mean() < 6


def test_a_photo_is_the_same_each_time() -> None:
    assert np.array_equal(planted((200, 100), 1, 50)[0].pixels, planted((200, 100), 1, 50)[0].pixels)


def test_distance_counts_levels() -> None:
    grey = np.full((1, 3, 8, 8), 100 / 255, np.float32)
    same = difference(grey, grey)
    assert same == {"levels": 0, "psnr_db": None, "equal": True}
    found = difference(grey, grey + np.float32(2 / 255))
    assert found is not None and found["levels"] == 2 and not found["equal"]
    assert found["psnr_db"] == pytest.approx(10 * np.log10(255**2 / 4), abs=0.01)
    levels = difference(np.zeros((4, 4, 3), np.uint8), np.ones((4, 4, 3), np.uint8))
    assert levels is not None and levels["levels"] == 1
    assert difference(grey, grey[..., :4]) is None
    broken = difference(grey, grey * np.float32("nan"))
    assert broken == {"levels": 255, "psnr_db": None, "equal": False}


def test_the_ceiling_is_that_of_a_computer() -> None:
    found = machine.ceiling("cpu", bfloat16=False, seconds=0.0)
    assert set(found["wall"]) == set(found["cpu"]) == {"convolution_float32", "matmul_float32"}
    assert all(0.1 < value < 1e5 for each in found.values() for value in each.values())


def test_weights_are_made_once_and_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GFPUP_WEIGHTS_DIR", str(tmp_path / "none"))
    said: list[str] = []
    load = Workload(detector="retinaface-mobilenet0.25", mask="bisenet")
    weights = Weights(Request(backends=("identity",), workload=load), tmp_path, say=said.append)
    paths, what = weights.of("identity", "gfpup")
    assert what == {"detector": DETERMINISTIC, "mask": DETERMINISTIC} and len(said) == 2
    assert weights.of("identity", "plain")[0] == paths and len(said) == 2
    state = torch.load(paths["detector"], weights_only=True)
    assert all(bool(tensor.isfinite().all()) for tensor in state.values() if tensor.is_floating_point())
    assert max(float(tensor.abs().max()) for tensor in state.values()) > 0


def test_a_checkpoint_without_consent_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GFPUP_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv(licences.ACCEPT_VARIABLE, raising=False)
    there = tmp_path / "codeformer.pth"
    there.write_bytes(b"weights")
    monkeypatch.setattr(store.Store, "present", lambda self, name: there)
    said: list[str] = []
    weights = Weights(Request(weights_dir=tmp_path), tmp_path, say=said.append)
    assert weights._present("codeformer") is None and "codeformer" in said[0]
    assert weights._present("gfpgan-v1.4") == there


def test_growth_in_proportion_is_a_line() -> None:
    line = fit([{"x": x, "seconds": 9.0 - x, "cpu_seconds": 0.5 + 0.25 * x} for x in (1, 2, 4, 8)])
    assert (line["fixed"], line["each"], line["r2"]) == pytest.approx((0.5, 0.25, 1.0)) and line["no_faster"] is True
    steep = [{"x": 1, "seconds": 1.0, "cpu_seconds": 5.0}, {"x": 2, "seconds": 2.0, "cpu_seconds": 50.0}]
    assert fit(steep, "seconds")["no_faster"] and not fit(steep)["no_faster"]
    assert not fit([{"x": x, "cpu_seconds": x**2} for x in (1, 2, 4, 8)])["no_faster"]


def test_the_plot_is_an_svg_that_says_its_numbers() -> None:
    points = [{"x": float(x), "seconds": 9.0, "cpu_seconds": 0.1 * x, "peak_memory_bytes": 10**9} for x in (1, 8, 32)]
    fits = {"cost": "cpu_seconds", "fixed": 0.0, "each": 0.1, "r2": 1.0, "no_faster": True}
    found = {
        "backend": "identity",
        "points": {"faces": points, "megapixels": points},
        "fits": {"faces": fits, "megapixels": fits},
        "machine": {"processor": "p", "threads": 2, "commit": None},
        "date": "d",
        "warning": None,
    }
    root = ElementTree.fromstring(table.svg(found))
    titles = [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "8 faces: 0.8 s" in titles and "32 megapixels: 3.2 s" in titles
    text = table.scaling_table(found)
    assert "no faster than the faces" in text and "| 32" in text


def test_a_table_leaves_empty_columns_out() -> None:
    text = table.markdown(["a", "b", "c"], [["1", "", "x"], ["22", "", ""]])
    assert text.splitlines()[0] == "| a   | c   |" and len(text.splitlines()) == 4


def test_the_guides_claims_stand_beside_the_very_same_only() -> None:
    same = {"workload": {"size_wh": [512, 512], "background": "realesrgan"}}
    assert table.claimed(same)["Intel i7"] == {"codeformer": 12.0, "gfpgan": 18.0, "restoreformerpp": 45.0}
    assert table.claimed({"workload": {"size_wh": [512, 512], "background": "none"}}) == {}
    assert table.claimed({"workload": {"size_wh": [640, 512], "background": "realesrgan"}}) == {}
    assert table.claimed({"workload": None}) == {}


def test_a_worker_refuses_in_a_sentence_and_its_end_is_told() -> None:
    side = Request(backends=("identity",)).side("gfpup", "nonsense", {})
    with Process("nonsense", threads=1) as process:
        with pytest.raises(GfpupError, match="no backend 'nonsense'"):
            process.call(worker.load, side)
        with pytest.raises(GfpupError, match="nonsense was killed, most likely for lack of memory"):
            process.call(os._exit, 9)
        with pytest.raises(GfpupError, match="was killed"):
            process.call(worker.usage)


def test_a_worker_keeps_stdout_clean_and_has_its_threads(capfd: pytest.CaptureFixture[str]) -> None:
    with Process("nothing", threads=1) as process:
        process.call(print, "noise", flush=True)
        assert process.call(os.getenv, "OMP_NUM_THREADS") == process.call(torch.get_num_threads).__str__() == "1"
        assert process.call(os.getenv, "OMP_WAIT_POLICY") == "passive"
        assert process.call(worker.usage)["device_peak"] is None
    said = capfd.readouterr()
    assert said.out == "" and "noise" in said.err


def test_codes_that_changed_are_counted() -> None:
    own = {"codes": [1, 2, 3, 4], "margin": 0.25}
    assert changed_codes(own, {"codes": [1, 0, 3, 5], "margin": 9.0}) == {"changed": 2, "of": 4, "margin": 0.25}
    assert changed_codes(own, None) == {"changed": None, "of": 4, "margin": 0.25}
    assert changed_codes(None, own) is None
    assert table._codes({"changed": 0, "of": 256, "margin": 0.00171}) == "0 of 256, margin 0.002"
    assert table._codes({"changed": None, "of": 256, "margin": 6.3e-5}) == "margin 6e-05"
