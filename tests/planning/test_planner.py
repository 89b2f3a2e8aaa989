"""Plans: precision, engine, threads and memory beside the rest, each decision with its reason, on faked machines."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from machines import NO_GPU, gpu, machine, request

from gfpup.core import registry
from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.core.plan import Decision, Plan
from gfpup.machine.hardware import Machine
from gfpup.models import engines
from gfpup.models.backends.identity import Identity
from gfpup.planning.planner import fingerprint, make_plan
from gfpup.weights import packaged
from gfpup.weights.resolver import Resolver
from gfpup.weights.store import Store

GPU = machine(gpu(24))


@pytest.fixture
def plan(tmp_path: Path):
    """`plan(machine, *overrides)` plans without weights, consent or network."""

    def make(faked: Machine, *overrides: str, offline: bool = False, sweeping: bool = False) -> Plan:
        store = Store(tmp_path, mirrors={}, offline=offline, trust_first_download=True)
        resolver = Resolver(store, accepted=("s-lab-1.0",), dry_run=True)
        return make_plan(request(*overrides), faked, resolver, sweeping=sweeping)[0]

    return make


def why(plan: Plan, setting: str) -> Decision:
    (reason,) = [reason for reason in plan.reasons if reason.setting == setting]
    return reason


def engine(monkeypatch: pytest.MonkeyPatch, lack: str | None) -> None:
    """Fake what the engines say of themselves."""
    monkeypatch.setattr(engines, "available", lambda name, *, device, dtype: lack)


def test_a_plan_explains_each_of_its_decisions(plan) -> None:
    made = plan(GPU)
    settings = {reason.setting for reason in made.reasons}
    assert settings >= {
        "tier",
        "device",
        "dtype",
        "engine",
        "face_batch",
        "tiles",
        "background",
        "threads",
        "memory",
        "workers",
    }
    assert (made.device, made.face_batch, made.photo_batch) == ("cuda:0", 8, 4)
    assert made.recipe.dtype == "bfloat16"
    assert made.recipe.background == "realesrgan"
    assert made.recipe.tiles == (512, 32)
    assert "no GPU was measured" in why(made, "memory").why
    json.dumps(made.reasons[0].value)


@pytest.mark.parametrize(
    ("faked", "words", "dtype", "says"),
    [
        (NO_GPU, (), "float32", "exact"),
        (NO_GPU, ("hardware.precision=fp32",), "float32", "asked for"),
        (NO_GPU, ("hardware.precision=bf16",), "bfloat16", "this processor only imitates it"),
        (replace(NO_GPU, bfloat16=True), ("hardware.precision=bf16", "backend=codeformer"), "bfloat16", "redone in float32"),
        (replace(NO_GPU, bfloat16=True), (), "float32", "exact"),
        (GPU, (), "bfloat16", "redone in float32"),
        (GPU, ("hardware.precision=fp32",), "float32", "asked for"),
        (machine(gpu(24, bfloat16=False)), (), "float32", "does not compute in bfloat16"),
        (machine(gpu(24, bfloat16=False)), ("hardware.precision=bf16",), "bfloat16", "Unheard-of 9000 only imitates it"),
        (machine(gpu(24, bfloat16=False)), ("mode=memory-efficient",), "float32", "does not compute in bfloat16"),
        (GPU, ("mode=memory-efficient",), "bfloat16", "for memory"),
        (GPU, ("mode=high-quality",), "float32", "mirrored"),
        (GPU, ("mode=high-quality", "hardware.precision=fp32"), "float32", "mirrored"),
        (NO_GPU, ("backend=identity", "hardware.precision=fp16"), "float16", "no network"),
        (GPU, ("background=spandrel", "background.path=FILE"), "float32", "spandrel"),
        (replace(machine(), mps=True), (), "float32", "not tried"),
    ],
)
def test_precision(plan, tmp_path: Path, faked: Machine, words: tuple[str, ...], dtype: str, says: str) -> None:
    (tmp_path / "file.pth").write_bytes(b"x")
    made = plan(faked, *(word.replace("FILE", str(tmp_path / "file.pth")) for word in words))
    assert made.recipe.dtype == dtype
    assert says in why(made, "dtype").why


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("hardware.precision=fp16",), "'gfpgan' does not compute in fp16: float16 ends at 65,504, which its values exceed"),
        (("hardware.precision=fp16", "backend=codeformer"), "'codeformer' does not compute in fp16: float16 ends at 65,504"),
        (("hardware.precision=fp16", "backend=restoreformerpp"), "use --precision fp32 or bf16"),
        (("hardware.precision=fp16", "backend=ensemble", "ensemble.backends=[identity,gfpgan]"), "'gfpgan'"),
        (("hardware.precision=fp16", "backend=identity", "background=realesrgan"), "--background realesrgan does not run"),
        (("hardware.precision=bf16", "mode=high-quality"), "--high-quality computes in float32"),
        (("hardware.precision=bf16", "backend=upstream"), "delivers whole photos"),
        (("hardware.precision=int8",), "invalid value 'int8' for hardware.precision"),
        (("hardware.engine=tensorrt",), "invalid value 'tensorrt' for hardware.engine"),
        (("hardware.tier=huge",), "invalid value 'huge' for hardware.tier"),
    ],
)
@pytest.mark.parametrize("faked", [NO_GPU, GPU])
def test_a_precision_that_cannot_be_had_is_refused(plan, faked: Machine, words: tuple[str, ...], says: str) -> None:
    with pytest.raises(GfpupError, match=re.escape(says)) as error:
        plan(faked, *words)
    assert "\n" not in str(error.value)


def test_a_plug_in_may_compute_in_float16(plan, monkeypatch: pytest.MonkeyPatch) -> None:
    class Half(Identity):
        """A method of somebody's own."""

        precisions = ("float32", "float16")

    monkeypatch.setattr(registry, "plugins", lambda kind: {"half": "somewhere:Half"})
    monkeypatch.setattr(registry, "resolve", lambda kind, name, table: Half)
    settings = ("backend.name=half",)
    made = plan(GPU, *settings, "hardware.precision=fp16")
    assert made.recipe.dtype == "float16"
    assert made.recipe.background == "none"
    assert "float16" in why(made, "background").why
    assert plan(GPU, *settings).recipe.dtype == "float32", "it lists no bfloat16"
    with pytest.raises(GfpupError, match="use --precision fp32 or fp16"):
        plan(GPU, *settings, "hardware.precision=bf16")


def test_eager_is_the_default_and_asks_no_engine(plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "available", None)  # a call would fail
    for words in ((), ("hardware.engine=eager",)):
        made = plan(NO_GPU, *words)
        assert made.recipe.engine == "eager"
        assert why(made, "engine").why


def test_engines_are_honoured_or_refused(plan, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch, None)
    for name in ("compile", "openvino", "onnxruntime"):
        assert plan(NO_GPU, f"hardware.engine={name}").recipe.engine == name
    assert plan(GPU, "hardware.engine=openvino").device == "cpu", "where it computes"
    assert "against eager" in why(plan(NO_GPU, "hardware.engine=openvino"), "engine").why
    assert plan(NO_GPU, "hardware.compile=true").recipe.engine == "compile"
    assert plan(NO_GPU, "hardware.compile=true", "hardware.engine=compile").recipe.engine == "compile"
    with pytest.raises(GfpupError, match="exclude each other"):
        plan(NO_GPU, "hardware.compile=true", "hardware.engine=openvino")
    with pytest.raises(GfpupError, match="identity runs no network"):
        plan(NO_GPU, "backend=identity", "hardware.engine=openvino")
    assert plan(NO_GPU, "backend=identity", "hardware.engine=openvino", sweeping=True).recipe.engine == "eager"
    engine(monkeypatch, "openvino is not installed: pip install 'gfpup[openvino]'.")
    with pytest.raises(GfpupError, match=r"openvino is not available: openvino is not installed.*leave it out for eager"):
        plan(NO_GPU, "hardware.engine=openvino")


def test_engines_know_their_precision_and_device(plan) -> None:
    with pytest.raises(GfpupError, match="--engine onnxruntime is not available: onnxruntime has no kernels for bfloat16"):
        plan(NO_GPU, "hardware.engine=onnxruntime", "hardware.precision=bf16")
    made = plan(replace(machine(), mps=True), "hardware.compile=true")
    assert (made.device, made.recipe.engine) == ("mps", "eager")
    assert "does not compute on mps" in why(made, "engine").why


@pytest.mark.parametrize("backend", ["gfpgan", "identity", "upstream"])
def test_compile_falls_back_to_eager_with_its_reason(plan, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    engine(monkeypatch, "there is no C++ compiler")
    made = plan(NO_GPU, "hardware.compile=true", f"backend={backend}")
    assert made.recipe.engine == "eager"
    assert ("there is no C++ compiler" if backend == "gfpgan" else "runs no network") in why(made, "engine").why


def test_engine_and_precision_are_another_result_and_eager_is_the_old_one(plan, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch, None)
    eager = plan(NO_GPU)
    before = {key: value for key, value in eager.recipe.facts().items() if key != "engine"}
    assert fingerprint(eager) == hashlib.sha256(json.dumps(before, sort_keys=True).encode()).hexdigest()[:16]
    others = [plan(NO_GPU, word) for word in ("hardware.engine=openvino", "hardware.engine=compile", "hardware.precision=bf16")]
    assert len({fingerprint(made) for made in (eager, *others)}) == 4
    assert fingerprint(plan(NO_GPU, "hardware=cpu")) == fingerprint(eager), "the same by another name"


@pytest.mark.parametrize(
    ("faked", "words", "threads", "says"),
    [
        (NO_GPU, (), 2, "each core"),
        (replace(NO_GPU, omp_threads=1), (), 1, "OMP_NUM_THREADS"),
        (replace(NO_GPU, omp_threads=64), (), 2, "each core"),
        (replace(NO_GPU, omp_threads=1), ("hardware.threads=3",), 3, "asked for"),
        (replace(NO_GPU, cores=1, limits=("this container may keep 1.5 cores busy",)), (), 1, "may keep 1.5 cores busy"),
    ],
)
def test_threads(plan, faked: Machine, words: tuple[str, ...], threads: int, says: str) -> None:
    made = plan(faked, *words)
    assert made.threads == threads
    assert made.recipe.threads == threads
    assert says in why(made, "threads").why
    assert plan(replace(GPU, omp_threads=1)).recipe.threads is None, "a GPU's bytes do not depend on them"


def test_a_background_that_does_not_fit_is_not_downloaded(plan) -> None:
    roomy = plan(machine(gpu(85)))
    assert roomy.recipe.background == "realesrgan"
    assert any("realesrgan" in lack for lack in roomy.missing)
    for faked in (machine(gpu(3.5)), NO_GPU):
        made = plan(faked)
        assert made.recipe.background == "none"
        assert not any("realesrgan" in lack for lack in made.missing)
        assert made.recipe.tiles is None
    assert "keeps its memory for the faces" in why(plan(machine(gpu(3.5))), "background").why


def test_a_run_on_the_processor_of_a_machine_with_a_gpu_is_that_of_one_without(plan) -> None:
    beside, alone = plan(replace(GPU, cores=2), "hardware.device=cpu"), plan(NO_GPU)
    assert fingerprint(beside) == fingerprint(alone)
    assert (beside.face_batch, beside.photo_batch) == (1, 1)


def test_one_face_at_a_time_loads_one_photo_at_a_time(plan) -> None:
    assert plan(machine(gpu(3.5))).photo_batch == 1
    assert plan(GPU, "mode=memory-efficient").photo_batch == 1
    assert plan(GPU, "hardware.face_batch=2").photo_batch == 2


def test_what_a_method_does_not_use_is_left_out_in_a_sweep_and_refused_in_a_run(plan, tmp_path: Path) -> None:
    results = ("backend=precomputed", f"precomputed.folder='{tmp_path}'")
    once, twice = plan(NO_GPU, *results), plan(NO_GPU, *results, "restore.strength=0.5", sweeping=True)
    assert once.recipe == twice.recipe and "has no effect on precomputed" in why(twice, "restore.strength").why
    with pytest.raises(GfpupError, match="--strength does not apply to backend 'precomputed'"):
        plan(NO_GPU, *results, "restore.strength=0.5")
    half = ("backend=identity", "restore.strength=0.5")
    assert plan(NO_GPU, *half, sweeping=True).recipe == plan(NO_GPU, "backend=identity").recipe
    assert plan(NO_GPU, *half).recipe.strength == 0.5


def test_auto_takes_mtcnn_before_the_cascade_where_its_networks_are_here(plan, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ("backend=classical", "weights.download=false")
    monkeypatch.setattr(packaged, "mtcnn_fault", lambda: None)
    made = plan(NO_GPU, *asked, offline=True)
    assert made.recipe.detector == "mtcnn" and any("so MTCNN finds the faces" in said for said in made.warnings)
    monkeypatch.setattr(packaged, "mtcnn_fault", lambda: "onet.pt is damaged: install it again")
    made = plan(NO_GPU, *asked, offline=True)
    assert made.recipe.detector == "cascade"
    (said,) = [one for one in made.warnings if "so the cascade finds the faces" in one]
    assert "onet.pt is damaged" in said
    with pytest.raises(CheckpointError, match=r"detector mtcnn is not available: onet\.pt is damaged"):
        plan(NO_GPU, *asked, "detect.name=mtcnn", offline=True)


def test_mtcnn_takes_no_checkpoint(plan, tmp_path: Path) -> None:
    with pytest.raises(GfpupError, match="the mtcnn takes no checkpoint"):
        plan(NO_GPU, "backend=classical", "detect.name=mtcnn", f"detect.path={tmp_path / 'x.pth'}")


def test_photos_of_persons_are_part_of_the_recipe_and_need_the_identity_network(plan, tmp_path: Path) -> None:
    for name in ("ann/1.jpg", "ben/2.jpg", "ben/3.jpg"):
        (tmp_path / "folk" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folk" / name).write_bytes(name.encode())
    people = f"people.folder={tmp_path / 'folk'}"
    made = plan(NO_GPU, people)
    assert "people" not in plan(NO_GPU).recipe.facts() and "3 photos of ann, ben in" in why(made, "people").why
    assert any("arcface" in reason for reason in made.missing)
    chosen = [plan(NO_GPU, people, f"faces.persons=[{names}]") for names in ("ann,ben", "ben,ann")]
    stricter = plan(NO_GPU, people, "people.false_match=0.001")
    assert len({fingerprint(other) for other in (plan(NO_GPU), made, *chosen, stricter)}) == 4, (
        "the order of persons is the same"
    )
    assert "photos of their person" in why(plan(NO_GPU, people, "guard.identity_min=0.5"), "identity_min").why
    unused = plan(NO_GPU, people, "backend=upstream", sweeping=True)
    assert unused.recipe.people is None and "has no effect on upstream" in why(unused, "people.folder").why
