"""The options of the Python API are the flags of the command, each with the same key and the same effect."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import hydra
import numpy as np
from omegaconf import OmegaConf

from gfpup.cli import overrides
from gfpup.planning.options import Options, RunOptions, WeightOptions, settings_of, table, words_of
from gfpup.planning.settings import read_settings


def flag_words() -> dict[str, overrides.Flag]:
    return {flag.name[2:].replace("-", "_"): flag for group in overrides.GROUPS.values() for flag in group}


def test_the_options_are_the_words_of_the_flags() -> None:
    """A new flag needs a row in planning/options.py, of the same key; these are arguments or verbs of their own in Python.

    --auto is short for --backend auto, and the backend is an argument.
    """
    flags, rows = flag_words(), table(RunOptions)
    assert set(flags) - set(rows) == {"input", "output", "backend", "auto", "dry_run", "json", "quiet", "verbose"}
    assert set(rows) <= set(flags)
    for name, at in rows.items():
        assert at.key == flags[name].key
        assert (at.kind == "switch") == (flags[name].kind == "switch")
        if at.kind == "switch":
            assert str(at.value).lower() == flags[name].value
    assert set(table(WeightOptions)) < set(table(Options)) < set(rows)


EXAMPLES: dict[str, object] = {
    "version": 1.3, "fidelity": np.float64(0.25), "strength": 0.5, "match_color": True, "upscale": np.int64(4), "aligned": True,
    "background": "realesrgan", "background_path": Path("it's ${here}/b.pth"), "tile": 400, "tile_overlap": 16,
    "high_quality": True, "ensemble_backends": ["gfpgan", "codeformer"], "ensemble_weights": [0.25, 0.75],
    "restored": "theirs, all", "mapping": "map.csv", "seed": 7, "detector": "cascade", "detector_path": "d.pth",
    "detection_threshold": 0.5, "detect_size": 0, "faces": 3, "min_face": 20, "min_eye_distance": 12, "min_score": 0.1,
    "leave_alone": [(0, 0, 10.5, 20), (1, 2, 3, 4)], "identity_min": 0.6, "identity_path": "i.pth", "mask": "feather",
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
