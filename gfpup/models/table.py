"""Every method and every helper network, one row each: the only place where a method is listed.

The table is literal, is read without importing torch, and names classes as "module:Class".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from math import sqrt
from typing import Any, Literal

Pair = tuple[float, float]
TRAINED, COMPUTED = "compositeWithTrainedAlgorithmicMedia", "algorithmicallyEnhanced"
"""Digital source types: parts made by a trained model, and enhanced by an algorithm. Source: cv.iptc.org/newscodes."""


@dataclass(frozen=True)
class Memory:
    """What a network takes, in float32 and in bfloat16: `weights`, and `forward`, the intermediate results of one face, in MB.

    `rewritten` are the further weights, in MB, of its faster form (`gfpup.models.nets.rewrites`). An upsampler's `forward` is
    in bytes for each pixel of its input.
    Source: experiments/009-memory, measured on a CPU with one thread and the official architectures.
    """

    weights: Pair
    forward: Pair
    rewritten: Pair = (0, 0)


@dataclass(frozen=True)
class Architecture:
    """One network: how it is built, how its checkpoint is recognised, what memory it takes, how it is verified.

    `make` is the "module:Class" that is called with `settings`, empty where gfpup does not build the network itself. A state
    dict belongs to it that has all `keys` (entries that every variant has, so that a fine-tuned checkpoint is recognised), none
    of the entries `without`, and tensors of these `shapes`. `feed` and `ask` name functions of `gfpup.models.networks`.
    `golden` names the files of the parity folder; `salt` and `gain` fill the network as they do, and `noise` is the shape of
    the noise that the network was given.
    """

    keys: tuple[str, ...]
    without: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    make: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    memory: Memory | None = None
    golden: str | None = None
    noise: tuple[int, ...] = ()
    feed: str = "signed"
    ask: Literal[
        "picture", "embedding", "embedding_and_norm", "anchors", "nearest_codes", "likeliest_codes", "latent_flow", "pixel_flow"
    ] = "picture"
    tolerance: Literal["calm", "middle", "lively"] = "middle"
    salt: int = 0
    gain: Mapping[str, float] = field(default_factory=dict)

    def build(self) -> Any:
        """The network, untrained."""
        module, _, name = self.make.partition(":")
        return getattr(import_module(module), name)(**self.settings)


@dataclass(frozen=True)
class BackendFacts:
    """What is known of a method before it is loaded.

    `entry` is the "module:Class" that has `load(spec)`. `parameters` are the keys of the `restore` node that it takes.
    `versions` are the published ones with the catalogue's names of their checkpoints; the key is "" where there is only one.
    `gflop` counts the operations for one face, 10^9: what speed depends on, on any machine. `millions` are its parameters,
    10^6; `gfpup.models.cost` counts both. `networks` are those of versions that differ from `network`, and `costs` their
    `millions` and `gflop`, by version. `published_as` is what
    `gfpup.analysis.published` calls it. `whole_photos`: it returns whole photos, pasted by itself. `own_file`: it is loaded
    from the user's own checkpoint (--model-path), because none is published under its name. `source_type` is IPTC's digital
    source type of what it restores; "" where it changes nothing, where nobody knows, and where its members decide. `engines`:
    engines other than eager can run its network.
    """

    entry: str
    summary: str
    parameters: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    default_version: str = ""
    aliases: tuple[str, ...] = ()
    best_for: str = ""
    gflop: float | None = None
    millions: float | None = None
    published_as: str | None = None
    limits: str = ""
    source: str = ""
    whole_photos: bool = False
    own_file: bool = False
    source_type: str = TRAINED
    engines: bool = True
    network: Architecture | None = None
    networks: Mapping[str, Architecture] = field(default_factory=dict)
    costs: Mapping[str, Pair] = field(default_factory=dict)

    @property
    def code_book(self) -> bool:
        """Whether its network picks codes from a code book, so that rounding may pick another."""
        return self.network is not None and self.network.ask in ("nearest_codes", "likeliest_codes")


_BACKENDS, _NETS = "gfpup.models.backends", "gfpup.models.nets"
_GFPGANS = {"1.2": "gfpgan-v1.2", "1.3": "gfpgan-v1.3", "1.4": "gfpgan-v1.4"}
_GPEN_KEYS = ("ecd0.0.0.weight", "generator.conv1.noise.weight", "final_linear.0.weight")
_GAIN_RRDB = {"body.": 0.3, "conv_last.": 0.02}


def _gpen_gain(size: int) -> dict[str, float]:
    """The gains of GPEN's deterministic weights, whose factors of equalised learning rates they undo.

    Source: the parity folder, which also lets noise be heard (10) and keeps the sum of pictures small (0.15).
    """
    sides = [2**power for power in range(2, size.bit_length())]
    width = {side: min(512, 32768 // side) for side in sides}
    inputs = [2 * width[side] for pair in pairwise(sides) for side in pair]
    layers = {"conv1": width[4], **{f"convs.{i}": count for i, count in enumerate(inputs)}}
    pictures = {"to_rgb1": 2 * width[4], **{f"to_rgbs.{i}": 2 * width[side] for i, side in enumerate(sides[1:])}}
    gain = {f"generator.style.{i}.weight": 100 * sqrt(512) for i in range(1, 9)}
    for name, count in layers.items():
        gain |= {f"generator.{name}.conv.weight": 3 * sqrt(count), f"generator.{name}.noise.weight": 10.0}
    gain |= {f"generator.{name}.conv.weight": 0.15 * sqrt(count) for name, count in pictures.items()}
    gain |= {f"generator.{name}.conv.modulation.weight": sqrt(512) for name in (*layers, *pictures)}
    gain |= {f"ecd{i}.0.1.weight": 3 * sqrt(width[side]) for i, side in enumerate(reversed(sides[1:]), start=1)}
    gain |= {"ecd0.0.0.weight": sqrt(3), "final_linear.0.weight": sqrt(16 * width[4])}
    return {name: round(value, 6) for name, value in gain.items()}


# fmt: off
TABLE: dict[str, BackendFacts] = {
    "identity": BackendFacts(
        f"{_BACKENDS}.identity:Identity", "returns its input: the zero of every comparison",
        best_for="seeing what detection and paste alone change", gflop=0.0, millions=0.0, source_type="",
    ),
    "classical": BackendFacts(
        f"{_BACKENDS}.classical:Classical",
        "denoises, deblurs and sharpens without weights: the baseline every learned method must beat",
        best_for="mild damage, and when nothing may be invented",
        limits="adds no detail; what blur took below the noise stays lost", source="experiments/001-baselines",
        source_type=COMPUTED,
    ),
    "gfpgan": BackendFacts(
        f"{_BACKENDS}.gfpgan:GFPGAN", "a generative face prior, steered by what is left of the face",
        parameters=("version",), versions=_GFPGANS, default_version="1.4",
        best_for="most photos; 1.3 looks the most natural, according to its authors",
        gflop=396.0, millions=86.4, published_as="GFPGAN (version not stated)",
        limits="float16 overflows; strong damage may change who it is",
        source="Wang et al., CVPR 2021; github.com/TencentARC/GFPGAN",
        network=Architecture(
            ("conv_body_first.weight", "stylegan_decoder.constant_input.weight"), make=f"{_NETS}.gfpgan:GFPGAN",
            # Computed in strips, as on a CPU, the forward takes 475 and 303; a GPU, which uses no strips, was not measured.
            memory=Memory((349, 175), (627, 430), (67, 34)),
            golden="gfpgan", tolerance="calm", gain={"stylegan_decoder.to_rgb": 0.12},
        ),
    ),
    "codeformer": BackendFacts(
        f"{_BACKENDS}.codeformer:CodeFormer",
        "picks the codes of the clean face; fidelity says how much of the input comes back",
        parameters=("fidelity",), versions={"": "codeformer"},
        best_for="strong damage; --fidelity trades quality for likeness", gflop=810.0, millions=94.1,
        published_as="CodeFormer",
        limits="non-commercial licence; eyes and hair may be another's at low fidelity",
        source="Zhou et al., NeurIPS 2022; github.com/sczhou/CodeFormer",
        network=Architecture(
            ("position_emb", "idx_pred_layer.1.weight", "feat_emb.weight"), make=f"{_NETS}.codeformer:CodeFormer",
            # Code-book methods lower only their decoder to bfloat16.
            memory=Memory((377, 288), (446, 287), (109, 54)),
            golden="codeformer", ask="likeliest_codes", tolerance="lively", salt=6,
        ),
    ),
    "restoreformer": BackendFacts(
        f"{_BACKENDS}.restoreformer:RestoreFormer",
        "the nearest codes of high-quality faces, attended to by the input's features",
        versions={"": "restoreformer"}, aliases=("rf",),
        best_for="comparison with its successor", gflop=683.0, millions=72.7, published_as="RestoreFormer",
        source="Wang et al., CVPR 2022; github.com/wzhouxiff/RestoreFormer",
        network=Architecture(
            ("quantize.embedding.weight", "post_quant_conv.weight", "encoder.down.0.block.0.norm1.weight"),
            without=("decoder.up.4.attn.0.q.weight",), make=f"{_NETS}.restoreformer:RestoreFormer",
            memory=Memory((291, 205), (486, 354), (69, 35)), golden="restoreformer", ask="nearest_codes", salt=5,
        ),
    ),
    "restoreformerpp": BackendFacts(
        f"{_BACKENDS}.restoreformer:RestoreFormerPP",
        "RestoreFormer with four heads and a second size of attention in the decoder",
        versions={"": "restoreformerpp"}, aliases=("restoreformer++", "rf++"),
        best_for="quality and likeness, by the published numbers", gflop=688.0, millions=73.5, published_as="RestoreFormer++",
        source="Wang et al., TPAMI 2023; github.com/wzhouxiff/RestoreFormerPlusPlus",
        network=Architecture(
            ("quantize.embedding.weight", "decoder.up.4.attn.0.q.weight"), make=f"{_NETS}.restoreformer:RestoreFormerPlusPlus",
            memory=Memory((294, 207), (470, 354), (69, 35)), golden="restoreformerpp", ask="nearest_codes", salt=7,
        ),
    ),
    "gpen": BackendFacts(
        f"{_BACKENDS}.gpen:GPEN", "a StyleGAN2 that takes the features of the damaged face as its noise; 1024 px too",
        parameters=("version", "template", "smooth_small"), versions={"512": "gpen-512", "1024": "gpen-1024"},
        default_version="512", best_for="faces larger than 512 px, with --version 1024",
        gflop=276.0, millions=71.0, costs={"1024": (71.2, 346.0)},
        limits="its authors state no licence, so not for commercial use; the weights have no published hash",
        source="Yang et al., CVPR 2021; github.com/yangxy/GPEN",
        network=Architecture(
            _GPEN_KEYS, shapes={"ecd0.0.0.weight": (64, 3, 1, 1)}, make=f"{_NETS}.gpen:GPEN",
            # A forward in bfloat16 was not measured: the share of float32 is GFPGAN's.
            memory=Memory((284, 142), (703, 482), (70, 35)), golden="gpen512", tolerance="calm", gain=_gpen_gain(512),
        ),
        networks={
            "1024": Architecture(
                _GPEN_KEYS, shapes={"ecd0.0.0.weight": (32, 3, 1, 1)}, make=f"{_NETS}.gpen:GPEN", settings={"size": 1024},
                memory=Memory((285, 143), (1293, 887), (70, 35)), golden="gpen1024", feed="signed_1024", tolerance="calm",
                gain=_gpen_gain(1024),
            ),
        },
    ),
    "elir": BackendFacts(
        f"{_BACKENDS}.elir:ELIR", "an estimate and a short flow in the latent space of a tiny autoencoder: the light one",
        parameters=("steps",), versions={"": "elir-bfr"},
        best_for="commercial use, and where little memory or disk is left", gflop=499.0, millions=37.5,
        limits="no hash of its weights is published; no results were published by PMRF's protocol",
        source="Cohen et al., BMVC 2025; github.com/eladc-git/ELIR",
        network=Architecture(
            ("fmir.first_proj.weight", "mmse.lrm.0.RDB1.conv1.block.0.weight", "enc.layers.0.weight", "dec.layers.0.weight"),
            # The forward in bfloat16 was not measured; it takes no more than in float32.
            make=f"{_NETS}.elir:ELIR", memory=Memory((150, 75), (270, 270), (235, 118)),
            golden="elir", noise=(1, 16, 64, 64), feed="unit", ask="latent_flow",
        ),
    ),
    "pmrf": BackendFacts(
        f"{_BACKENDS}.pmrf:PMRF", "the estimate of least squared error, carried to a natural face by a flow in 25 steps",
        parameters=("steps",), versions={"": "pmrf"},
        best_for="fidelity, by the published numbers, where time does not matter",
        gflop=13152.0, millions=176.3, published_as="PMRF",
        limits="minutes a face on a processor; eager alone; no hash of its weights is published",
        source="Ohayon et al., ICLR 2025; github.com/ohayonguy/PMRF", engines=False,
        network=Architecture(
            ("model.patch_in.proj.weight", "model.mid_level.0.self_attn.qkv_proj.weight", "mmse_model.conv_first.1.weight"),
            make=f"{_NETS}.pmrf:PMRF", memory=Memory((732, 366), (344, 344), (0, 0)),
            golden="pmrf", noise=(1, 3, 512, 512), feed="unit", ask="pixel_flow", gain={"model.patch_out.proj": 0.25},
        ),
    ),
    "ensemble": BackendFacts(
        f"{_BACKENDS}.ensemble:Ensemble", "the weighted mean of several methods' restored faces, pasted once",
        best_for="softening one method's errors by another's",
        limits="costs the sum of its members; detail that they disagree on blurs", source_type="",
    ),
    "auto": BackendFacts(
        "gfpup.restoration.auto:AutoRestorer",  # never loaded: what it chooses is
        "chooses one of the others for each photo, by visible rules, and says why",
        best_for="folders of mixed damage; --auto is short for it",
        limits="chooses among the methods whose weights are present, downloads nothing; the largest face of a photo decides",
        source="conf/auto.yaml, experiments/010-auto", source_type="",
    ),
    "precomputed": BackendFacts(
        f"{_BACKENDS}.precomputed:Precomputed", "the results of another tool, matched by name or by a mapping file",
        best_for="comparing any tool in the same tables", whole_photos=True, source_type="",
    ),
    "upstream": BackendFacts(
        f"{_BACKENDS}.upstream:Upstream", "the official implementation's own path, for comparison with gfpup's",
        parameters=("version",), versions=_GFPGANS | {"restoreformer": "restoreformer"}, default_version="1.4",
        best_for="checking gfpup's against it", limits="needs the four official packages; faces one by one, in 8 bits",
        source="gfpgan 1.3.8, facexlib 0.3.0, basicsr 1.4.2", whole_photos=True,
    ),
    "spandrel": BackendFacts(
        f"{_BACKENDS}.spandrel:AnyArchitecture", "opens any checkpoint that spandrel can open; --model-path names it",
        best_for="trying a network that gfpup has no backend for",
        limits="needs gfpup[spandrel]; most such networks were not made for faces",
        source="github.com/chaiNNer-org/spandrel", own_file=True,
    ),
}

HELPERS: dict[str, Architecture] = {
    "retinaface-resnet50": Architecture(
        ("ClassHead.0.conv1x1.weight", "body.layer1.0.conv1.weight"), make=f"{_NETS}.retinaface:RetinaFace",
        memory=Memory((110, 110), (541, 541)), golden="retinaface_r50", feed="bgr", ask="anchors",
    ),
    "retinaface-mobilenet0.25": Architecture(
        ("ClassHead.0.conv1x1.weight", "body.stage1.0.0.weight"), make=f"{_NETS}.retinaface:RetinaFace",
        settings={"backbone": "mobilenet0.25"}, memory=Memory((2, 2), (104, 104)), feed="bgr", ask="anchors",
    ),
    "bisenet": Architecture(
        ("cp.resnet.conv1.weight", "ffm.convblk.conv.weight", "conv_out.conv.conv.weight"),
        make=f"{_NETS}.parsing_bisenet:BiSeNet", memory=Memory((54, 54), (76, 76)), golden="bisenet",
    ),
    "parsenet": Architecture(
        ("encoder.0.conv2d.weight", "out_mask_conv.conv2d.weight"),
        make=f"{_NETS}.parsing_parsenet:ParseNet", memory=Memory((86, 86), (572, 572), (23, 23)), golden="parsenet",
    ),
    # Upsamplers' memory is in bytes a pixel: the highest of tiles of 128, 256 and 384 px.
    "rrdbnet-x2": Architecture(
        ("body.0.rdb1.conv1.weight",), shapes={"conv_first.weight": (64, 12, 3, 3)}, make=f"{_NETS}.rrdbnet:RRDBNet",
        settings={"scale": 2}, memory=Memory((67, 34), (3300, 1900)), golden="rrdbnet_x2", feed="corner", tolerance="calm",
        gain=_GAIN_RRDB,
    ),
    "rrdbnet-x4": Architecture(
        ("body.0.rdb1.conv1.weight",), shapes={"conv_first.weight": (64, 3, 3, 3)}, make=f"{_NETS}.rrdbnet:RRDBNet",
        settings={"scale": 4}, memory=Memory((67, 34), (11000, 5800)), feed="corner", tolerance="calm", gain=_GAIN_RRDB,
    ),
    "arcface-ir-se50": Architecture(
        ("input_layer.0.weight", "body.23.res_layer.5.fc1.weight"), make=f"{_NETS}.arcface:ArcFaceIRSE50",
        memory=Memory((176, 176), (34, 34)), golden="arcface_ir_se50", feed="rgb_112", ask="embedding", tolerance="calm",
    ),
    "arcface-resnet18": Architecture(
        ("layer4.1.conv2.weight", "fc5.weight"), shapes={"conv1.weight": (64, 1, 3, 3)},
        make=f"{_NETS}.arcface:ArcFaceResNet18", golden="arcface_r18", feed="grey_128", ask="embedding", tolerance="calm",
    ),
    "adaface-ir50": Architecture(
        ("input_layer.0.weight", "body.23.res_layer.5.running_var"), make=f"{_NETS}.adaface:AdaFaceIR50",
        golden="adaface_ir50", feed="bgr_112", ask="embedding_and_norm", tolerance="middle",
    ),
    "inception-fid": Architecture(
        ("Conv2d_1a_3x3.conv.weight", "Mixed_7c.branch_pool.conv.weight"), make=f"{_NETS}.inception:PatchedInception",
        feed="inception_299", ask="embedding", tolerance="calm",
    ),
    # Recognised, to be named in messages, and not built by gfpup: facexlib's landmarks, and GFPGAN with its CUDA operators.
    "alignment-wflw-4hg": Architecture(("conv1.conv.weight", "m0.b1_4.bn1.weight")),
    "gfpgan-original": Architecture(("conv_body_first.0.weight", "stylegan_decoder.constant_input.weight")),
}
# fmt: on
"""Detectors, parsers, upsamplers and recognition networks."""

ARCHITECTURES: dict[str, Architecture] = {
    **{name: row.network for name, row in TABLE.items() if row.network is not None},
    **{f"{name}-{version}": network for name, row in TABLE.items() for version, network in row.networks.items()},
    **HELPERS,
}
"""Every network, by the name that the catalogue gives its architecture."""
