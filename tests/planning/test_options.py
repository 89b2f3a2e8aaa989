"""The options of the Python API are the flags of the command, each with the same key and the same effect."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import hydra
import numpy as np
import pytest
from omegaconf import OmegaConf

from gfpup.cli import overrides
from gfpup.core.errors import GfpupError
from gfpup.planning.options import Options, RunOptions, WeightOptions, settings_of, table, words_of
from gfpup.planning.schema import FLAGS
from gfpup.planning.settings import read_settings


def test_the_options_are_the_words_of_the_flags() -> None:
    """The dictionaries for type checkers hold the keywords of the schema; the rest are arguments or verbs in Python.

    --auto is short for --backend auto, and the backend is an argument.
    """
    flags, rows = {flag.keyword for flag, _ in FLAGS.values()}, table(RunOptions)
    assert flags - set(rows) == {"input", "output", "backend", "auto", "dry_run", "json", "quiet", "verbose"}
    for options in (WeightOptions, Options, RunOptions):
        assert set(get_type_hints(options)) == set(table(options))
    assert set(table(WeightOptions)) < set(table(Options)) < set(rows)
    for name, hint in get_type_hints(RunOptions).items():
        assert (hint is bool) == rows[name][0].is_switch, name


def test_refusals_name_the_keyword() -> None:
    with pytest.raises(GfpupError, match=r"invalid value '100' for upscale: expected a number from 0\.0625 to 16"):
        settings_of("identity", {"upscale": 100})
    with pytest.raises(GfpupError, match="for high_quality: expected True or False"):
        settings_of("identity", {"high_quality": 1})


EXAMPLES: dict[str, object] = {
    "version": 1.3, "fidelity": np.float64(0.25), "steps": np.int64(3), "strength": 0.5, "match_color": True, "keep_tone": True,
    "upscale": np.int64(4), "aligned": True,
    "background": "realesrgan", "background_path": Path("it's ${here}/b.pth"), "tile": 400, "tile_overlap": 16,
    "high_quality": True, "ensemble_backends": ["gfpgan", "codeformer"], "ensemble_weights": [0.25, 0.75],
    "restored": "theirs, all", "mapping": "map.csv", "seed": 7, "detector": "cascade", "detector_path": "d.pth",
    "detection_threshold": 0.5, "detect_size": 0, "turn": "apply", "faces": 3, "min_face": 20, "min_eye_distance": 12,
    "min_score": 0.1, "leave_alone": [(0, 0, 10.5, 20), (1, 2, 3, 4)], "keep_large_faces": True,
    "pick_faces": ["a.jpg=0,2", "b.jpg=none"], "person": ["Ann Lee", "b,c"], "people": "folk",
    "false_match": 0.02, "identity_min": 0.6,
    "identity_path": "i.pth", "mask": "feather",
    "mask_path": "m.pth", "model_path": "a=b.pth", "device": "cpu", "weights_dir": "w", "no_download": True,
    "weights_file": {"gfpgan-v1.4": "mine.pth"}, "trust_first_download": True, "accept_licence": ["s-lab-1.0", "mit"],
    "precision": "fp32", "engine": "eager", "compile": True, "threads": 2, "face_batch": 4,
}  # fmt: skip


def test_every_option_sets_what_its_flag_sets() -> None:
    """The same words, once as Python options and once through the command line's own translation and Hydra."""
    excluded = {"memory_efficient": True, "only_center_face": True}
    assert set(EXAMPLES) | set(excluded) == set(table(Options))
    for chosen in (EXAMPLES, excluded):
        ours = settings_of("codeformer", chosen)
        words = overrides.to_overrides(["--backend", "codeformer", "--input", ".", *words_of(chosen)])
        with hydra.initialize_config_module("gfpup.conf", version_base="1.3"):
            config = OmegaConf.to_container(hydra.compose("run", overrides=words), resolve=True)
        theirs = read_settings(config)  # type: ignore[arg-type]
        assert replace(ours, source=theirs.source, resolved={}) == replace(theirs, source=theirs.source, resolved={})
