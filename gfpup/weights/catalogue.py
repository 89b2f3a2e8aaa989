"""Which checkpoints exist: where they are published, what they hash to, what is inside, what their licence allows."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final, Literal

from gfpup.core.errors import CheckpointError

CommercialUse = Literal["yes", "no", "contested", "unknown"]


@dataclass(frozen=True)
class Checkpoint:
    """One published file of weights.

    `sha256` is None where no published hash was found: the first download is then trusted by consent and pinned.
    `checkpoint_key` is the entry of the file that holds the state dict, None for the top level. `architecture` is the
    name that `gfpup.weights.checkpoint.recognise` gives to what is inside. `licence_id` names the licence in commands.
    """

    name: str
    file: str
    url: str
    sha256: str | None
    size_bytes: int | None
    checkpoint_key: str | None
    licence: str
    licence_id: str
    commercial_use: CommercialUse
    architecture: str


_GFPGAN = "https://github.com/TencentARC/GFPGAN/releases/download"
_FACEXLIB = "https://github.com/xinntao/facexlib/releases/download"
_REALESRGAN = "https://github.com/xinntao/Real-ESRGAN/releases/download"
_GFPGAN_LICENCE = (
    "Apache-2.0, with components listed by its authors under NVIDIA StyleGAN2 (non-commercial) and CC BY-NC-SA terms"
)

# Source of hashes and sizes: the publishers' release pages and independent projects that pin the same files.
CATALOGUE: tuple[Checkpoint, ...] = (
    Checkpoint(
        name="gfpgan-v1.2",
        file="GFPGANCleanv1-NoCE-C2.pth",
        url=f"{_GFPGAN}/v0.2.0/GFPGANCleanv1-NoCE-C2.pth",
        sha256="29e25ee90c170f4231163f4c83df6b59c968b73f3ce00cb884015ae005db083c",
        size_bytes=None,
        checkpoint_key="params_ema",
        licence=_GFPGAN_LICENCE,
        licence_id="gfpgan",
        commercial_use="contested",
        architecture="gfpgan",
    ),
    Checkpoint(
        name="gfpgan-v1.3",
        file="GFPGANv1.3.pth",
        url=f"{_GFPGAN}/v1.3.0/GFPGANv1.3.pth",
        sha256="c953a88f2727c85c3d9ae72e2bd4846bbaf59fe6972ad94130e23e7017524a70",
        size_bytes=348632874,
        checkpoint_key="params_ema",
        licence=_GFPGAN_LICENCE,
        licence_id="gfpgan",
        commercial_use="contested",
        architecture="gfpgan",
    ),
    Checkpoint(
        name="gfpgan-v1.4",
        file="GFPGANv1.4.pth",
        url=f"{_GFPGAN}/v1.3.0/GFPGANv1.4.pth",
        sha256="e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
        size_bytes=348632874,
        checkpoint_key="params_ema",
        licence=_GFPGAN_LICENCE,
        licence_id="gfpgan",
        commercial_use="contested",
        architecture="gfpgan",
    ),
    Checkpoint(
        name="restoreformer",
        file="RestoreFormer.pth",
        url=f"{_GFPGAN}/v1.3.4/RestoreFormer.pth",
        sha256="07404d446d62ca3d5ed38b1de09a947a1e77d46dbccec961a74d713a8f24ace0",
        size_bytes=290785322,
        checkpoint_key="params",
        licence="Apache-2.0",
        licence_id="apache-2.0",
        commercial_use="yes",
        architecture="restoreformer",
    ),
    Checkpoint(
        name="restoreformerpp",
        file="RestoreFormer++.ckpt",
        url="https://github.com/wzhouxiff/RestoreFormerPlusPlus/releases/download/v1.0.0/RestoreFormer%2B%2B.ckpt",
        sha256="613fe52805f86bf8c2bffff08ae9f7a0b99f408be1bf221767af6183038be3a2",
        size_bytes=None,
        checkpoint_key="state_dict",
        licence="Apache-2.0",
        licence_id="apache-2.0",
        commercial_use="yes",
        architecture="restoreformerpp",
    ),
    Checkpoint(
        name="codeformer",
        file="codeformer.pth",
        url="https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/codeformer.pth",
        sha256="1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7",
        size_bytes=376637898,
        checkpoint_key="params_ema",
        licence="NTU S-Lab License 1.0",
        licence_id="s-lab-1.0",
        commercial_use="no",
        architecture="codeformer",
    ),
    Checkpoint(
        name="retinaface-resnet50",
        file="detection_Resnet50_Final.pth",
        url=f"{_FACEXLIB}/v0.1.0/detection_Resnet50_Final.pth",
        sha256="6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
        size_bytes=109497761,
        checkpoint_key=None,
        licence="MIT",
        licence_id="mit",
        commercial_use="yes",
        architecture="retinaface-resnet50",
    ),
    Checkpoint(
        name="retinaface-mobilenet0.25",
        file="detection_mobilenet0.25_Final.pth",
        url=f"{_FACEXLIB}/v0.1.0/detection_mobilenet0.25_Final.pth",
        sha256=None,
        size_bytes=None,
        checkpoint_key=None,
        licence="MIT",
        licence_id="mit",
        commercial_use="yes",
        architecture="retinaface-mobilenet0.25",
    ),
    Checkpoint(
        name="bisenet",
        file="parsing_bisenet.pth",
        url=f"{_FACEXLIB}/v0.2.0/parsing_bisenet.pth",
        sha256="468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
        size_bytes=53289463,
        checkpoint_key=None,
        licence="MIT",
        licence_id="mit",
        commercial_use="yes",
        architecture="bisenet",
    ),
    Checkpoint(
        name="parsenet",
        file="parsing_parsenet.pth",
        url=f"{_FACEXLIB}/v0.2.2/parsing_parsenet.pth",
        sha256="3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2",
        size_bytes=85331193,
        checkpoint_key=None,
        licence="unknown (the code that loads it is MIT)",
        licence_id="unknown",
        commercial_use="unknown",
        architecture="parsenet",
    ),
    Checkpoint(
        name="arcface-ir-se50",
        file="recognition_arcface_ir_se50.pth",
        url=f"{_FACEXLIB}/v0.1.0/recognition_arcface_ir_se50.pth",
        sha256="a035c768259b98ab1ce0e646312f48b9e1e218197a0f80ac6765e88f8b6ddf28",
        size_bytes=175367323,
        checkpoint_key=None,
        licence="unknown",
        licence_id="unknown",
        commercial_use="unknown",
        architecture="arcface-ir-se50",
    ),
    Checkpoint(
        name="arcface-resnet18",
        file="arcface_resnet18.pth",
        url=f"{_GFPGAN}/v0.1.0/arcface_resnet18.pth",
        sha256=None,
        size_bytes=None,
        checkpoint_key=None,
        licence="unknown",
        licence_id="unknown",
        commercial_use="unknown",
        architecture="arcface-resnet18",
    ),
    Checkpoint(
        name="alignment-wflw-4hg",
        file="alignment_WFLW_4HG.pth",
        url=f"{_FACEXLIB}/v0.1.0/alignment_WFLW_4HG.pth",
        sha256="bbfd137307a4c7debd5c283b9b0ce539466cee417ac0a155e184d857f9f2899c",
        size_bytes=None,
        checkpoint_key="state_dict",
        licence="MIT",
        licence_id="mit",
        commercial_use="yes",
        architecture="alignment-wflw-4hg",
    ),
    Checkpoint(
        name="realesrgan-x2plus",
        file="RealESRGAN_x2plus.pth",
        url=f"{_REALESRGAN}/v0.2.1/RealESRGAN_x2plus.pth",
        sha256="49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
        size_bytes=67061725,
        checkpoint_key="params_ema",
        licence="BSD-3-Clause",
        licence_id="bsd-3-clause",
        commercial_use="yes",
        architecture="rrdbnet-x2",
    ),
    Checkpoint(
        name="realesrgan-x4plus",
        file="RealESRGAN_x4plus.pth",
        url=f"{_REALESRGAN}/v0.1.0/RealESRGAN_x4plus.pth",
        sha256="4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
        size_bytes=67040989,
        checkpoint_key="params_ema",
        licence="BSD-3-Clause",
        licence_id="bsd-3-clause",
        commercial_use="yes",
        architecture="rrdbnet-x4",
    ),
)


def find(name: str) -> Checkpoint:
    """The checkpoint of that name.

    Raises:
        CheckpointError: no checkpoint has that name; the message offers the nearest.
    """
    by_name = {checkpoint.name: checkpoint for checkpoint in CATALOGUE}
    if name in by_name:
        return by_name[name]
    near = difflib.get_close_matches(name.lower(), by_name, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(by_name)}"
    raise CheckpointError(f"no checkpoint is called {name!r}: {remedy}")


_TORCHVISION: Final = "https://download.pytorch.org/models"

_PYIQA: Final = "https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/main"

_POLYFORM: Final = "polyform-noncommercial-1.0.0"


def _torchvision(name: str, file: str, sha256: str) -> Checkpoint:
    licence = "BSD-3-Clause (torchvision; trained on ImageNet)"
    return Checkpoint(name, file, f"{_TORCHVISION}/{file}", sha256, None, None, licence, "bsd-3-clause", "yes", name)


def _pyiqa(name: str, file: str) -> Checkpoint:
    # The publisher states no licence for the files of its own; they come with pyiqa and under its gate.
    return Checkpoint(name, file, f"{_PYIQA}/{file}", None, None, None, "PolyForm Noncommercial 1.0.0", _POLYFORM, "no", name)


# Source of names: torchvision/models/{alexnet,vgg}.py, torch_fidelity/feature_extractor_inceptionv3.py, pyiqa/archs (0.1.16).
METRIC_FILES: Final = (
    _torchvision("alexnet", "alexnet-owt-7be5be79.pth", "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02"),
    _torchvision("vgg16", "vgg16-397923af.pth", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"),
    Checkpoint(
        name="inception-fid",
        file="weights-inception-2015-12-05-6726825d.pth",
        url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        sha256=None,
        size_bytes=None,
        checkpoint_key=None,
        licence="Apache-2.0",
        licence_id="apache-2.0",
        commercial_use="yes",
        architecture="inception-fid",
    ),
    Checkpoint(
        name="clip-rn50",
        file="RN50.pt",
        url=(
            "https://openaipublic.azureedge.net/clip/models/"
            "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762/RN50.pt"
        ),
        sha256="afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762",
        size_bytes=None,
        checkpoint_key=None,
        licence="MIT",
        licence_id="mit",
        commercial_use="yes",
        architecture="clip-rn50",
    ),
    _pyiqa("musiq-koniq", "musiq_koniq_ckpt-e95806b9.pth"),
    _pyiqa("maniqa-koniq", "ckpt_koniq10k.pt"),
    _pyiqa("topiq-nr-koniq", "cfanet_nr_koniq_res50-9a73138b.pth"),
)
"""Rows of the catalogue, used by metrics only."""
