"""The advisor: the guide's flow as it stands, the machine, the licence, and the user's own runs against all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfpup.analysis.recommend.candidates import fetch, timed
from gfpup.analysis.recommend.guide import Advice, Hardware, Question, arithmetic, fit, guide, hardware_of, recommend
from gfpup.analysis.recommend.measured import from_runs
from gfpup.cli.overrides import to_overrides
from gfpup.core.errors import GfpupError
from gfpup.core.types import Score
from gfpup.machine.hardware import Gpu, Machine
from gfpup.models import backends
from gfpup.planning.tiers import tier_of
from gfpup.records.run_record import read_record
from gfpup.records.scores import write

LARGE, CPU = Hardware(24, 24, 64), Hardware(0, 0, 16)


@pytest.fixture(autouse=True)
def no_consents(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GFPUP_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("GFPUP_ACCEPT_LICENCES", raising=False)


def value_of(advice: Advice, flag: str) -> str | None:
    words = advice.command
    return words[words.index(flag) + 1] if flag in words else None


@pytest.mark.parametrize(
    ("use_case", "priority", "backend", "version"),
    [
        (None, "quality", "restoreformerpp", None),
        (None, "speed", "codeformer", None),
        (None, "natural", "gfpgan", "1.3"),
        (None, "general", "gfpgan", "1.4"),
        ("personal", None, "gfpgan", "1.4"),
        ("professional", None, "restoreformerpp", None),
        ("batch", None, "codeformer", None),
        ("archive", None, "gfpgan", "1.3"),
        ("archive", "quality", "restoreformerpp", None),
        ("batch", "natural", "gfpgan", "1.3"),
        (None, None, "gfpgan", "1.4"),
    ],
)
def test_the_flow_is_the_guides(use_case: str | None, priority: str | None, backend: str, version: str | None) -> None:
    advice = recommend(Question(use_case, priority), LARGE)
    assert (value_of(advice, "--backend"), value_of(advice, "--version")) == (backend, version)
    assert advice.command[:2] == ("gfpup", "run") and value_of(advice, "--device") is None
    assert (value_of(advice, "--metrics") == "full") == (use_case == "professional")
    assert (value_of(advice, "--background") == "none") == (use_case == "batch")


@pytest.mark.parametrize(
    ("priority", "gb", "tier", "device", "small"),
    [
        ("quality", 8, "high", None, False),
        ("quality", 7.9, "mid", None, False),
        ("quality", 5, "mid", None, False),
        ("quality", 4.5, "mid", "cpu", False),
        ("quality", 3.9, "low", "cpu", False),
        ("general", 4, "mid", None, False),
        ("general", 3.5, "low", None, True),
        ("speed", 2, "low", None, False),
        ("speed", 1, "low", None, True),
        ("speed", 0, "cpu", "cpu", False),
        ("quality", 0, "cpu", "cpu", False),
    ],
)
def test_what_a_tier_cannot_hold_runs_on_the_cpu_or_in_pieces(
    priority: str, gb: float, tier: str, device: str | None, small: bool
) -> None:
    advice = recommend(Question(priority=priority), Hardware(gb, gb))
    assert (advice.tier, value_of(advice, "--device"), "--memory-efficient" in advice.command) == (tier, device, small)


def test_a_gpu_that_others_fill_holds_nothing() -> None:
    assert fit("restoreformerpp", Hardware(24, 3))[:2] == ("high", "cpu")
    machine = Machine(8, 64 * 10**9, (Gpu("A", 24 * 10**9, 10**9), Gpu("B", 8_360_000_000, 8 * 10**9)))
    assert hardware_of(machine) == Hardware(8.36, 8.0, 64.0, "B")
    assert recommend(Question(priority="quality"), hardware_of(machine)).tier == "high"
    assert hardware_of(Machine(10, 16 * 10**9, mps=True)).gpu_gb == 16
    taken = Machine(8, 64 * 10**9, (Gpu("taken", 24 * 10**9, 3 * 10**9),))
    assert recommend(Question(priority="quality"), hardware_of(taken)).tier == tier_of(taken.gpus[0]) == "low"
    silent = Machine(8, 64 * 10**9, (Gpu("tells nothing", 0, 0),))
    assert recommend(Question(priority="quality"), hardware_of(silent)).tier == tier_of(silent.gpus[0]) == "low"
    assert recommend(Question(), hardware_of(Machine(4, 3 * 10**9))).warnings[0].startswith("the guide claims 6 GB")


def test_professional_use_gets_no_non_commercial_method() -> None:
    advice = recommend(Question("professional", "speed"), LARGE)
    assert advice.guide == "codeformer" and advice.backend == "gfpgan"
    assert "non-commercial" in advice.warnings[0] and "GFPGAN 1.4" in advice.warnings[0]
    assert "contested" in advice.warnings[1] and "RestoreFormer++ is free of that" in advice.warnings[1]
    assert "codeformer" in [other.method for other in advice.alternatives]
    assert recommend(Question("professional"), LARGE).warnings == ()


def test_consent_is_asked_for_until_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--accept-licence s-lab-1.0" in recommend(Question(priority="speed"), LARGE).warnings[0]
    monkeypatch.setenv("GFPUP_ACCEPT_LICENCES", "s-lab-1.0")
    (warning,) = recommend(Question(priority="speed"), LARGE).warnings
    assert "non-commercial" in warning and "--accept-licence" not in warning


def test_arithmetic_contradicts_the_fastest() -> None:
    reasons = " ".join(recommend(Question(priority="speed"), CPU).reasons)
    assert "a forward of codeformer costs 2 times one of gfpgan (810 against 396 GFLOP a face)" in reasons
    assert arithmetic("gfpgan", "codeformer") is None and arithmetic("classical", "gfpgan") is None
    assert "Deg RestoreFormer++ 29.63" in " ".join(recommend(Question(priority="quality"), CPU).reasons)


def test_what_the_guide_takes_is_a_sentence_for_every_priority() -> None:
    for priority, words in (("general", "GFPGAN 1.4 for general use"), ("natural", "GFPGAN 1.3 for the most natural results")):
        assert f"the guide takes {words}" in recommend(Question(priority=priority), LARGE).reasons
    others = {other.method: other.why for other in recommend(Question(priority="general"), LARGE).alternatives}
    assert others["restoreformerpp"] == "the guide's choice for the highest quality"


def test_every_answer_is_a_command_that_gfpup_run_takes() -> None:
    for use_case in (None, *guide()["use_cases"]):
        for priority in (None, *guide()["priorities"]):
            for gb in (0.0, 1.0, 3.0, 6.0, 12.0):
                advice = recommend(Question(use_case, priority, input="my photos/*.jpg", output="o u t"), Hardware(gb, gb, 64))
                for words in (advice.command, *(other.command for other in advice.alternatives)):
                    assert "source.paths=['my photos/*.jpg']" in to_overrides(words[2:])


def test_the_guides_data_names_what_exists() -> None:
    for name, method in guide()["methods"].items():
        facts = backends.facts(method["backend"])
        assert method["flags"].get("--version", facts.default_version) in facts.versions, name
    for facts in guide()["priorities"].values():
        assert set(facts["take"]) <= set(guide()["methods"])
    assert {use["priority"] for use in guide()["use_cases"].values()} <= set(guide()["priorities"])
    assert [tier["from_gb"] for tier in guide()["tiers"].values()] == [8, 4, 1e-9, 0]
    with pytest.raises(GfpupError, match="invalid value 'hobby' for --use-case"):
        recommend(Question("hobby"), CPU)


def finished(
    folder: Path,
    backend: str,
    values: Sequence[float | None],
    seconds: float,
    *,
    metric: str = "lpips_vgg",
    higher: bool = False,
    parameters: Mapping[str, Any] | None = None,
    peak_gb: float = 1.0,
    cores: int = 4,
    precision: str = "auto",
    **pixels: Any,
) -> Path:
    """A finished, scored run: its values a photo are given, its seconds differ a little from photo to photo."""
    names = [f"{i}.png" for i in range(len(values))]
    jitter = np.random.default_rng(len(backend)).normal(0, 0.02 * seconds, len(values))
    jitter -= jitter.mean()
    rows = [
        Score(metric, value, higher, "no face" if value is None else None, photo=name)
        for name, value in zip(names, values, strict=True)
    ]
    rows.append(Score("peak_memory", peak_gb * 1e9, False))
    photos = [
        {"name": name, "error": None, "seconds": {"read": 9.0, "restore": seconds + float(extra)}}
        for name, extra in zip(names, jitter, strict=True)
    ]
    plan = {"pixels": {"backend": backend, "parameters": parameters or {}, "device": "cpu", **pixels}}
    document = {"status": "done", "plan": plan, "photos": photos, "hardware": {"cores": cores, "gpus": []}}
    document["configuration"] = {"hardware": {"precision": precision, "engine": "auto", "compile": False}}
    folder.mkdir(parents=True)
    write(folder, rows)
    (folder / "manifest.json").write_text(json.dumps(document))
    return folder


@pytest.fixture
def sweep(tmp_path: Path) -> list[Path]:
    """Twenty photos: RestoreFormer++ and CodeFormer are alike in quality, GFPGAN is worse and fastest, the input is worst."""
    rng = np.random.default_rng(7)
    base = rng.uniform(0.3, 0.5, 20)

    def noisy(shift: float) -> list[float]:
        return list(base + shift + rng.normal(0, 0.01, 20))

    return [
        finished(tmp_path / "identity", "identity", list(base + 0.2), 0.01),
        finished(tmp_path / "gfpgan", "gfpgan", noisy(0.05), 2.0, parameters={"version": "1.4"}),
        finished(
            tmp_path / "codeformer", "codeformer", noisy(0.0), 4.0, parameters={"fidelity": 0.3}, upscale=4, precision="bf16"
        ),
        finished(tmp_path / "rfpp", "restoreformerpp", noisy(-0.002), 4.5, peak_gb=3.0),
    ]


def test_a_difference_within_the_interval_is_none_and_the_faster_is_taken(sweep: list[Path]) -> None:
    advice = from_runs(sweep, Question(priority="quality"), CPU)
    said = " ".join(advice.reasons)
    assert advice.backend == "codeformer" and "is no different by lpips_vgg" in said and "its interval" in said
    assert advice.command == (
        *("gfpup", "run", "--input", "photos/", "--backend", "codeformer", "--fidelity", "0.3", "--upscale", "4"),
        *("--precision", "bf16", "--device", "cpu", "--output", "out/"),
    )
    assert ", and codeformer, which is not shown to be worse, is faster, 4 s a photo" in said
    assert "the guide takes RestoreFormer++, and no difference to it is shown here" in said
    assert "identity is left out: it is what others are held against" in said
    assert "s-lab-1.0" in advice.warnings[0]
    to_overrides(advice.command[2:])
    rows = {row["run"]: row for row in advice.table}
    assert rows["codeformer"]["verdict"] == "taken" and rows["gfpgan"]["verdict"] == "worse" and rows["gfpgan"]["on_front"]
    assert rows["rfpp"]["seconds"] == pytest.approx(4.5, rel=0.02)  # of the record, without the reading
    assert advice == from_runs(sweep, Question(priority="quality"), CPU)


def test_measured_speed_contradicts_the_guide_with_numbers(sweep: list[Path]) -> None:
    advice = from_runs(sweep, Question(priority="speed"), CPU)
    said = " ".join(advice.reasons)
    assert advice.method == "gfpgan-1.4" and advice.guide == "codeformer"
    assert "the guide takes CodeFormer, which is shown to be slower here: " in said and "gfpgan: 2 s a photo" in said
    assert "a forward of codeformer costs 2 times one of gfpgan" in said
    assert "codeformer" in [other.method for other in advice.alternatives]


def test_licence_and_memory_of_this_machine_close_runs(sweep: list[Path]) -> None:
    professional = from_runs(sweep, Question("professional"), CPU)
    assert professional.backend == "restoreformerpp" and "the guide takes RestoreFormer++ too" in professional.reasons
    assert "codeformer is non-commercial" in " ".join(professional.reasons)
    small = from_runs(sweep, Question("professional"), Hardware(0, 0, 2.0))
    assert small.backend == "gfpgan" and "its run took 3 GB and 2 GB are here" in " ".join(small.reasons)
    with pytest.raises(GfpupError, match="none of these runs can be advised"):
        from_runs(sweep, Question("professional"), Hardware(0, 0, 0.5))


@pytest.mark.parametrize("unit", [1.0, 0.01])
def test_general_use_takes_what_is_near_to_both_ends_whatever_the_unit_of_time(tmp_path: Path, unit: float) -> None:
    rng = np.random.default_rng(3)
    base = rng.uniform(25, 30, 12)
    folders = [
        finished(tmp_path / name, backend, list(base + gain), unit * seconds, metric="psnr", higher=True)
        for name, backend, gain, seconds in (
            ("slow", "restoreformerpp", 2.0, 100.0),
            ("middle", "codeformer", 1.8, 2.0),
            ("fast", "gfpgan", 0.0, 1.0),
        )
    ]
    assert from_runs(folders, Question(), CPU).backend == "codeformer"
    assert from_runs(folders, Question(priority="quality"), CPU).backend == "restoreformerpp"
    assert from_runs(folders, Question(priority="speed"), CPU).backend == "gfpgan"


def test_what_is_worse_than_the_input_is_not_advised_and_what_is_not_better_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    base = rng.uniform(25, 30, 16)
    gains = {"identity": 0 * base, "gfpgan": -1 + 0 * base, "classical": rng.normal(0, 0.5, 16)}
    for sign, said in (
        (1, "classical scores below the unchanged input by psnr: "),
        (-1, "classical is not shown to be better than the input by psnr"),
    ):
        gains["classical"] = -sign * abs(gains["classical"].mean()) + gains["classical"] - gains["classical"].mean()
        folders = [
            finished(tmp_path / f"{sign}" / name, name, list(base + gain), 1.0, metric="psnr", higher=True)
            for name, gain in gains.items()
        ]
        advice = from_runs(folders, Question(priority="quality"), CPU)
        assert advice.backend == "classical"
        assert "gfpgan is left out: it is shown worse than the input" in " ".join(advice.reasons)
        (warning,) = (line for line in advice.warnings if "the input" in line or "unchanged" in line)
        assert warning.startswith(said) and warning.endswith("(no difference shown)")


def test_of_few_scores_nothing_is_claimed_and_below_the_input_is_said(tmp_path: Path) -> None:
    scores = {"identity": [0.68, 0.70, 0.66, 0.72], "gfpgan": [0.5, 0.5, 0.5, 0.5], "classical": [0.67, 0.69, 0.66, 0.71]}
    folders = [
        finished(tmp_path / name, name, [*values, *[None] * 8], 1.0, metric="ssim", higher=True)
        for name, values in scores.items()
    ]
    advice = from_runs(folders, Question(priority="quality"), CPU)
    said = " ".join(advice.reasons)
    assert advice.backend == "classical" and "on the 4 of 12 photos that have it in all runs" in said
    assert "the 4 photos that have ssim are too few for a claim" in said
    assert "classical has the best ssim of those that may be taken, 0.6825" in said
    assert "classical scores below the unchanged input by ssim: 0.6825 against 0.69 (too few)" in advice.warnings


def test_few_photos_and_other_machines_are_named(tmp_path: Path) -> None:
    folders = [
        finished(tmp_path / "a", "gfpgan", [0.3, 0.4, 0.5], 1.0, cores=16),
        finished(tmp_path / "b", "restoreformerpp", [0.2, 0.3, 0.4], 2.0, cores=16),
    ]
    advice = from_runs(folders, Question(priority="quality"), CPU, machine=Machine(2, 16 * 10**9))
    assert advice.backend == "restoreformerpp"  # not "no difference": three photos show nothing either way
    assert "3 photos are too few for a claim" in " ".join(advice.reasons)
    assert "made elsewhere (16 cores), and this machine is 2 cores" in " ".join(advice.warnings)


def test_an_ensemble_keeps_its_members_and_their_licences(tmp_path: Path) -> None:
    members = [
        {"backend": "gfpgan", "parameters": {"version": "1.4"}, "weight": 0.5},
        {"backend": "codeformer", "parameters": {"fidelity": 0.5}, "weight": 0.5},
    ]
    values = list(np.linspace(0.2, 0.4, 12))
    folders = [
        finished(tmp_path / "mix", "ensemble", values, 6.0, members=members, mode="high-quality"),
        finished(tmp_path / "alone", "gfpgan", [value + 0.1 for value in values], 2.0, parameters={"version": "1.4"}),
    ]
    advice = from_runs(folders, Question(priority="quality"), LARGE)
    assert {"--ensemble-backends", "gfpgan,codeformer", "--high-quality", "0.5,0.5"} <= set(advice.command)
    to_overrides(advice.command[2:])
    assert from_runs(folders, Question("professional"), LARGE).backend == "gfpgan"


def test_a_run_of_auto_is_advised_as_it_was_and_keeps_the_licences_it_may_use(tmp_path: Path) -> None:
    members = [
        {"method": "gfpgan-1.4", "backend": "gfpgan", "parameters": {"version": "1.4"}},
        {"method": "gfpgan-1.3", "backend": "gfpgan", "parameters": {"version": "1.3"}},
        {"method": "codeformer-0.5", "backend": "codeformer", "parameters": {"fidelity": 0.5}},
    ]
    values = list(np.linspace(0.2, 0.4, 12))
    folders = [
        finished(tmp_path / "each", "auto", values, 6.0, members=members),
        finished(tmp_path / "alone", "gfpgan", [value + 0.1 for value in values], 2.0, parameters={"version": "1.4"}),
    ]
    advice = from_runs(folders, Question(priority="quality"), LARGE)
    assert value_of(advice, "--backend") == "auto"
    assert not {"--ensemble-backends", "--version", "--fidelity"} & set(advice.command)
    assert len(set(advice.warnings)) == len(advice.warnings), "two versions of a method share a licence: it is told once"
    assert from_runs(folders, Question("professional"), LARGE).backend == "gfpgan"


def test_seconds_that_another_job_spent_count_as_if_they_were_spent_here(tmp_path: Path) -> None:
    folder = finished(tmp_path / "second", "classical", [0.3, 0.4], 1.0)
    document = json.loads((folder / "manifest.json").read_text())
    for line in document["photos"]:
        line["seconds"] = {"read": 9.0, "detect": 0.01, "restore": 1.0}
        line["reused"] = {"detect": 0.5}
    (folder / "manifest.json").write_text(json.dumps(document))
    rows = [row for row in timed(read_record(folder)).scores if row.metric == "seconds"]
    assert [row.value for row in rows] == [1.5, 1.5]


def test_runs_that_cannot_be_compared_are_refused(tmp_path: Path, sweep: list[Path]) -> None:
    other = finished(tmp_path / "psnr-only", "classical", [20.0] * 20, 1.0, metric="psnr", higher=True)
    with pytest.raises(GfpupError, match="share no metric that can decide the priority 'general'"):
        from_runs([sweep[0], other], Question(), CPU)
    with pytest.raises(GfpupError, match="not all runs have 'ssim'"):
        from_runs(sweep, Question(), CPU, metric="ssim")
    with pytest.raises(GfpupError, match="at least two runs"):
        from_runs(sweep[:1], Question(), CPU)
    (other / "manifest.json").write_text("[]")
    with pytest.raises(GfpupError, match="is not the record of a run"):
        from_runs([other, sweep[1]], Question(), CPU)


def test_an_experiment_decides_as_its_folders_do(sweep: list[Path], tmp_path: Path) -> None:
    from gfpup.tracking.facts import COMPLETE
    from gfpup.tracking.store import KIND, client, prepare_store, store_uri

    uri = store_uri(str(tmp_path / "mlruns"))
    experiment = prepare_store(uri, "mine")
    store = client(uri)
    for folder in sweep[1:]:
        run = store.create_run(experiment, run_name=f"{folder.name} at 2x/é", tags={KIND: "run", COMPLETE: "true"})
        for file in ("manifest.json", "scores.csv"):
            store.log_artifact(run.info.run_id, str(folder / file))
    store.create_run(experiment, run_name="half", tags={KIND: "run"})
    folders = fetch("mine", str(tmp_path / "mlruns"), tmp_path / "here")
    assert all(folder.parent == tmp_path / "here" for folder in folders)
    assert sorted(folder.name for folder in folders) == [f"{folder.name}_at_2x_é" for folder in sorted(sweep[1:])]
    advice = from_runs(folders, Question(priority="speed"), CPU)
    assert advice.command == from_runs(sweep[1:], Question(priority="speed"), CPU).command
    with pytest.raises(GfpupError, match="has no experiment 'other'; it has Default, mine"):
        fetch("other", str(tmp_path / "mlruns"), tmp_path / "there")
    with pytest.raises(GfpupError, match="there is no store at"):
        fetch("mine", str(tmp_path / "nowhere"), tmp_path / "there")
    prepare_store(uri, "empty")
    with pytest.raises(GfpupError, match="has no scored run"):
        fetch("empty", str(tmp_path / "mlruns"), tmp_path / "there")


def test_a_command_repeats_every_setting_of_its_run_and_no_default(tmp_path: Path) -> None:
    values = list(np.linspace(0.2, 0.4, 12))
    other = finished(tmp_path / "other", "restoreformerpp", [value + 0.1 for value in values], 3.0)
    plain = finished(tmp_path / "plain", "gfpgan", values, 2.0, upscale=2, strength=1, identity_min=None, mode="standard")
    assert from_runs([plain, other], Question(priority="quality"), LARGE).command == (
        "gfpup", "run", "--input", "photos/", "--backend", "gfpgan", "--output", "out/",
    )  # fmt: skip
    rich = finished(
        tmp_path / "rich", "gfpgan", values, 2.0, parameters={"version": "1.3", "clip": 3}, upscale=1.5, strength=0.7,
        identity_min=0.4, aligned=True, match_color=True, mode="memory-efficient", precision="fp16",
    )  # fmt: skip
    advice = from_runs([rich, other], Question(priority="quality"), LARGE)
    for flag, value in (
        ("--version", "1.3"), ("--upscale", "1.5"), ("--strength", "0.7"), ("--identity-min", "0.4"), ("--precision", "fp16"),
    ):  # fmt: skip
        assert value_of(advice, flag) == value
    assert {"--aligned", "--match-color", "--memory-efficient", "restore.clip=3"} <= set(advice.command)
    assert "--engine" not in advice.command and "--compile" not in advice.command


def test_seconds_of_failed_photos_do_not_count_and_without_any_the_run_is_refused(tmp_path: Path) -> None:
    folder = finished(tmp_path / "run", "classical", [0.3, 0.4, 0.5], 1.0)
    document = json.loads((folder / "manifest.json").read_text())
    for line, took in zip(document["photos"], (1.0, 2.0, 50.0), strict=True):
        line["seconds"] = {"restore": took}
    document["photos"][2]["error"] = "torn"
    (folder / "manifest.json").write_text(json.dumps(document))
    rows = {row.photo: row.value for row in timed(read_record(folder)).scores if row.metric == "seconds"}
    assert rows == {"0.png": 1.0, "1.png": 2.0}
    for line in document["photos"]:
        line["error"] = "torn"
    (folder / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(GfpupError, match="has no seconds"):
        timed(read_record(folder))


def test_memory_that_a_run_took_is_said_and_the_guides_claim_only_without_it(tmp_path: Path) -> None:
    values = list(np.linspace(0.2, 0.4, 12))
    folders = [
        finished(tmp_path / "a", "restoreformerpp", values, 2.0, peak_gb=2.5),
        finished(tmp_path / "b", "gfpgan", [value + 0.1 for value in values], 1.0),
    ]
    advice = from_runs(folders, Question(priority="quality"), Hardware(0, 0, 4))
    assert "its run took 2.5 GB of memory on a CPU" in advice.reasons and not any("claims" in w for w in advice.warnings)
    for folder in folders:
        write(folder, [row for row in read_record(folder).scores if row.metric != "peak_memory"])
    advice = from_runs(folders, Question(priority="quality"), Hardware(0, 0, 4))
    assert any("the guide claims" in warning and "here are 4 GB" in warning for warning in advice.warnings)


def test_runs_of_several_machines_or_devices_are_not_comparable_by_seconds(tmp_path: Path) -> None:
    values = list(np.linspace(0.2, 0.4, 12))

    def warned(name: str, *, cores: int, device: str, machine: Machine | None = None) -> bool:
        folders = [
            finished(tmp_path / name / "a", "gfpgan", values, 1.0),
            finished(tmp_path / name / "b", "restoreformerpp", values, 2.0, cores=cores, device=device),
        ]
        warnings = from_runs(folders, Question(priority="quality"), LARGE, machine=machine).warnings
        assert any("made elsewhere" in warning for warning in warnings) == (machine is not None and machine.cores == 2)
        return any("different machines or devices" in warning for warning in warnings)

    assert not warned("same", cores=4, device="cpu", machine=Machine(4, 16 * 10**9))
    assert warned("cores", cores=8, device="cpu") and warned("device", cores=4, device="cuda:0")
    assert not warned("here", cores=4, device="cpu", machine=Machine(2, 16 * 10**9))
