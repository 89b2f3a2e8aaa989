"""Which tier a faked machine belongs to, what each plans, and what falls back, with its reason, before a run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from machines import GB, NO_GPU, gpu, machine, request

from gfpup.core.errors import GfpupError
from gfpup.machine.hardware import Machine
from gfpup.planning import memory_model
from gfpup.planning.memory_model import Placement
from gfpup.planning.placement import place
from gfpup.planning.tiers import GPU_TIERS, TIERS, tier_of
from gfpup.restoration import detect

NO_CAPABILITY = "this torch holds no code for its compute capability 3.5"


def placed(faked: Machine, *overrides: str, sweeping: bool = False) -> Placement:
    return place(request(*overrides), faked, sweeping=sweeping)


def facts(found: Placement) -> tuple[str, str, str, int]:
    return found.tier.value, found.device.value, found.dtype.value, found.face_batch.value


@pytest.mark.parametrize(
    ("total_gb", "free_gb", "tier"),
    [
        (85.0, 84.0, "high"),
        (8.2, 7.9, "high"),  # a card sold as 8 GB
        (7.9, 7.8, "mid"),
        (4.1, 4.0, "mid"),
        (3.9, 3.8, "low"),
        (2.0, 1.9, "low"),
        (0.0, 0.0, "low"),  # does not tell
        (85.0, 6.0, "mid"),  # the rest is in use by others
        (85.0, 0.5, "low"),
        (8.2, 7.3, "high"),  # a desktop's share is not "others"
    ],
)
def test_the_tier_of_a_gpu(total_gb: float, free_gb: float, tier: str) -> None:
    assert tier_of(gpu(total_gb, free_gb=free_gb)) == tier


@pytest.mark.parametrize(
    ("faked", "words", "expected"),
    [
        (NO_GPU, (), ("cpu", "cpu", "float32", 1)),
        (machine(gpu(85)), (), ("high", "cuda:0", "bfloat16", 8)),
        (machine(gpu(85, bfloat16=False)), (), ("high", "cuda:0", "float32", 8)),
        (machine(gpu(85)), ("hardware.device=cpu",), ("cpu", "cpu", "float32", 1)),
        (machine(gpu(85)), ("hardware=cpu",), ("cpu", "cpu", "float32", 1)),
        (machine(gpu(85)), ("hardware=mid",), ("mid", "cuda:0", "bfloat16", 4)),
        (machine(gpu(85)), ("hardware=low",), ("low", "cuda:0", "bfloat16", 1)),
        (machine(gpu(85, free_gb=0.2), gpu(6)), (), ("mid", "cuda:1", "bfloat16", 4)),
        (machine(gpu(24, trouble=NO_CAPABILITY), gpu(6)), (), ("mid", "cuda:1", "bfloat16", 4)),
        (machine(gpu(24, trouble=NO_CAPABILITY)), (), ("cpu", "cpu", "float32", 1)),
        (machine(gpu(0)), (), ("low", "cuda:0", "bfloat16", 1)),
        (machine(gpu(85, free_gb=0.5)), (), ("low", "cpu", "float32", 1)),
        (replace(machine(), mps=True), (), ("mps", "mps", "float32", 4)),
        (replace(machine(), mps=True), ("hardware=mps", "hardware.precision=bf16"), ("mps", "mps", "bfloat16", 4)),
        (replace(machine(), mps=True, mps_bytes=32 * GB // 10), ("background=none",), ("mps", "mps", "float32", 2)),
        (replace(machine(), mps=True), ("hardware.device=cpu",), ("cpu", "cpu", "float32", 1)),
    ],
)
def test_every_machine_gets_a_plan(faked: Machine, words: tuple[str, ...], expected: tuple[str, str, str, int]) -> None:
    found = placed(faked, *words)
    assert facts(found) == expected
    for reason in (found.tier, found.device, found.dtype, found.engine, found.face_batch, found.tile_px, found.memory):
        assert reason.why, reason.setting


def test_reasons_name_what_is_in_the_way() -> None:
    shared = placed(machine(gpu(85, free_gb=0.5)))
    assert "84.5 are in use by others" in shared.tier.why
    assert re.search(r"gfpgan needs [\d.]+ GB even at its least, and cuda:0 has 0.4 GB", shared.device.why)
    assert NO_CAPABILITY in placed(machine(gpu(24, trouble=NO_CAPABILITY))).device.why
    assert "does not tell" in placed(machine(gpu(0))).tier.why
    assert "no GPU" in placed(NO_GPU).device.why


@pytest.mark.parametrize("backend", ["gfpgan", "codeformer", "restoreformer", "restoreformerpp", "identity"])
@pytest.mark.parametrize("free_gb", [0.3, 0.6, 1.0, 1.5, 2.0, 3.0, 4.5, 6.0, 7.9, 16.0, 80.0])
@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_whatever_is_free_the_plan_fits_it(backend: str, free_gb: float, precision: str) -> None:
    """On the GPU the prediction stays within four fifths of what is free; else the run goes to the processor."""
    found = placed(machine(gpu(80.3, free_gb=free_gb)), f"backend={backend}", f"hardware.precision={precision}")
    if found.device.value == "cpu":
        assert free_gb < 4 or backend != "identity"
    else:
        assert float(found.memory.value.removesuffix(" GB")) <= 0.8 * free_gb + 0.05
        assert found.face_batch.value >= 1


@pytest.mark.parametrize(
    ("total_gb", "free_gb", "members", "expected", "says"),
    [
        # (faces a forward, side of a tile, Real-ESRGAN)
        (24.0, 23.5, "gfpgan", (8, 512, True), None),
        (8.2, 7.3, "gfpgan", (4, 256, True), "8 faces a forward would need 7.5 GB in all, and cuda:0 has 5.8 GB for it"),
        (4.2, 3.3, "gfpgan", (1, 128, True), "tiles of 256 px would need"),
        (
            4.2,
            3.21,
            "gfpgan,codeformer",
            (1, 256, False),
            "Lanczos: Real-ESRGAN beside the faces, both at their least,",
        ),
    ],
)
def test_what_falls_back_does_so_in_order_and_says_why(
    total_gb: float, free_gb: float, members: str, expected: tuple[int, int, bool], says: str | None
) -> None:
    """Less and less memory: fewer faces, smaller tiles, then Lanczos; the processor comes after that."""
    words = ("hardware.precision=fp32", "restore.upscale=4", "backend=ensemble", f"ensemble.backends=[{members}]")
    found = placed(machine(gpu(total_gb, free_gb=free_gb)), *words)
    assert found.device.value == "cuda:0"
    assert (found.face_batch.value, found.tile_px.value, found.upsampler.value) == expected
    whys = [found.face_batch.why, found.tile_px.why, found.upsampler.why]
    assert says is None or any(says in why for why in whys), whys
    assert sum("would need" in why for why in whys) == (0, 2, 2)[(says is not None) + (not found.upsampler.value)]


def test_one_piece_becomes_tiles_where_it_does_not_fit() -> None:
    assert placed(machine(gpu(85)), "mode=high-quality").tile_px.value == 0, "80 GB hold a photo of 12 megapixels in one piece"
    tiled = placed(machine(gpu(9)), "mode=high-quality").tile_px
    assert tiled.value == 512
    assert "a photo of 12 megapixels in one piece would need" in tiled.why
    assert placed(NO_GPU, "mode=high-quality", "background=realesrgan").tile_px.value == 0, "a processor can swap"


@pytest.mark.parametrize("backend", ["restoreformerpp", "ensemble"])
def test_restoreformerpp_goes_to_the_processor_under_4_gb_as_the_guide_says(backend: str) -> None:
    words = (f"backend={backend}", "ensemble.backends=[gfpgan,restoreformerpp]" if backend == "ensemble" else "seed=1")
    found = placed(machine(gpu(3.5)), *words)
    assert (found.tier.value, found.device.value, found.face_batch.value) == ("low", "cpu", 1)
    assert "under 4 GB" in found.device.why
    assert placed(machine(gpu(3.5)), *words, "hardware.device=cuda").device.value == "cuda:0", "asked for, and it fits"
    assert placed(machine(gpu(3.5)), "backend=codeformer").device.value == "cuda:0"
    assert placed(machine(gpu(6)), *words).device.value == "cuda:0", "4 to 8 GB hold it by prediction"
    crowded = placed(machine(gpu(6, free_gb=1.0)), "backend=restoreformerpp")
    assert crowded.device.value == "cpu"


@pytest.mark.parametrize(
    ("faked", "words", "says"),
    [
        (machine(gpu(6)), ("hardware=cpu", "hardware.device=cuda"), "hardware=cpu does not go with --device cuda"),
        (NO_GPU, ("hardware=mps",), "no Apple GPU"),
        (machine(gpu(24, trouble=NO_CAPABILITY)), ("hardware.device=cuda",), "compute capability 3.5"),
        (machine(gpu(85, free_gb=0.3)), ("hardware.device=cuda",), "cuda:0 has 0.2 GB for it; use --device cpu"),
        (machine(gpu(85, free_gb=5)), ("hardware.face_batch=64",), "--face-batch 64 needs"),
        (machine(gpu(85, free_gb=5)), ("background=realesrgan", "background.tile_px=4000"), "--tile 4000 needs"),
        (machine(gpu(85)), ("mode=memory-efficient", "hardware.face_batch=4"), "--memory-efficient restores one face"),
        (machine(gpu(85)), ("hardware.engine=openvino", "hardware.device=cuda"), "engine openvino computes on the processor"),
    ],
)
def test_what_was_asked_for_is_honoured_or_refused(faked: Machine, words: tuple[str, ...], says: str) -> None:
    with pytest.raises(GfpupError, match=re.escape(says)) as error:
        placed(faked, *words)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    ("faked", "words", "tier", "device"),
    [
        (NO_GPU, ("hardware=high",), "cpu", "cpu"),
        (NO_GPU, ("hardware=low",), "cpu", "cpu"),
        (machine(gpu(6)), ("hardware=high",), "mid", "cuda:0"),
        (machine(gpu(3)), ("hardware=high",), "low", "cuda:0"),
        (machine(gpu(6)), ("hardware=high", "hardware.device=cpu"), "cpu", "cpu"),
    ],
)
def test_a_tier_that_is_not_here_falls_back_with_its_reason(
    faked: Machine, words: tuple[str, ...], tier: str, device: str
) -> None:
    found = placed(faked, *words)
    assert (found.tier.value, found.device.value) == (tier, device)
    assert "was asked for" in found.tier.why and "falls back" in found.tier.why


def test_a_batch_on_a_processor_is_taken_one_by_one() -> None:
    found = placed(NO_GPU, "hardware.face_batch=4").face_batch
    assert found.value == 1 and "4 were asked for" in found.why


def test_an_explicit_batch_is_kept_where_it_fits() -> None:
    assert placed(machine(gpu(85)), "hardware.face_batch=32").face_batch.value == 32
    found = placed(machine(gpu(85, free_gb=5)), "hardware.face_batch=6", "background=none")
    assert (found.face_batch.value, found.face_batch.why) == (6, "asked for")


def test_a_smaller_tier_than_the_gpu_s_holds_a_run_to_its_memory() -> None:
    for name in GPU_TIERS[1:]:
        found = placed(machine(gpu(85)), f"hardware={name}", "hardware.precision=fp32")
        ceiling = TIERS[name].ceiling_bytes
        assert ceiling is not None
        assert float(found.memory.value.removesuffix(" GB")) <= 0.8 * ceiling / GB + 0.05


def test_a_small_machine_is_warned_and_still_runs() -> None:
    tiny = Machine(1, 2 * GB, free_bytes=GB, limits=("this container may hold 2.0 GB",))
    found = placed(tiny, "backend=restoreformerpp")
    assert found.device.value == "cpu"
    assert "1.0 GB are free" in found.warnings[0]
    assert "this container may hold" in found.memory.why
    assert not placed(NO_GPU).warnings
    assert not placed(Machine(1, 0)).warnings, "nothing is known, and so nothing is claimed"


def test_tiles_on_a_processor_depend_on_all_memory_and_not_on_what_is_free_now() -> None:
    words = ("background=realesrgan", "restore.upscale=4", "backend=gfpgan")
    assert placed(NO_GPU, *words).tile_px == placed(replace(NO_GPU, free_bytes=GB), *words).tile_px
    assert placed(replace(NO_GPU, memory_bytes=2 * GB), *words).tile_px.value == 128


def test_an_engine_and_a_smaller_detector_change_what_is_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def need(*words: str) -> float:
        return float(placed(NO_GPU, *words).memory.value.removesuffix(" GB"))

    # As if the packages were installed.
    monkeypatch.setattr("gfpup.models.engines.available", lambda name, *, device, dtype: None)
    usual = need()
    assert need("hardware.engine=openvino") == pytest.approx(usual + 1.62, abs=0.11)
    (tmp_path / "detector.pth").write_bytes(b"x")
    monkeypatch.setattr(detect, "architecture_of", lambda path: "retinaface-mobilenet0.25")
    assert need(f"detect.path={tmp_path / 'detector.pth'}") == pytest.approx(usual - 0.58, abs=0.11)
    assert need("detect.size=0") > usual + 2, "the detector sees all of the photo"
    assert need("detect.size=320") < usual


def test_upstream_is_planned_with_its_own_numbers() -> None:
    """One face after another, a detector that sees the whole photo, ParseNet, and networks that nobody rewrote."""
    found = placed(machine(gpu(24)), "backend=upstream")
    assert (found.face_batch.value, found.dtype.value) == (1, "float32")
    assert "one face after another" in found.face_batch.why
    parts = dict(re.findall(r"(\w+) ([\d.]+)(?=[,;])", found.memory.why))
    assert float(parts["weights"]) == pytest.approx(0.349 + 0.110 + 0.086, abs=0.006)
    assert float(parts["faces"]) == pytest.approx(0.63, abs=0.01)
    whole = memory_model.AIDS["retinaface-resnet50"].each["float32"] * memory_model.TYPICAL_PHOTO_PX / memory_model.DETECTED_PX
    assert float(parts["aids"]) == pytest.approx(whole / 1e9, abs=0.006)
    asked = placed(machine(gpu(24)), "backend=upstream", "hardware.face_batch=4").face_batch
    assert asked.value == 1 and "4 were asked for" in asked.why
    assert placed(machine(gpu(4.5)), "backend=upstream").device.value == "cpu", "a whole photo is too much for the detector"


def test_each_reason_counts_the_other_steps_as_made() -> None:
    found = placed(machine(gpu(6)), "mode=high-quality")
    first = re.search(r"^4 faces a forward would need ([\d.]+) GB", found.face_batch.why)
    assert first is not None and float(first[1]) < 10, "the background in one piece is not the faces' fault"
    assert re.search(r"in one piece would need [\d]{2}\.\d GB", found.tile_px.why)
    for free_gb in (2.5, 3.0, 3.5, 4.2, 5.0, 6.0, 7.0, 9.0):
        for mode in ("standard", "high-quality"):
            found = placed(machine(gpu(80.3, free_gb=free_gb)), f"mode={mode}", "restore.upscale=4")
            for reason in (found.face_batch, found.tile_px, found.upsampler):
                told = re.search(r"would need ([\d.]+) GB in all, and cuda:0 has ([\d.]+) GB", reason.why)
                assert told is None or float(told[1]) >= float(told[2]), reason.why


def test_a_promise_that_memory_breaks_is_a_warning() -> None:
    found = placed(machine(gpu(6)), "mode=high-quality")
    assert found.tile_px.value and f"in tiles of {found.tile_px.value} px" in found.warnings[0]
    assert not placed(machine(gpu(85)), "mode=high-quality").warnings
    assert not placed(machine(gpu(6)), "mode=high-quality", "background=none").warnings
    asked = ("mode=high-quality", "background=realesrgan", "background.tile_px=128")
    assert not placed(machine(gpu(6)), *asked).warnings, "tiles were asked for"


def test_the_least_names_what_was_asked_for() -> None:
    found = placed(machine(gpu(2)), "background=realesrgan", "background.tile_px=512")
    assert found.device.value == "cpu"
    assert "gfpgan with --background realesrgan and --tile 512, as asked for, needs" in found.device.why


@pytest.mark.parametrize("backend", ["identity", "classical"])
def test_no_face_is_redone_where_there_is_no_network(backend: str) -> None:
    why = placed(machine(gpu(24)), f"backend={backend}").dtype.why
    assert "no network" in why and "redone" not in why


SHARED = machine(gpu(80.3, free_gb=70))


@pytest.mark.parametrize(
    ("faked", "earlier", "expected"),
    [
        (SHARED, {"device": "cuda", "background": "realesrgan", "tiles": [128, 32]}, ("cuda:0", 128, True)),
        (
            machine(gpu(80.3, free_gb=7)),
            {"device": "cuda", "background": "realesrgan", "tiles": [512, 32]},
            ("cuda:0", 512, True),
        ),
        (SHARED, {"device": "cpu", "background": "none", "tiles": None}, ("cpu", 256, False)),
        # It does not fit today.
        (machine(gpu(80.3, free_gb=0.5)), {"device": "cuda", "background": "none", "tiles": None}, ("cpu", 256, False)),
        (
            machine(gpu(80.3, free_gb=4.5)),
            {"device": "cuda", "background": "realesrgan", "tiles": [0, 32]},
            ("cuda:0", 256, True),
        ),
        (NO_GPU, {"device": "cuda", "background": "realesrgan", "tiles": [512, 32]}, ("cpu", 256, False)),
        (SHARED, {}, ("cuda:0", 512, True)),
    ],
)
def test_results_that_are_there_keep_their_device_and_tiles(
    faked: Machine, earlier: dict[str, object], expected: tuple[str, int, bool]
) -> None:
    found = place(request(), faked, sweeping=False, earlier=earlier)
    assert (found.device.value, found.tile_px.value, found.upsampler.value) == expected
    today = placed(faked)
    kept = [(found.device, today.device), *([(found.tile_px, today.tile_px)] if found.upsampler.value else [])]
    for now, then in kept:
        assert now.value == then.value or now.why == "as the results that are there"


def test_what_is_asked_for_counts_more_than_the_results_that_are_there() -> None:
    earlier = {"device": "cpu", "background": "none", "tiles": None}
    words = request("hardware.device=cuda")
    assert place(words, SHARED, sweeping=False, earlier=earlier).device.value == "cuda:0"
    tiled = {"device": "cuda", "background": "realesrgan", "tiles": [128, 32]}
    words = request("background=realesrgan", "background.tile_px=256")
    assert place(words, SHARED, sweeping=False, earlier=tiled).tile_px.value == 256
    assert not place(request("background=none"), SHARED, sweeping=False, earlier=tiled).upsampler.value
