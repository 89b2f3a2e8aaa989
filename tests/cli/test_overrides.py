"""Flags to overrides: one flag, one override; what is no flag passes untouched; typing errors are answered."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_module
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gfpup.cli.overrides import quote, to_overrides
from gfpup.core.errors import GfpupError
from gfpup.planning.schema import FLAGS


def test_the_issue_s_lines() -> None:
    assert to_overrides(["--input", "photo.jpg", "--backend", "classical", "--output", "out/"]) == [
        "source.paths=['photo.jpg']",
        "backend=classical",
        "output='out/'",
    ]
    assert to_overrides(["--input", "a/", "--input", "b/", "--recursive", "--device", "cpu"]) == [
        "source.paths=['a/','b/']",
        "source.recursive=true",
        "hardware.device=cpu",
    ]
    assert to_overrides(["--output", "out/", "backend=identity", "hardware=cpu"]) == [
        "output='out/'",
        "backend=identity",
        "hardware=cpu",
    ]
    assert to_overrides(["--backend", "identity,classical", "-m"]) == ["backend=identity,classical", "-m"]


@pytest.mark.parametrize("flag", sorted({flag.name for flag, _ in FLAGS.values()}))
def test_every_flag_is_one_override_of_a_key_that_exists(flag: str) -> None:
    spec, option = FLAGS[flag]
    sample = {"value": "1", "text": "x", "list": "x", "boxes": "1,2,3,4", "names": "1,2", "metrics": "psnr,ssim"}
    groups = {
        "backend": "identity",
        "background": "none",
        "source": "paired",
        "experiment": "001-baselines",
        "tracking": "none",
    }
    value = groups.get(option.key, sample.get(option.kind, ""))
    overrides = to_overrides([flag] if spec.is_switch else [flag, value])
    assert len(overrides) == 1
    assert overrides[0].startswith((option.key + "=", option.key + ".names="))
    with initialize_config_module("gfpup.conf", version_base="1.3"):
        compose("run", overrides)  # raises where the key does not exist


def test_hydra_s_own_flags_pass() -> None:
    for words in (
        ["--cfg", "job"],
        ["--cfg=job"],
        ["--info"],
        ["--info", "defaults"],
        ["--multirun"],
        ["--resolve"],
        ["-cd", "x"],
    ):
        assert to_overrides(words) == words
    for word in ("+new.key=1", "++a.b=2", "~source", "hydra/launcher=joblib", "hydra.sweep.dir=x", "a.b='${x}'"):
        assert to_overrides([word]) == [word]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--backand", "x"], "did you mean --backend?"),
        (["--qqqq"], "gfpup run --help-all"),
        (["--input"], "--input needs a value"),
        (["--upscale", "--recursive"], "--upscale needs a value"),
        (["--recursive=yes"], "takes no value"),
        (["--backend", "a,b"], "add -m"),
        (["--backend", "a", "--backend", "b"], "given twice"),
        (["--resume", "--overwrite"], "exclude each other"),
        (["--input", "a.jpg", "b.jpg"], "repeat --input"),
        (["--backend", ""], "empty value"),
    ],
)
def test_mistakes_get_one_sentence(words: list[str], says: str) -> None:
    with pytest.raises(GfpupError, match=r"^[^\n]+$") as error:
        to_overrides(words)
    assert says in str(error.value)


TEXTS = st.text(st.sampled_from("ab ,=${}[]()'\"\\:;#~+-.éß照片\t\n"), max_size=12) | st.text(max_size=20).filter(
    lambda t: "\0" not in t and "\r" not in t
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS.filter(lambda t: t.isprintable() or " " in t))
def test_any_text_survives_quoting(text: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    value = OverridesParser.create().parse_override(f"output={quote(text)}").value()
    config = OmegaConf.create({"output": str(value) if not isinstance(value, str) else value})
    assert config.output == text


ODD = ["a b,c=d", "x${y}", "it's", 'say "hi"', "back\\slash\\", "照片/été.jpg", "\\${a}", "\\'", "~x", "1", "null"]


@pytest.mark.parametrize("path", ODD)
def test_odd_paths_reach_the_configuration(path: str) -> None:
    with initialize_config_module("gfpup.conf", version_base="1.3"):
        config = compose("run", to_overrides(["--input", path, "--output", path]))
    assert config.output == path
    assert list(config.source.paths) == [path]
