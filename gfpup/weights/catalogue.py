"""Which checkpoints exist: where they are published, their hashes, what is inside, and what their licences allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from gfpup.core.errors import CheckpointError
from gfpup.core.registry import unknown

CommercialUse = Literal["yes", "no", "contested", "unknown"]

LICENCES: Final[dict[str, tuple[str, CommercialUse]]] = {
    "apache-2.0": ("Apache-2.0", "yes"),
    "bsd-3-clause": ("BSD-3-Clause", "yes"),
    "mit": ("MIT", "yes"),
    "gfpgan": (
        "Apache-2.0, with components listed by its authors under NVIDIA StyleGAN2 (non-commercial) and CC BY-NC-SA terms",
        "contested",
    ),
    "psfrgan": (
        "MIT by facexlib, whose parsenet is 'modified from chaofengc/PSFRGAN', which is CC BY-NC-SA 4.0",
        "contested",
    ),
    "gpen-unstated": ("none stated (no licence file; other tools mark it non-commercial)", "no"),
    "s-lab-1.0": ("NTU S-Lab License 1.0", "no"),
    # pyiqa's publisher states no licence for its files; they come with the package and are gated as it is.
    "polyform-noncommercial-1.0.0": ("PolyForm Noncommercial 1.0.0", "no"),
    "adaface": ("MIT (code; the weights' licence is an open question upstream)", "unknown"),
    "unknown": ("unknown", "unknown"),
}
"""Licence id, as commands name it, to its title and whether commercial use is allowed."""


@dataclass(frozen=True)
class Checkpoint:
    """One published file of weights.

    `checkpoint_key` is the entry of the file that holds the state dict, None for the top level. `architecture` is what
    `gfpup.weights.checkpoint.recognise` returns for it. `sha256` is None where no hash is published: the first file is
    trusted with consent (--trust-first-download) and its hash pinned. `metric` marks files that
    only metrics use; a run does not download them. `note` follows the address in messages. `sha256_starts` is the part of the
    hash that the publisher puts into the file's name, where the whole is not published: a file that begins so is taken without
    further consent and pinned. `by_hand` means that `url` is a page for people, so that the file must be imported.
    """

    name: str
    file: str
    url: str
    sha256: str | None
    size_bytes: int | None
    checkpoint_key: str | None
    licence_id: str
    architecture: str
    metric: bool = False
    note: str = ""
    sha256_starts: str = ""
    by_hand: bool = False

    @property
    def licence(self) -> str:
        """The title of the licence."""
        return LICENCES[self.licence_id][0]

    @property
    def commercial_use(self) -> CommercialUse:
        """Whether the licence allows commercial use."""
        return LICENCES[self.licence_id][1]


_GFPGAN: Final = "https://github.com/TencentARC/GFPGAN/releases/download/"
_FACEXLIB: Final = "https://github.com/xinntao/facexlib/releases/download/"
_REALESRGAN: Final = "https://github.com/xinntao/Real-ESRGAN/releases/download/"
_RFPP: Final = "https://github.com/wzhouxiff/RestoreFormerPlusPlus/releases/download/v1.0.0/RestoreFormer%2B%2B.ckpt"
_TORCHVISION: Final = "https://download.pytorch.org/models/"
_FIDELITY: Final = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
_PYIQA: Final = "https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/main/"
_OPENAI: Final = "https://openaipublic.azureedge.net/clip/models/"
_POLYFORM: Final = "polyform-noncommercial-1.0.0"

# Source of hashes and sizes: the publishers' release pages and independent projects that pin the same files; names of the
# metrics' files: torchvision/models/{alexnet,vgg}.py, torch_fidelity/feature_extractor_inceptionv3.py, pyiqa/archs (0.1.16).
# Columns: name, file, folder of the address (or the whole address), SHA-256, bytes, key, licence, architecture.
# fmt: off
_ROWS: Final = (
    ("gfpgan-v1.2", "GFPGANCleanv1-NoCE-C2.pth", _GFPGAN + "v0.2.0/",
     "29e25ee90c170f4231163f4c83df6b59c968b73f3ce00cb884015ae005db083c", None, "params_ema", "gfpgan", "gfpgan"),
    ("gfpgan-v1.3", "GFPGANv1.3.pth", _GFPGAN + "v1.3.0/",
     "c953a88f2727c85c3d9ae72e2bd4846bbaf59fe6972ad94130e23e7017524a70", 348632874, "params_ema", "gfpgan", "gfpgan"),
    ("gfpgan-v1.4", "GFPGANv1.4.pth", _GFPGAN + "v1.3.0/",
     "e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad", 348632874, "params_ema", "gfpgan", "gfpgan"),
    ("restoreformer", "RestoreFormer.pth", _GFPGAN + "v1.3.4/",
     "07404d446d62ca3d5ed38b1de09a947a1e77d46dbccec961a74d713a8f24ace0", 290785322, "params", "apache-2.0", "restoreformer"),
    ("restoreformerpp", "RestoreFormer++.ckpt", _RFPP,
     "613fe52805f86bf8c2bffff08ae9f7a0b99f408be1bf221767af6183038be3a2",
     294028815, "state_dict", "apache-2.0", "restoreformerpp"),
    ("codeformer", "codeformer.pth", "https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/",
     "1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7", 376637898, "params_ema", "s-lab-1.0", "codeformer"),
    ("gpen-512", "GPEN-BFR-512.pth", "https://github.com/vinthony/video-retalking/releases/download/v0.0.1/",
     None, None, None, "gpen-unstated", "gpen"),
    ("gpen-1024", "GPEN-BFR-1024.pth", "https://public-vigen-video.oss-cn-shanghai.aliyuncs.com/robin/models/",
     None, None, None, "gpen-unstated", "gpen-1024"),
    ("elir-bfr", "elir_bfr.pth", "https://github.com/eladc-git/ELIR/releases/download/v1.0/",
     None, None, None, "apache-2.0", "elir"),
    ("pmrf", "model.safetensors",
     "https://huggingface.co/ohayonguy/PMRF_blind_face_image_restoration/resolve/main/model.safetensors",
     None, None, None, "mit", "pmrf"),
    ("retinaface-resnet50", "detection_Resnet50_Final.pth", _FACEXLIB + "v0.1.0/",
     "6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d", 109497761, None, "mit", "retinaface-resnet50"),
    ("retinaface-mobilenet0.25", "detection_mobilenet0.25_Final.pth", _FACEXLIB + "v0.1.0/",
     "2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220", 1789735, None, "mit", "retinaface-mobilenet0.25"),
    ("bisenet", "parsing_bisenet.pth", _FACEXLIB + "v0.2.0/",
     "468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567", 53289463, None, "mit", "bisenet"),
    ("parsenet", "parsing_parsenet.pth", _FACEXLIB + "v0.2.2/",
     "3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2", 85331193, None, "psfrgan", "parsenet"),
    ("arcface-ir-se50", "recognition_arcface_ir_se50.pth", _FACEXLIB + "v0.1.0/",
     "a035c768259b98ab1ce0e646312f48b9e1e218197a0f80ac6765e88f8b6ddf28", 175367323, None, "unknown", "arcface-ir-se50"),
    ("arcface-resnet18", "arcface_resnet18.pth", _GFPGAN + "v0.1.0/", None, None, None, "unknown", "arcface-resnet18"),
    ("alignment-wflw-4hg", "alignment_WFLW_4HG.pth", _FACEXLIB + "v0.1.0/",
     "bbfd137307a4c7debd5c283b9b0ce539466cee417ac0a155e184d857f9f2899c",
     193670248, "state_dict", "apache-2.0", "alignment-wflw-4hg"),
    ("realesrgan-x2plus", "RealESRGAN_x2plus.pth", _REALESRGAN + "v0.2.1/",
     "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb", 67061725, "params_ema", "bsd-3-clause", "rrdbnet-x2"),
    ("realesrgan-x4plus", "RealESRGAN_x4plus.pth", _REALESRGAN + "v0.1.0/",
     "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1", 67040989, "params_ema", "bsd-3-clause", "rrdbnet-x4"),
)
_METRIC_ROWS: Final = (
    ("alexnet", "alexnet-owt-7be5be79.pth", _TORCHVISION,
     "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02", None, None, "bsd-3-clause", "alexnet"),
    ("vgg16", "vgg16-397923af.pth", _TORCHVISION,
     "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0", None, None, "bsd-3-clause", "vgg16"),
    ("inception-fid", "weights-inception-2015-12-05-6726825d.pth", _FIDELITY,
     "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2", 95628359, None, "apache-2.0", "inception-fid"),
    ("clip-rn50", "RN50.pt", _OPENAI + "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762/",
     "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762", None, None, "mit", "clip-rn50"),
    ("musiq-koniq", "musiq_koniq_ckpt-e95806b9.pth", _PYIQA,
     "e95806b9eae5f3814c410f574ba8e552362bd5bc63d758ed5b97860f5d6185aa", None, None, _POLYFORM, "musiq-koniq"),
    # The authors' own release hashes to a207f8ab...; that pyiqa's copy has the same bytes is not confirmed.
    ("maniqa-koniq", "ckpt_koniq10k.pt", _PYIQA, None, None, None, _POLYFORM, "maniqa-koniq"),
    ("topiq-nr-koniq", "cfanet_nr_koniq_res50-9a73138b.pth", _PYIQA,
     "9a73138beb3748dd6a83365610ac88fa1cd53225342c77fc9ed44a3be461354c", None, None, _POLYFORM, "topiq-nr-koniq"),
    ("topiq-nr-face", "topiq_nr_cgfiqa_res50-0a8b8e4f.pth", _PYIQA, None, None, None, _POLYFORM, "topiq-nr-koniq"),
    ("niqe-pyiqa", "niqe_modelparameters.mat", _PYIQA, None, None, None, _POLYFORM, "niqe-pyiqa"),
    ("inception-ffhq-512", "inception_FFHQ_512-f7b384ab.pth", "https://github.com/TencentARC/VQFR", None, None, None,
     "apache-2.0", "inception-ffhq-512"),
    ("adaface-ir50-ms1mv2", "adaface_ir50_ms1mv2.ckpt", "https://github.com/mk-minchul/AdaFace", None, None, "state_dict",
     "adaface", "adaface-ir50"),
)
# fmt: on

_NOTES: Final = {
    "clip-rn50": "which has answered 404 since 2025, so a copy with this hash must be imported",
    "inception-ffhq-512": "whose model zoo links to it; BasicSR's does too",
    "adaface-ir50-ms1mv2": "whose table of pretrained models links to it",
}
_SHA256_STARTS: Final = {"topiq-nr-face": "0a8b8e4f", "inception-ffhq-512": "f7b384ab"}
_BY_HAND: Final = ("inception-ffhq-512", "adaface-ir50-ms1mv2")
"""Published on drives for people, whose addresses a program cannot download from."""


def _checkpoint(row: tuple[str, str, str, str | None, int | None, str | None, str, str], *, metric: bool) -> Checkpoint:
    name, file, address, sha256, size_bytes, key, licence_id, architecture = row
    url = address + file if address.endswith("/") else address
    note, starts = _NOTES.get(name, ""), _SHA256_STARTS.get(name, "")
    facts = (name, file, url, sha256, size_bytes, key, licence_id, architecture)
    return Checkpoint(*facts, metric=metric, note=note, sha256_starts=starts, by_hand=name in _BY_HAND)


METRIC_FILES: Final = tuple(_checkpoint(row, metric=True) for row in _METRIC_ROWS)
CATALOGUE: tuple[Checkpoint, ...] = (*(_checkpoint(row, metric=False) for row in _ROWS), *METRIC_FILES)
"""Every checkpoint. Those of `METRIC_FILES` are used by metrics only."""


def find(name: str) -> Checkpoint:
    """The checkpoint of that name; raises CheckpointError, which offers the nearest, where none has it."""
    by_name = {checkpoint.name: checkpoint for checkpoint in CATALOGUE}
    if name in by_name:
        return by_name[name]
    raise CheckpointError(unknown("checkpoint", name.lower(), by_name))
