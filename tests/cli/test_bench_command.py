"""`gfpup bench` as a command: its JSON, its tables, its refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from forks import Forks

from gfpup.cli import bench
from gfpup.cli.main import main
from gfpup.models.backends import upstream_imports

NUMBER = {"type": "number", "exclusiveMinimum": 0}
SPREAD = {"type": "object", "required": ["median", "q1", "q3", "values"], "properties": {"median": NUMBER}}
SIDE = {
    "type": "object",
    "required": ["backend", "side", "engine", "precision", "batch", "wall", "cpu", "stages", "peak_memory_bytes", "weights"],
    "properties": {"wall": SPREAD, "cpu": SPREAD, "peak_memory_bytes": {"type": ["integer", "null"]}},
}
SCHEMA = {
    "type": "object",
    "required": ["speedup", "speedup_cpu", "sides", "quartiles", "ceiling", "warning", "backends", "machine", "date", "what"],
    "properties": {
        "speedup": {"type": ["number", "null"]},
        "speedup_cpu": {"type": ["number", "null"]},
        "sides": {"type": "array", "items": SIDE, "minItems": 1},
        "warning": {"type": ["string", "null"]},
        "machine": {"type": "object", "required": ["processor", "commit", "versions", "threads", "cores"]},
        "ceiling": {"type": "object", "required": ["wall", "cpu"]},
    },
}


Measured = Callable[..., dict[str, Any]]


@pytest.fixture
def measured(forks: Forks) -> Measured:
    """`measured(*words)` is what the command prints with --json, from a process of its own, held to the schema."""

    def measured(*words: str) -> dict[str, Any]:
        run = forks.gfpup(["bench", *words, "--json"])
        assert run.wait(timeout=600) == 0, run.stderr
        (line,) = run.stdout.splitlines()
        found: dict[str, Any] = json.loads(line)
        jsonschema.validate(found, SCHEMA)
        return found

    return measured


def test_a_forward_is_measured(measured: Measured) -> None:
    found = measured("--backend", "identity,classical", "--repeat", "2", "--threads", "1", "--batch", "2")
    assert [side["backend"] for side in found["sides"]] == ["identity", "classical"]
    assert found["speedup"] is None and found["machine"]["threads"] == 1
    for side in found["sides"]:
        assert len(side["wall"]["values"]) == 2 and side["batch"] == 2
        assert side["wall"]["q1"] <= side["wall"]["median"] <= side["wall"]["q3"]
    identity, classical = found["sides"]
    assert identity["wall"]["median"] < classical["wall"]["median"]


def test_a_photo_is_measured_by_stages(measured: Measured) -> None:
    photo = ("--pipeline", "--size", "320x240", "--faces", "3", "--detector", "cascade", "--mask", "feather")
    found = measured("--backend", "identity", *photo, "--repeat", "1", "--warmup", "0")
    (side,) = found["sides"]
    assert {"detect", "align", "restore", "background", "paste"} <= set(side["stages"])
    assert sum(side["stages"].values()) <= side["wall"]["median"] * 1.01
    assert found["workload"]["faces"] == 3 and found["workload"]["size_wh"] == [320, 240]


@pytest.mark.slow
def test_gfpgan_is_faster_than_its_plain_form_and_paints_the_same(measured: Measured) -> None:
    found = measured("--backend", "gfpgan", "--against", "plain", "--repeat", "2")
    (row,) = found["backends"]
    assert [side["side"] for side in found["sides"]] == ["plain", "gfpup"]
    assert row["difference"]["levels"] <= 1
    assert found["speedup_cpu"] > 1.2 and found["speedup"] > 0
    assert all(side["of_ceiling"] > 0 and side["peak_memory_bytes"] > 5e8 for side in found["sides"])


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["codeformer", "restoreformerpp"])
def test_a_whole_photo_against_plain_is_the_same_photo(measured: Measured, backend: str) -> None:
    words = f"--backend {backend} --pipeline --size 400x300 --faces 1 --background realesrgan --repeat 1 --against plain"
    found = measured(*words.split(), "--warmup", "0")
    (row,) = found["backends"]
    assert row["difference"]["levels"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("against", ["plain", "none"])
def test_the_background_is_measured_alone(measured: Measured, against: str) -> None:
    words = "--background realesrgan --size 64x48 --repeat 1 --warmup 0 --threads 1"
    found = measured(*words.split(), "--against", against)
    assert found["what"] == "background" and found["tile"] == {"name": "realesrgan-x2plus", "size_wh": [64, 48]}
    assert [side["side"] for side in found["sides"]] == (["gfpup"] if against == "none" else ["plain", "gfpup"])
    (row,) = found["backends"]
    # The body of 23 blocks, at half the size, and what comes after it.
    assert row["gflop"] == pytest.approx(25.9, rel=0.02)
    assert against == "none" or (row["difference"]["levels"] <= 1 and found["speedup_cpu"] > 0)


def test_scaling_draws_its_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from gfpup.tools.bench import scaling

    monkeypatch.setattr(scaling, "FACES", (1, 3))
    monkeypatch.setattr(scaling, "MEGAPIXELS", (0.25, 1.0))
    words = f"bench --scaling --detector cascade --mask feather --repeat 1 --json --output {tmp_path / 'out'}"
    assert main(words.split()) == 0
    found = json.loads(capsys.readouterr().out)
    assert [point["x"] for point in found["points"]["faces"]] == [1, 3] and set(found["fits"]) == {"faces", "megapixels"}
    assert (tmp_path / "out" / "scaling.svg").read_text().startswith("<svg") and (tmp_path / "out" / "scaling.md").is_file()


def test_several_batches_are_rows_of_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "--backend", "identity", "--batch", "1,2", "--repeat", "1", "--threads", "1", "--device", "cpu"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["batch"] for row in found["rows"]] == [1, 2] and all(row["faces_a_second"] > 0 for row in found["rows"])
    assert main(words) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| identity")]
    assert [line.split("|")[3].strip() for line in lines] == ["1", "2"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--backend gfpgann", "did you mean 'gfpgan'"),
        ("--backend precomputed", "cannot be measured"),
        ("--against upstrem", "did you mean 'upstream'"),
        ("--engine openvin", "did you mean 'openvino'"),
        ("--precision fp16", "--precision"),
        ("--repeat 0", "invalid value '0' for --repeat: expected a whole number from 1 to 1000"),
        ("--batch 0", "'0' for --batch"),
        ("--threads 0", "'0' for --threads"),
        ("--size 512x512", "add --pipeline"),
        ("--pipeline --size big", "invalid value 'big' for --size"),
        ("--pipeline --size 10x10", "'10x10' for --size"),
        ("--pipeline --faces -1", "'-1' for --faces"),
        ("--pipeline --upscale 0", "'0' for --upscale: expected a number from 0.1 to 8"),
        ("--pipeline --upscale nan", "'nan' for --upscale"),
        ("--pipeline --detect-size 5", "'5' for --detect-size"),
        ("--pipeline --background lanczos", "--background"),
        ("--background realesrgan --backend gfpgan", "--backend does not apply to the background alone"),
        ("--background realesrgan --batch 2", "--batch does not apply to the background alone"),
        (
            "--background realesrgan --faces 2",
            "--faces does not apply to the background alone: leave it out",
        ),
        ("--background realesrgan --against upstream", "the official packages do not have a Real-ESRGAN pipeline"),
        ("--background realesrgan --engine openvino", "the background has no engines"),
        ("--background realesrgan --background-path nowhere.pth", "nowhere.pth is not a file"),
        ("--background-path x.pth", "add that flag"),
        ("--output out", "add --scaling"),
        ("--device cuda:99 --backend identity", "cuda:99"),
        ("--nonsense", "gfpup bench --help"),
        ("--batch many", "'many' for --batch"),
        ("--batch 1,0", "'1,0' for --batch: expected whole numbers from 1 to 1000, such as 8 or 1,2,4"),
        ("--batch 1,2 --pipeline", "leave out --pipeline"),
        ("--batch 1,2 --against plain", "leave out --against"),
        ("--paste device", "add --pipeline"),
        ("--engine cudagraphs --device cpu", "cudagraphs does not compute on cpu"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(words: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *words.split()]) == 2
    said = capsys.readouterr()
    assert said.out == "" and sentence in said.err and len(said.err.strip().splitlines()) == 1


def test_missing_official_packages_are_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_imports, "missing", lambda: ("gfpgan", "facexlib"))
    assert main(["bench", "--against", "upstream"]) == 2
    said = capsys.readouterr().err
    assert "gfpgan, facexlib are not installed" in said and len(said.strip().splitlines()) == 1


def test_the_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--help"]) == 0
    text = capsys.readouterr().out
    assert text == bench.HELP
    for flag in vars(bench.PARSER.read([])):
        assert f"--{flag.replace('_', '-')}" in text


def test_threads_are_those_of_a_run_and_precisions_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from gfpup.core.errors import GfpupError
    from gfpup.machine import hardware
    from gfpup.planning.settings import PRECISIONS

    def threads(*words: str, omp: int | None) -> int:
        monkeypatch.setattr(hardware, "probe", lambda: hardware.Machine(8, 0, omp_threads=omp))
        return bench._request(bench.PARSER.read(["--against", "none", *words])).threads

    assert (threads(omp=None), threads(omp=3), threads(omp=99), threads("--threads", "5", omp=3)) == (8, 3, 8, 5)
    for word in ("auto", "fp32", "bf16"):
        assert word in PRECISIONS and threads("--precision", word, omp=1) == 1
    for word in ("float32", "bfloat16", "fp16"):
        with pytest.raises(GfpupError, match="--precision"):
            threads("--precision", word, omp=1)
