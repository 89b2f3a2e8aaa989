"""Which network a state dict belongs to, told from the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# name, entries that must be there, entries that must not. A shape of None means any shape. The first match wins, so the
# narrower signature of two similar networks stands first. Entries that exist in every variant of a network are used, so
# that a fine-tuned checkpoint is recognised too.
_Signature = tuple[str, Mapping[str, tuple[int, ...] | None], tuple[str, ...]]
SIGNATURES: tuple[_Signature, ...] = (
    ("gfpgan", {"conv_body_first.weight": None, "stylegan_decoder.constant_input.weight": None}, ()),
    ("gfpgan-original", {"conv_body_first.0.weight": None, "stylegan_decoder.constant_input.weight": None}, ()),
    ("codeformer", {"position_emb": None, "idx_pred_layer.1.weight": None, "feat_emb.weight": None}, ()),
    ("restoreformerpp", {"quantize.embedding.weight": None, "decoder.up.4.attn.0.q.weight": None}, ()),
    (
        "restoreformer",
        {"quantize.embedding.weight": None, "post_quant_conv.weight": None, "encoder.down.0.block.0.norm1.weight": None},
        ("decoder.up.4.attn.0.q.weight",),
    ),
    ("rrdbnet-x2", {"conv_first.weight": (64, 12, 3, 3), "body.0.rdb1.conv1.weight": None}, ()),
    ("rrdbnet-x4", {"conv_first.weight": (64, 3, 3, 3), "body.0.rdb1.conv1.weight": None}, ()),
    ("retinaface-resnet50", {"ClassHead.0.conv1x1.weight": None, "body.layer1.0.conv1.weight": None}, ()),
    ("retinaface-mobilenet0.25", {"ClassHead.0.conv1x1.weight": None, "body.stage1.0.0.weight": None}, ()),
    ("bisenet", {"cp.resnet.conv1.weight": None, "ffm.convblk.conv.weight": None, "conv_out.conv.conv.weight": None}, ()),
    ("parsenet", {"encoder.0.conv2d.weight": None, "out_mask_conv.conv2d.weight": None}, ()),
    ("arcface-ir-se50", {"input_layer.0.weight": None, "body.23.res_layer.5.fc1.weight": None}, ()),
    ("arcface-resnet18", {"conv1.weight": (64, 1, 3, 3), "layer4.1.conv2.weight": None, "fc5.weight": None}, ()),
    ("alignment-wflw-4hg", {"conv1.conv.weight": None, "m0.b1_4.bn1.weight": None}, ()),
)


def recognise(state: Mapping[str, torch.Tensor]) -> str | None:
    """Name the network that a state dict belongs to, or None where no signature fits.

    The names are those of `Checkpoint.architecture` in the catalogue, and "gfpgan-original" for the GFPGAN with custom
    CUDA operators, which no backend of gfpup runs.
    """
    for name, present, absent in SIGNATURES:
        fits = all(key in state and (shape is None or tuple(state[key].shape) == shape) for key, shape in present.items())
        if fits and not any(key in state for key in absent):
            return name
    return None
