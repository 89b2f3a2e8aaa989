"""The checks of one network, in order: its file, its keys, the goldens, and other projects' implementations."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from gfpup.core.errors import CheckpointError
from gfpup.models.nets.loading import DTYPES, load_network, load_strictly
from gfpup.models.nets.vqgan import CodeBookNetwork
from gfpup.models.networks import NETWORKS, Answer, Network
from gfpup.tools.check import Check
from gfpup.tools.verify import channels, independent
from gfpup.tools.verify.goldens import Golden, difference, face_crop, fill, filled, load_golden
from gfpup.weights.catalogue import Checkpoint
from gfpup.weights.checkpoint import read_state_dict
from gfpup.weights.store import Store


class Arithmetic(NamedTuple):
    """In which numbers a network computes: "float32" or "bfloat16", and whether a GPU may round float32 products to TF32."""

    dtype: str = "float32"
    tf32: bool = False

    @property
    def exact(self) -> bool:
        """Whether the goldens' tolerances, which are of float32, apply."""
        return self.dtype == "float32" and not self.tf32

    def __str__(self) -> str:
        return "TF32" if self.tf32 else self.dtype


EXACT = Arithmetic()


def verify(
    checkpoint: Checkpoint,
    *,
    store: Store,
    parity: Path | None = None,
    model_path: Path | None = None,
    faces: Path | None = None,
    device: str = "cpu",
    arithmetic: Arithmetic = EXACT,
) -> Iterator[Check]:
    """Check `checkpoint` and its network, one row at a time; nothing is downloaded and nothing in a file is run.

    The file is `model_path`, or what the store has; the goldens are those of the folder `parity`. Goldens are compared on
    `device` in `arithmetic`, other implementations in float32 on the CPU; of IR-SE50 both orders of colours are measured on
    `faces`, a folder with a subfolder for each person. CodeFormer takes 1.5 GB of memory, and 0.4 GB of disk for a moment.

    Raises:
        GfpupError: `parity` is not a folder, or its golden is damaged.
        CheckpointError: `model_path` does not exist.
    """
    network = NETWORKS[checkpoint.architecture]
    golden = None if parity is None or network.golden is None else load_golden(parity, network.golden)
    if model_path is not None and not model_path.is_file():
        raise CheckpointError(f"there is no checkpoint at {model_path}: check the path")
    path = model_path or store.present(checkpoint.name)
    yield _hash(checkpoint, store, model_path)
    check, state = _strict_load(checkpoint, network, path)
    yield check
    if golden is not None:
        yield from golden_checks(checkpoint.architecture, golden, device=device, arithmetics=(arithmetic,))
    elif network.golden is None:
        yield Check("golden", "golden", "skipped", f"there is no golden for {checkpoint.architecture}")
    else:
        lacks = "no --parity folder was given" if parity is None else f"{parity} does not have {network.golden}.json and .npz"
        yield Check("golden", "golden", "skipped", lacks)
    yield from _independent_checks(checkpoint.architecture, golden, state)
    if checkpoint.architecture == channels.ARCHITECTURE:
        yield from channels.channel_checks(_filled(network, state), faces)


def golden_checks(
    architecture: str, golden: Golden, *, device: str = "cpu", arithmetics: Sequence[Arithmetic] = (EXACT,)
) -> Iterator[Check]:
    """Compare a network with its golden: keys and shapes, the official order of operations, then as gfpup loads and runs it.

    It computes on `device` in each of `arithmetics`. Lower ones than float32 have no tolerance: their difference is reported,
    and only what is not finite fails. The official order is not computed in bfloat16, as no run does.
    """
    network = NETWORKS[architecture]
    plain = network.built()
    shapes = {name: tuple(tensor.shape) for name, tensor in plain.state_dict().items()}
    other, parameters = golden.first_other_group(shapes), sum(parameter.numel() for parameter in plain.parameters())
    if other is None and parameters != golden.parameters:
        other = f"{parameters:,} parameters, {golden.parameters:,} officially"
    if other is not None:
        yield Check("golden", "keys", "failed", f"{architecture}: {other}")
        return
    yield Check("golden", "keys", "ok", f"{len(shapes)} names and shapes, {parameters:,} parameters")
    state = golden.state(network.make().state_dict() if golden.facts.get("kept_names") else {})
    with tempfile.TemporaryDirectory(prefix="gfpup-verify-") as folder:
        # As in a real run: the official file's layout, read without unpickling, loaded strictly, channels last.
        path = Path(folder) / f"{golden.network}.pth"
        torch.save(golden.file_content(state), path)
        plain.load_state_dict(state, strict=True, assign=True)
        plain, x = plain.eval().requires_grad_(False).to(device), network.feed(golden.rgb).to(device)
        del state
        for arithmetic in (each for each in arithmetics if each.dtype == "float32"):
            answer = _ask(network, plain, x, salt=golden.facts["salt"], tf32=arithmetic.tf32)
            yield from _outputs(architecture, golden, answer, "plain", arithmetic, device)
        del plain
        as_run = load_network(network.make, path, name=architecture, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    for arithmetic in sorted(arithmetics, key=lambda each: each.dtype == "bfloat16"):  # lowered weights stay so
        low = _lowered(as_run, x, arithmetic.dtype)
        answer = _ask(network, as_run, low, salt=golden.facts["salt"], tf32=arithmetic.tf32)
        yield from _outputs(architecture, golden, answer, "as run", arithmetic, device)


def _lowered(network: nn.Module, x: torch.Tensor, dtype: str) -> torch.Tensor:
    """Let `network` compute in `dtype` as a run would; returns its input, `x` in the precision that it takes."""
    if isinstance(network, CodeBookNetwork):
        network.decoder_to(DTYPES[dtype])
        return x
    network.to(DTYPES[dtype])
    return x.to(DTYPES[dtype])


def _outputs(
    architecture: str, golden: Golden, answer: Answer, form: str, arithmetic: Arithmetic, device: str
) -> Iterator[Check]:
    # A GPU's library adds up in an order of its own.
    tolerances = NETWORKS[architecture].tolerance
    tolerance = tolerances.plain if form == "plain" and device == "cpu" else tolerances.reordered
    name = f"golden, {form}" if arithmetic.exact else f"golden, {form}, {arithmetic}"
    for key in golden.facts["outputs"]:
        if (output := answer.outputs.get(key)) is None:
            yield Check("golden", f"{name}: {key}", "failed", f"{architecture} does not have this output")
            continue
        found = golden.difference(key, output)
        if arithmetic.exact:
            yield _compared("golden", f"{name}: {key}", found, tolerance, architecture)
        else:
            said = f"differs by {found:.1e}; {arithmetic} has no tolerance"
            yield Check("golden", f"{name}: {key}", "ok" if math.isfinite(found) else "failed", said, difference=found)
    if "codes" in golden.arrays and answer.codes is not None:
        official = torch.from_numpy(np.asarray(golden.arrays["codes"], np.int64))
        mine, theirs = answer.codes.cpu(), golden.facts.get("codes", {}).get("smallest_margin")
        equal = int((mine == official).sum()) if mine.shape == official.shape else 0
        margin = f"smallest margin {answer.margin:.2g}" + ("" if theirs is None else f", officially {theirs:.2g}")
        detail = f"{equal} of {len(official)} equal; {margin}"
        right = equal == len(official) or arithmetic.tf32
        yield Check("golden", f"{name}: codes", "ok" if right else "failed", detail)


def _compared(group: str, name: str, found: float, tolerance: float, architecture: str) -> Check:
    right = found <= tolerance
    said = f"differs by {found:.1e}, at most {tolerance:.0e} is rounding"
    if not right:
        said = f"{architecture} differs by {found:.1e}, more than the {tolerance:.0e} of rounding, with equal keys and shapes"
    return Check(group, name, "ok" if right else "failed", said, difference=found, tolerance=tolerance)


def _hash(checkpoint: Checkpoint, store: Store, model_path: Path | None) -> Check:
    name = f"SHA-256 of {checkpoint.name}"
    if model_path is not None:
        found, published = store.digest(model_path), checkpoint.sha256
        if published is None:
            return Check("file", name, "skipped", f"no hash is published; {model_path} has {found}")
        if found == published:
            return Check("file", name, "ok", f"{model_path} is the published file")
        return Check("file", name, "failed", f"{model_path} is not the published file: {found} instead of {published}")
    stored = store.verify(checkpoint.name)
    if stored.state == "absent":
        fetch = f"gfpup weights fetch {checkpoint.name} downloads it"
        how = f"gfpup weights import {checkpoint.file} takes it in" if checkpoint.by_hand else fetch
        return Check("file", name, "skipped", f"not in {store.folder}: {how}")
    if stored.state == "differs":
        return Check("file", name, "failed", f"{stored.path} has {stored.found} instead of {stored.expected}")
    if stored.state == "unverified":
        return Check("file", name, "skipped", f"no hash is published; {stored.path} has {stored.found}")
    kind = "the published file" if stored.state == "verified" else "the file that was first trusted"
    return Check("file", name, "ok", f"{stored.path} is {kind}")


def _strict_load(checkpoint: Checkpoint, network: Network, path: Path | None) -> tuple[Check, dict[str, torch.Tensor] | None]:
    """The row, and the file's state dict as the network takes it, if it does."""
    if path is None:
        return Check("file", "strict load", "skipped", "there is no file to load"), None
    try:
        built = network.built()
        load_strictly(built, read_state_dict(path), name=checkpoint.architecture, path=path)
    except CheckpointError as error:
        return Check("file", "strict load", "failed", str(error)), None
    state = dict(built.state_dict())
    return Check("file", "strict load", "ok", f"{len(state)} tensors of {checkpoint.architecture}, each in its place"), state


def _filled(network: Network, state: Mapping[str, torch.Tensor] | None) -> nn.Module | None:
    if state is None:
        return None
    built = network.built()
    built.load_state_dict(state, strict=True, assign=True)
    return built


def _independent_checks(architecture: str, golden: Golden | None, state: Mapping[str, torch.Tensor] | None) -> Iterator[Check]:
    """Compare the network with other projects' code: with the file's weights if there is one, else with deterministic ones."""
    network = NETWORKS[architecture]
    lacking = {project: independent.lacking(project, architecture) for project in independent.PROJECTS}
    weights = "deterministic weights" if state is None else "the file's weights"
    answer, x = None, network.feed(face_crop() if golden is None else golden.rgb)
    for project, reason in lacking.items():
        if reason is not None:
            yield Check(project, project, "skipped", reason)
            continue
        plain = network.built()
        if state is None:
            shapes = {name: tuple(tensor.shape) for name, tensor in plain.state_dict().items()}
            state = filled(shapes, salt=network.salt, gain=network.gain) if golden is None else golden.state()
        if answer is None:
            plain.load_state_dict(state, strict=True, assign=True)
            answer = _ask(network, plain.eval(), x, salt=network.salt)
        try:
            theirs = independent.outputs(project, architecture, state, x)
        except RuntimeError as error:  # load_state_dict's, where keys or shapes differ
            said = " ".join(str(error).split())[:300]
            yield Check(project, project, "failed", f"{architecture} in {project} does not accept these weights: {said}")
            continue
        worst = {key: difference(answer.outputs[key], theirs[key]) for key in theirs}
        key = max(worst, key=lambda name: worst[name])
        yield _compared(project, f"{project}, {weights}: {key}", worst[key], network.tolerance.reordered, architecture)


@torch.inference_mode()
def _ask(network: Network, built: nn.Module, x: torch.Tensor, *, salt: int, tf32: bool = False) -> Answer:
    noise = [torch.from_numpy(fill("noises.0", network.noise, salt=salt)).to(x.device)] if network.noise else []
    with _products_in_tf32(tf32):
        return network.ask(built, x, *noise)


@contextmanager
def _products_in_tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid a GPU to round the factors of float32 products to 10 bits; nothing changes elsewhere."""
    switches: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = allowed
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value
