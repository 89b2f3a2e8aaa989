"""Checkpoint files: every published layout is read, and everything else is refused in one sentence."""

from __future__ import annotations

import argparse
import importlib
import io
import pickle
import random
import sys
import types
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gfpup.core.errors import CheckpointError
from gfpup.models.nets.loading import load_strictly
from gfpup.weights.checkpoint import read_state_dict


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 4, 3)
        self.norm = torch.nn.BatchNorm2d(4)
        self.last = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.norm(self.first(x)).mean((2, 3)))


class Evil:
    """Unpickled freely, it writes a file."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.proof)!r}, 'w').close()",)


class EvilSystem:
    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("true",)


@pytest.fixture
def network() -> Small:
    torch.manual_seed(11)
    return Small().eval()


def assert_same(read: dict[str, torch.Tensor], network: torch.nn.Module) -> None:
    expected = network.state_dict()
    assert list(read) == list(expected)
    for name, tensor in expected.items():
        assert torch.equal(read[name], tensor), name


def one_sentence(error: pytest.ExceptionInfo[CheckpointError]) -> str:
    text = str(error.value)
    assert "\n" not in text and "Traceback" not in text and len(text) < 500
    return text


@pytest.mark.parametrize("key", ["params_ema", "params", "state_dict", "model", None])
@pytest.mark.parametrize("zipped", [True, False])
def test_reads_each_layout(tmp_path: Path, network: Small, key: str | None, zipped: bool) -> None:
    path = tmp_path / "net.pth"
    state = network.state_dict()
    torch.save({key: state} if key else state, path, _use_new_zipfile_serialization=zipped)
    assert_same(read_state_dict(path), network)
    if key:
        assert_same(read_state_dict(path, key=key), network)


def test_prefers_the_averaged_weights_unless_told(tmp_path: Path, network: Small) -> None:
    other = Small().state_dict()
    path = tmp_path / "net.pth"
    torch.save({"params": other, "params_ema": network.state_dict(), "iter": 7}, path)
    assert_same(read_state_dict(path), network)
    assert torch.equal(read_state_dict(path, key="params")["first.weight"], other["first.weight"])


def test_key_that_is_not_there(tmp_path: Path, network: Small) -> None:
    path = tmp_path / "net.pth"
    torch.save({"params": network.state_dict()}, path)
    with pytest.raises(CheckpointError) as error:
        read_state_dict(path, key="params_ema")
    assert "'params_ema'" in one_sentence(error) and "'params'" in one_sentence(error)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_strips_wrappers(tmp_path: Path, network: Small, prefix: str) -> None:
    path = tmp_path / "net.pt"
    torch.save({prefix + k: v for k, v in network.state_dict().items()}, path)
    assert_same(read_state_dict(path), network)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_reads_safetensors_whatever_they_are_called(tmp_path: Path, network: Small, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    save_file(network.state_dict(), path)
    read = read_state_dict(path)
    assert sorted(read) == sorted(network.state_dict())
    assert torch.equal(read["last.weight"], network.last.weight)


def stand_in_module(monkeypatch: pytest.MonkeyPatch, name: str, **members: type) -> types.ModuleType:
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        parent = ".".join(parts[:count])
        monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    module = importlib.import_module(name)
    for member, value in members.items():
        value.__module__, value.__qualname__ = name, member
        setattr(module, member, value)
    return module


@pytest.mark.parametrize("zipped", [True, False])
def test_lightning_checkpoint(tmp_path: Path, network: Small, monkeypatch: pytest.MonkeyPatch, zipped: bool) -> None:
    """Lightning names callbacks as classes and keeps hyper-parameters; only what is under vqvae. is the network."""
    ModelCheckpoint = type("ModelCheckpoint", (), {})  # noqa: N806
    AttributeDict = type("AttributeDict", (dict,), {})  # noqa: N806
    stand_in_module(monkeypatch, "pytorch_lightning.callbacks.model_checkpoint", ModelCheckpoint=ModelCheckpoint)
    stand_in_module(monkeypatch, "pytorch_lightning.utilities.parsing", AttributeDict=AttributeDict)
    instance = ModelCheckpoint()
    instance.monitor = "val/loss"  # type: ignore[attr-defined]
    state = {f"vqvae.{k}": v for k, v in network.state_dict().items()}
    state |= {"loss.discriminator.0.weight": torch.ones(3), "vqvae.quantize.utility_counter": torch.ones(5)}
    path = tmp_path / "net.ckpt"
    torch.save(
        {
            "epoch": 3,
            "pytorch-lightning_version": "1.0.8",
            "callbacks": {ModelCheckpoint: {"best_model_path": "a/b"}, "other": instance},
            "hyper_parameters": AttributeDict(lr=1e-4, inner=AttributeDict(a=[1, 2])),
            "namespace": argparse.Namespace(path=Path("somewhere")),
            "state_dict": state,
            "optimizer_states": [{"state": {0: {"step": 1, "exp_avg": torch.zeros(2)}}}],
        },
        path,
        _use_new_zipfile_serialization=zipped,
    )
    monkeypatch.undo()
    allowed = set(torch.serialization.get_safe_globals())
    assert_same(read_state_dict(path), network)
    assert_same(read_state_dict(path, key="state_dict"), network)
    assert set(torch.serialization.get_safe_globals()) == allowed  # other readers are as strict as before


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_named_and_not_run(tmp_path: Path, network: Small, zipped: bool, protocol: int) -> None:
    proof = tmp_path / "ran"
    path = tmp_path / "net.pth"
    evil = {"params_ema": network.state_dict(), "extra": Evil(proof)}
    torch.save(evil, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    with pytest.raises(CheckpointError) as error:
        read_state_dict(path)
    assert "exec" in one_sentence(error) and "carries code" in one_sentence(error)
    assert not proof.exists()


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_in_a_plain_pickle(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(pickle.dumps({"a": EvilSystem()}, protocol=protocol))
    with pytest.raises(CheckpointError) as error:
        read_state_dict(path)
    assert "system" in one_sentence(error) and "carries code" in one_sentence(error)


def test_unknown_class_is_refused(tmp_path: Path, network: Small) -> None:
    """A whole pickled module names its class, which is code too."""
    path = tmp_path / "net.pth"
    torch.save(network, path)
    with pytest.raises(CheckpointError) as error:
        read_state_dict(path)
    assert "Small" in one_sentence(error)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused(tmp_path: Path, network: Small) -> None:
    path = tmp_path / "net.pth"
    with io.BytesIO() as buffer:
        torch.jit.save(torch.jit.trace(network, torch.rand(1, 3, 8, 8)), buffer)
        path.write_bytes(buffer.getvalue())
    with pytest.raises(CheckpointError) as error:
        read_state_dict(path)
    assert "TorchScript" in one_sentence(error)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n <!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"<html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        (b"not a checkpoint", "damaged"),
        (b"\x00" * 4096, "damaged"),
        (b"PK\x03\x04garbage", "damaged"),
        (b"\x80\x02}q\x00.", "damaged"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=said) as error:
        read_state_dict(path)
    assert str(path) in one_sentence(error)


def test_a_zip_that_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        read_state_dict(path)


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        read_state_dict(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_state_dict(tmp_path)


@pytest.mark.parametrize("content", [[1, 2], torch.ones(3), {"epoch": 3}, {"params": {"a": 1}}, {}])
def test_no_state_dict_inside(tmp_path: Path, content: object) -> None:
    path = tmp_path / "net.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError) as error:
        read_state_dict(path)
    assert "state dict" in one_sentence(error)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated_and_damaged_files_never_escape(tmp_path: Path, network: Small, kind: str) -> None:
    path = tmp_path / "net.bin"
    if kind == "safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save({"params": network.state_dict()}, path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    for cut in (1, 5, 9, len(whole) // 3, len(whole) // 2, len(whole) - 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(CheckpointError) as error:
            read_state_dict(path)
        one_sentence(error)
    dice = random.Random(5)
    for _ in range(150):  # flipped bytes may go unnoticed (a weight changed), but must never end in another error
        damaged = bytearray(whole)
        for _ in range(4):
            damaged[dice.randrange(min(len(whole), 700))] = dice.randrange(256)
        path.write_bytes(damaged)
        try:
            read_state_dict(path)
        except CheckpointError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors", "mapped"])
def test_what_was_read_does_not_hang_on_the_file(
    tmp_path: Path, network: Small, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / "net.pth"
    if kind == "safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save(network.state_dict(), path, _use_new_zipfile_serialization=kind != "legacy")
    if kind == "mapped":
        monkeypatch.setattr("gfpup.weights.checkpoint.MAP_BYTES", 0)
    state = read_state_dict(path)
    path.write_bytes(bytes(path.stat().st_size))
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_loads_in_float32(tmp_path: Path, network: Small, device: str, dtype: torch.dtype) -> None:
    path = tmp_path / "net.pth"
    torch.save({k: v.to(dtype) if v.is_floating_point() else v for k, v in network.state_dict().items()}, path)
    with torch.device(device):
        fresh = Small().eval()
    state = read_state_dict(path)
    load_strictly(fresh, state, name="small", path=path)
    assert {p.dtype for p in fresh.parameters()} == {torch.float32}
    assert not any(p.is_meta for p in fresh.parameters()) and fresh.norm.num_batches_tracked.dtype == torch.int64
    x = torch.rand(2, 3, 9, 9)
    with torch.inference_mode():
        torch.testing.assert_close(fresh(x), network(x), atol=0 if dtype != torch.float16 else 1e-2, rtol=0)


def test_buffers_outside_the_state_dict_are_a_bug(tmp_path: Path) -> None:
    class Hidden(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(2))
            self.register_buffer("kernel", torch.ones(3), persistent=False)

    with torch.device("meta"):
        network = Hidden()
    with pytest.raises(RuntimeError, match="kernel"):
        load_strictly(network, {"weight": torch.ones(2)}, name="hidden", path=tmp_path)


def test_old_batchnorm_without_counter(tmp_path: Path, network: Small) -> None:
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    with torch.device("meta"):
        fresh = Small()
    load_strictly(fresh, state, name="small", path=tmp_path)
    assert fresh.norm.num_batches_tracked.item() == 0


def test_mismatches_name_the_first(tmp_path: Path, network: Small) -> None:
    state = network.state_dict()
    path = tmp_path / "net.pth"
    before = network.last.bias.clone()

    def refused(wrong: dict[str, torch.Tensor]) -> str:
        with pytest.raises(CheckpointError) as error:
            load_strictly(network, wrong, name="small", path=path)
        return one_sentence(error)

    changed = {**state, "last.bias": torch.zeros(2)}
    assert "'first.weight' is missing" in refused({k: v for k, v in changed.items() if k != "first.weight"})
    assert "'extra' is not expected" in refused({**changed, "extra": torch.ones(1)})
    assert "'norm.bias' has shape (5,) instead of (4,)" in refused({**changed, "norm.bias": torch.ones(5)})
    assert torch.equal(network.last.bias, before)  # a refused checkpoint leaves the network as it was
    load_strictly(network, changed, name="small", path=path)
    assert torch.equal(network.last.bias, torch.zeros(2))


def test_other_architecture_is_named(tmp_path: Path, network: Small) -> None:
    other = {"conv_body_first.weight": torch.ones(2), "stylegan_decoder.constant_input.weight": torch.ones(2)}
    with pytest.raises(CheckpointError, match="like those of gfpgan, where 9 were expected"):
        load_strictly(network, other, name="codeformer", path=tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="of a gfpgan of another size or version"):
        load_strictly(network, other, name="gfpgan", path=tmp_path / "x.pth")


def test_a_safetensors_header_of_absurd_length(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes((1 << 60).to_bytes(8, "little") + b'{"a": 1}')
    with pytest.raises(CheckpointError, match="its header claims 1152921504606846976 bytes"):
        read_state_dict(path)


@pytest.mark.parametrize("head", [b"", b'\x40\x00\x00\x00\x00\x00\x00\x00{"w":{'])
def test_a_sparse_file_of_ten_gigabytes(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "net.safetensors"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(10_000_000_000)
    with pytest.raises(CheckpointError, match=r"has 10\.0 GB"):
        read_state_dict(path)


@pytest.mark.parametrize("bomb", ["pickle", "storage"])
def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, network: Small, bomb: str) -> None:
    official = tmp_path / "official.pth"
    torch.save(network.state_dict(), official)
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(official) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.infolist():
            data = source.read(member)
            if bomb == "pickle" and member.filename.endswith("data.pkl"):
                data = b"\x80\x02" + b"]" * 50_000_000 + b"."
            if bomb == "storage" and member.filename.endswith("data/0"):
                data = bytes(50_000_000)
            target.writestr(member.filename, data)
    with pytest.raises(CheckpointError, match="holds a pickle of 50000003 bytes" if bomb == "pickle" else "would unpack to"):
        read_state_dict(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_training_checkpoint_with_its_optimiser(tmp_path: Path, network: Small, zipped: bool) -> None:
    """As alignment_WFLW_4HG.pth, which is twice its tensors' size."""
    optimiser = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3, 8, 8)).sum().backward()
    optimiser.step()
    content = {
        "state_dict": network.state_dict(),
        "optimizer": optimiser.state_dict(),
        "scheduler": {"milestones": Counter({20: 1}), "last_epoch": 3},
        "epoch": 42,
        "best_nme": np.float64(0.04),
    }
    path = tmp_path / "alignment.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert_same(read_state_dict(path), network)


@pytest.mark.parametrize("behind", [b"", b"\x80\x02."])
def test_a_long_pickle_in_the_old_format_is_refused_before_it_is_parsed(
    tmp_path: Path, network: Small, monkeypatch: pytest.MonkeyPatch, behind: bytes
) -> None:
    """Unpickled, each of its bytes is an empty list of 56."""
    path = tmp_path / "net.pth"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=False)
    official = path.read_bytes()
    head = next(official[: i + 1] for i in range(20, len(official)) if official[i : i + 3] == b".\x80\x02")
    path.write_bytes(head + b"\x80\x02(" + b"]" * 5_000_000 + b"l." + behind)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("parsed"))
    with pytest.raises(CheckpointError, match=r"holds a pickle of 5\d{6} bytes"):
        read_state_dict(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_tensor_that_repeats_its_bytes_without_end(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "net.pth"
    torch.save({"weight": torch.ones(1).expand(100_000, 100_000)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="would unpack to 40000000000"):
        read_state_dict(path)
