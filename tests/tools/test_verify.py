"""`gfpup verify`: each check over a network that is right, and over one that is not."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import fill_randomly, load_fill

from gfpup.cli import verify as command
from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.models import backends
from gfpup.models.nets.parsing_bisenet import BiSeNet
from gfpup.models.networks import NETWORKS, Answer, resolve
from gfpup.tools.check import Check
from gfpup.tools.verify import checks, goldens, independent
from gfpup.tools.verify.checks import verify
from gfpup.weights import catalogue
from gfpup.weights.store import Store

GOLDENS = sorted(row.golden for row in NETWORKS.values() if row.golden)
SALT, GAIN = 23, {"conv_out.": 0.5}


# What a golden is.


@pytest.mark.parametrize(
    ("name", "shape", "digest"),
    [
        ("a.weight", (5, 3, 3, 3), "9c323ceb"),
        ("a.weight", (7,), "ffc72c16"),
        ("a.bias", (7,), "e9c38c91"),
        ("a.running_var", (7,), "015ca541"),
        ("a.running_mean", (7,), "bd44cb2c"),
        ("decoder.noises.noise0", (1, 1, 4, 4), "22484879"),
        ("decoder.constant_input.weight", (1, 8, 4, 4), "7edfe6b5"),
        ("style.modulated_conv.weight", (1, 6, 5, 3, 3), "9f0cd4e6"),
        ("prelu.weight", (1,), "6d995839"),
        ("a.num_batches_tracked", (), "af5570f5"),
    ],
)
def test_deterministic_weights_are_these_bytes(name: str, shape: tuple[int, ...], digest: str) -> None:
    values = goldens.fill(name, shape, salt=4, gain={"a.": 0.25})
    assert values.shape == shape and values.dtype == (np.int64 if name.endswith("tracked") else np.float32)
    assert hashlib.sha256(values.tobytes()).hexdigest()[:8] == digest


@pytest.mark.parametrize("golden", GOLDENS)
def test_deterministic_weights_are_the_shared_ones(golden: str, shared: Path) -> None:
    facts = json.loads((shared / "parity" / f"{golden}.json").read_text())
    theirs = load_fill(shared)
    small = {name: tuple(shape) for name, shape in facts["tensors"].items() if np.prod(shape) < 40_000}
    assert len(small) > 20
    for salt in (facts["salt"], 901):
        for name, shape in small.items():
            mine = goldens.fill(name, shape, salt=salt, gain=facts["gain"])
            expected = theirs(name, shape, salt=salt, gain=facts["gain"])
            assert mine.dtype == expected.dtype
            np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("architecture", [name for name, row in NETWORKS.items() if row.golden])
def test_salts_and_gains_are_those_of_the_parity_folder(architecture: str, shared: Path) -> None:
    row = NETWORKS[architecture]
    facts = json.loads((shared / "parity" / f"{row.golden}.json").read_text())
    assert (row.salt, dict(row.gain)) == (facts["salt"], facts["gain"])


def test_difference_is_relative_to_the_goldens_spread() -> None:
    golden = torch.tensor([1.0, -1.0, 3.0, -3.0])
    assert goldens.difference(golden, golden) == 0.0
    moved = golden + torch.tensor([0.0, 0.0, 0.0, 0.3])
    assert goldens.difference(moved, golden) == pytest.approx(0.3 / (5**0.5 + 3), rel=1e-6)
    assert goldens.difference(torch.full((4,), torch.nan), golden) == np.inf
    assert goldens.difference(golden[:3], golden) == np.inf


@pytest.fixture(scope="module")
def parity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A parity folder of one network, made here: BiSeNet's own answer under another salt than the shared one."""
    folder = tmp_path_factory.mktemp("parity")
    row = NETWORKS["bisenet"]
    network = row.built()
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    network.load_state_dict(goldens.filled(shapes, salt=SALT, gain=GAIN), assign=True)
    rgb = np.random.default_rng(3).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    with torch.inference_mode():
        output = network.eval()(row.feed(rgb))
    facts = {
        "net": "bisenet",
        "salt": SALT,
        "gain": GAIN,
        "checkpoint_key": "(top level)",
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "outputs": {"output": {"shape": list(output.shape), "stride": 4}},
        "tensors": {name: list(shape) for name, shape in shapes.items()},
    }
    (folder / "bisenet.json").write_text(json.dumps(facts))
    np.savez(folder / "bisenet.npz", input_rgb_uint8=rgb, output=output[..., ::4, ::4].numpy())
    return folder


Tamper = Callable[[dict, dict], None]


@pytest.fixture
def tampered(parity: Path, tmp_path: Path) -> Callable[[Tamper], Path]:
    """Makes a copy of the parity folder with its facts and arrays changed."""

    def make(change: Tamper) -> Path:
        facts = json.loads((parity / "bisenet.json").read_text())
        with np.load(parity / "bisenet.npz") as stored:
            arrays = {key: stored[key] for key in stored.files}
        change(facts, arrays)
        (tmp_path / "bisenet.json").write_text(json.dumps(facts))
        np.savez(tmp_path / "bisenet.npz", **arrays)
        return tmp_path

    return make


@pytest.fixture(autouse=True)
def nothing_else_installed(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """What other projects compute is asked for only where a test says so."""
    if "independent" not in request.node.name:
        monkeypatch.setattr(independent, "lacking", lambda project, architecture: "not asked here")


# The command.


def rows(capsys: pytest.CaptureFixture[str]) -> dict[str, dict]:
    document = json.loads(capsys.readouterr().out)
    return {row["check"]: row for row in document["checks"]}


def test_a_network_at_its_golden_passes(parity: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(["bisenet", "--parity", str(parity), "--weights-dir", str(tmp_path), "--json"]) == 0
    found = rows(capsys)
    assert {name: row["result"] for name, row in found.items()} == {
        "SHA-256 of bisenet": "skipped",
        "strict load": "skipped",
        "keys": "ok",
        "golden, plain: output": "ok",
        "golden, as run: output": "ok",
        "upstream": "skipped",
        "spandrel": "skipped",
    }
    assert found["golden, plain: output"]["difference"] <= found["golden, plain: output"]["tolerance"] == 1e-4
    assert found["golden, as run: output"]["tolerance"] == 5e-4


@pytest.mark.parametrize(
    ("flags", "forms"), [(["--precision", "bf16"], ["as run, bfloat16"]), (["--tf32"], ["plain, TF32", "as run, TF32"])]
)
def test_a_lower_arithmetic_is_reported_without_a_tolerance(
    flags: list[str], forms: list[str], parity: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.run(["bisenet", "--parity", str(parity), "--weights-dir", str(tmp_path), "--json", *flags]) == 0
    found = {name: row for name, row in rows(capsys).items() if name.startswith("golden")}
    assert list(found) == [f"golden, {form}: output" for form in forms]
    for row in found.values():
        assert row["result"] == "ok" and row["difference"] < 0.2 and row["tolerance"] is None


def test_several_arithmetics_share_one_network_and_keep_the_tolerance_of_float32(parity: Path) -> None:
    golden = goldens.load_golden(parity, "bisenet")
    assert golden is not None
    kinds = (checks.Arithmetic("bfloat16"), checks.EXACT)
    found = {check.name: check for check in checks.golden_checks("bisenet", golden, arithmetics=kinds)}
    assert list(found) == ["keys", "golden, plain: output", "golden, as run: output", "golden, as run, bfloat16: output"]
    assert found["golden, as run: output"].tolerance == 5e-4


def test_the_rows_are_printed_as_text(parity: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(["bisenet", "--parity", str(parity), "--weights-dir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert any(line.startswith("ok") and "191 names and shapes, 13,300,416 parameters" in line for line in lines)


def test_another_output_fails_and_is_named(
    tampered: Callable[[Tamper], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def nudge(facts: dict, arrays: dict) -> None:
        arrays["output"][0, 3, 17, 40] += 0.01

    assert command.run(["bisenet", "--parity", str(tampered(nudge)), "--weights-dir", str(tmp_path), "--json"]) == 1
    row = rows(capsys)["golden, plain: output"]
    assert row["result"] == "failed" and row["detail"].startswith("bisenet differs by")
    assert row["difference"] > row["tolerance"]


def test_another_layer_fails_and_its_group_is_named(
    tampered: Callable[[Tamper], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def widen(facts: dict, arrays: dict) -> None:
        facts["tensors"]["ffm.convblk.conv.weight"][0] = 128
        facts["tensors"]["zzz.weight"] = [1]

    assert command.run(["bisenet", "--parity", str(tampered(widen)), "--weights-dir", str(tmp_path), "--json"]) == 1
    found = rows(capsys)
    assert "bisenet: the first layer group that differs is 'ffm.convblk.conv'" in found["keys"]["detail"]
    assert "(128, 256, 1, 1)" in found["keys"]["detail"]
    assert not any(name.startswith("golden") for name in found)


def test_a_layer_too_many_and_one_too_few_are_named() -> None:
    golden = goldens.Golden("x", {"tensors": {"a.weight": [2], "b.weight": [3]}}, {})
    assert golden.first_other_group({"a.weight": (2,), "b.weight": (3,)}) is None
    assert "'b'" in str(golden.first_other_group({"a.weight": (2,)}))
    assert "'c.d'" in str(golden.first_other_group({"a.weight": (2,), "b.weight": (3,), "c.d.bias": (1,)}))


def test_where_nothing_can_be_checked_the_status_says_so(
    parity: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["bisenet"], ["parsenet", "--parity", str(parity)], ["realesrgan-x4plus", "--parity", str(parity)]):
        assert command.run([*words, "--weights-dir", str(tmp_path)]) == 2
        assert "nothing about" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"tensors": {}}'])
def test_a_damaged_golden_is_refused(content: str, parity: Path, tmp_path: Path) -> None:
    (tmp_path / "bisenet.json").write_text(content)
    (tmp_path / "bisenet.npz").write_bytes((parity / "bisenet.npz").read_bytes())
    with pytest.raises(GfpupError, match="golden bisenet"):
        command.run(["bisenet", "--parity", str(tmp_path), "--weights-dir", str(tmp_path)])


def test_a_golden_that_carries_code_is_refused(parity: Path, tmp_path: Path) -> None:
    (tmp_path / "bisenet.json").write_text((parity / "bisenet.json").read_text())
    objects = np.array([print, None], dtype=object)
    np.savez(tmp_path / "bisenet.npz", input_rgb_uint8=np.zeros((512, 512, 3), np.uint8), output=objects, allow_pickle=True)
    with pytest.raises(GfpupError, match="damaged"):
        command.run(["bisenet", "--parity", str(tmp_path), "--weights-dir", str(tmp_path)])


def test_bad_words_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(GfpupError, match="did you mean 'codeformer'"):
        command.run(["codefromer"])
    with pytest.raises(GfpupError, match="no parity folder"):
        command.run(["bisenet", "--parity", str(tmp_path / "nowhere")])
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        command.run(["bisenet", "--model-path", str(tmp_path / "nothing.pth")])
    with pytest.raises(GfpupError, match="gfpup verify --help"):
        command.run(["bisenet", "--fast"])
    with pytest.raises(GfpupError, match="leave out --precision bf16"):
        command.run(["bisenet", "--precision", "bf16", "--tf32"])
    with pytest.raises(GfpupError, match="there is no device 'abacus'"):
        command.run(["bisenet", "--device", "abacus"])


# Names.


def test_every_published_network_has_a_row() -> None:
    not_ours = {c.architecture for c in catalogue.CATALOGUE} - set(NETWORKS)
    assert not not_ours & {row.golden for row in NETWORKS.values()}
    for checkpoint in catalogue.CATALOGUE:
        if checkpoint.architecture in NETWORKS:
            assert resolve(checkpoint.name) is checkpoint
        else:
            with pytest.raises(GfpupError, match="gfpup weights verify"):
                resolve(checkpoint.name)


def test_a_method_means_its_default_version() -> None:
    assert resolve("gfpgan").name == "gfpgan-v1.4"
    assert resolve("realesrgan").name == "realesrgan-x2plus"
    for method, row in backends.TABLE.items():
        if row.versions:
            assert resolve(method).name in row.versions.values()


@pytest.mark.parametrize("name", ["identity", "classical"])
def test_a_method_without_a_network_is_refused(name: str) -> None:
    with pytest.raises(GfpupError, match="does not have a network"):
        resolve(name)


# Files.


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "parsing_bisenet.pth"
    torch.save(fill_randomly(BiSeNet(), seed=6).state_dict(), path)
    return path


def by_name(found: list[Check]) -> Mapping[str, Check]:
    return {check.name.partition(" of ")[0]: check for check in found}


def test_a_file_that_is_not_the_published_one_fails_by_its_hash_alone(file: Path, tmp_path: Path) -> None:
    found = by_name(list(verify(resolve("bisenet"), store=Store(tmp_path, offline=True), model_path=file)))
    assert found["SHA-256"].status == "failed" and hashlib.sha256(file.read_bytes()).hexdigest() in found["SHA-256"].found
    assert found["strict load"].status == "ok"


def test_the_published_file_passes_in_the_store_and_by_its_path(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    published = dataclasses.replace(resolve("bisenet"), sha256=digest)
    rest = tuple(c for c in catalogue.CATALOGUE if c.name != "bisenet")
    monkeypatch.setattr(catalogue, "CATALOGUE", (published, *rest))
    for store, path in ((Store(file.parent, offline=True), None), (Store(tmp_path, offline=True), file)):
        found = by_name(list(verify(published, store=store, model_path=path)))
        assert (found["SHA-256"].status, found["strict load"].status) == ("ok", "ok")
    other = tmp_path / published.file
    other.write_bytes(file.read_bytes() + b"\0")
    assert by_name(list(verify(published, store=Store(tmp_path, offline=True))))["SHA-256"].status == "failed"


def test_another_networks_file_fails_the_strict_load(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"conv1.weight": torch.zeros(64, 1, 3, 3)}, path)
    found = by_name(list(verify(resolve("bisenet"), store=Store(tmp_path, offline=True), model_path=path)))
    assert found["strict load"].status == "failed" and "bisenet" in found["strict load"].found


# Codes.


def test_one_other_code_fails() -> None:
    facts = {"outputs": {}, "codes": {"smallest_margin": 0.002}}
    golden = goldens.Golden("codeformer", facts, {"codes": np.arange(256)})
    codes = torch.arange(256)
    (right,) = checks._outputs("codeformer", golden, Answer({}, codes, 0.002), "plain", checks.Arithmetic(), "cpu")
    assert right.status == "ok" and "256 of 256 equal" in right.found and "0.002" in right.found
    codes[7] = 1000
    (wrong,) = checks._outputs("codeformer", golden, Answer({}, codes, 0.002), "plain", checks.Arithmetic(), "cpu")
    assert wrong.status == "failed" and "255 of 256 equal" in wrong.found


# Other projects.


class Twin:
    """Stands where an independent project does: gfpup's own network, its answer moved by `error`."""

    def __init__(self, error: float) -> None:
        self.error = error
        self.states: list[Mapping[str, torch.Tensor]] = []

    def outputs(self, project: str, architecture: str, state: Mapping[str, torch.Tensor], x: torch.Tensor) -> dict:
        self.states.append(state)
        network = NETWORKS[architecture].built()
        network.load_state_dict(dict(state), strict=True, assign=True)
        with torch.inference_mode():
            return {"output": network.eval()(x) + self.error}


@pytest.mark.parametrize(("error", "result"), [(0.0, "ok"), (1.0, "failed")])
@pytest.mark.parametrize("real", [True, False])
def test_an_independent_project_is_asked_with_the_weights_that_are_there(
    error: float, result: str, real: bool, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = Twin(error)
    monkeypatch.setattr(independent, "outputs", twin.outputs)
    monkeypatch.setattr(independent, "lacking", lambda project, architecture: None if project == "spandrel" else "absent")
    found = list(verify(resolve("bisenet"), store=Store(tmp_path, offline=True), model_path=file if real else None))
    last = found[-1]
    assert last.name == ("spandrel, the file's weights: output" if real else "spandrel, deterministic weights: output")
    assert last.status == result
    expected = torch.load(file, weights_only=True) if real else {"conv_out.conv.conv.weight": None}
    assert set(expected) <= set(twin.states[0])
    if real:
        assert torch.equal(twin.states[0]["conv_out.conv.conv.weight"], expected["conv_out.conv.conv.weight"])


def test_an_independent_project_that_refuses_the_weights_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> dict:
        raise RuntimeError("Error(s) in loading state_dict:\n\tMissing key(s): a.b")

    monkeypatch.setattr(independent, "outputs", refuse)
    monkeypatch.setattr(independent, "lacking", lambda project, architecture: None if project == "upstream" else "absent")
    row = list(verify(resolve("bisenet"), store=Store(tmp_path, offline=True)))[-2]
    assert (row.name, row.status) == ("upstream", "failed") and "Missing key(s): a.b" in row.found


def test_what_an_independent_project_lacks_is_said() -> None:
    assert "do not have restoreformerpp" in str(independent.lacking("upstream", "restoreformerpp"))
    assert "does not have bisenet" in str(independent.lacking("spandrel", "bisenet"))


@pytest.mark.parametrize(
    ("project", "name"),
    [
        ("upstream", "arcface-resnet18"),
        ("upstream", "retinaface-mobilenet0.25"),
        ("spandrel", "realesrgan-x2plus"),
        pytest.param("spandrel", "realesrgan-x4plus", marks=pytest.mark.slow),  # four times the work
    ],
)
def test_independent_projects_agree_where_they_are_installed(project: str, name: str, tmp_path: Path) -> None:
    checkpoint = resolve(name)
    lack = independent.lacking(project, checkpoint.architecture)
    if lack is not None:
        pytest.skip(lack)
    found = [check for check in verify(checkpoint, store=Store(tmp_path, offline=True)) if check.name.startswith(project)]
    assert [check.status for check in found] == ["ok"], found


# The shared goldens.

QUICK = ("arcface-resnet18", "bisenet")


@pytest.mark.parametrize(
    "architecture",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name, row in NETWORKS.items()
        if row.golden is not None
    ],
)
def test_every_network_meets_its_golden_through_the_command(
    architecture: str, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = next(c.name for c in catalogue.CATALOGUE if c.architecture == architecture)
    assert command.run([name, "--parity", str(shared / "parity"), "--weights-dir", str(tmp_path), "--json"]) == 0
    found = rows(capsys)
    golden = [row for check, row in found.items() if check.startswith("golden")]
    assert golden and all(row["result"] == "ok" for row in golden)
    if architecture in ("codeformer", "restoreformer", "restoreformerpp"):
        assert all("256 of 256 equal" in found[f"golden, {form}: codes"]["detail"] for form in ("plain", "as run"))


def test_the_experiments_command_prints_its_table(shared: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "experiments" / "002-parity" / "run.py"
    command_line = [sys.executable, str(script), str(shared / "parity"), "arcface-resnet18"]
    done = subprocess.run(command_line, capture_output=True, text=True, check=True)
    headings, _, row = (line.split("|")[1:-1] for line in done.stdout.splitlines())
    found = dict(zip((heading.strip() for heading in headings[:3]), (cell.strip() for cell in row[:3]), strict=True))
    assert found["network"] == "arcface-resnet18" and float(found["plain"]) <= 2e-5
