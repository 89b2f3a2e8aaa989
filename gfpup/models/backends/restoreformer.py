"""RestoreFormer and RestoreFormer++: two networks, each with its own checkpoint, not one under two names."""

from __future__ import annotations

from gfpup.models.backends.network import CodeBookBackend


class RestoreFormer(CodeBookBackend):
    """RestoreFormer: the nearest codes of high-quality faces, attended to by the input's features.

    Source: Wang et al., "RestoreFormer: High-Quality Blind Face Restoration from Undegraded Key-Value Pairs", CVPR 2022;
    github.com/wzhouxiff/RestoreFormer; the checkpoint is the one that github.com/TencentARC/GFPGAN publishes.
    """

    architecture = "restoreformer"


class RestoreFormerPP(RestoreFormer):
    """RestoreFormer++: four attention heads in place of eight, and a second size at which the decoder attends to the input.

    Source: Wang et al., "RestoreFormer++: Towards Real-World Blind Face Restoration from Undegraded Key-Value Pairs", TPAMI
    2023; github.com/wzhouxiff/RestoreFormerPlusPlus.
    """

    architecture = "restoreformerpp"
