"""The schema: its defaults are those of conf/, its types Hydra's, and what it refuses is named as it was typed."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

import hydra
import pytest
from machines import request
from omegaconf import OmegaConf
from omegaconf.errors import ReadonlyConfigError

from gfpup.core.errors import GfpupError
from gfpup.core.plan import FaceChoice
from gfpup.planning.option import describe, expected
from gfpup.planning.schema import FLAGS, OPTIONS, SECTIONS, Faces
from gfpup.planning.settings import ARGV_VARIABLE, read_settings
from gfpup.planning.structured import SCHEMA, register

CHOSEN = {
    "source": "folder",
    "backend": "gfpgan",
    "hardware": "auto",
    "background": "auto",
    "metrics": "off",
    "tracking": "auto",
}


def test_the_defaults_of_conf_are_those_of_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """Composed without the schema, conf/run.yaml holds every key that the schema declares, with the same default."""
    monkeypatch.delenv("GFPUP_TRACKING", raising=False)
    conf = Path(__file__).resolve().parents[2] / "conf"
    held = OmegaConf.load(conf / "run.yaml")
    for group, name in CHOSEN.items():
        held[group] = OmegaConf.load(conf / group / f"{name}.yaml")
    del held["hydra"], held["defaults"]
    plain = OmegaConf.to_container(held, resolve=True)
    found = dict(_flat(plain))
    declared = {
        key: str(wanted.default) if isinstance(wanted.default, Path) else wanted.default
        for key, wanted in OPTIONS.items()
        if key not in CHOSEN and key != "experiment"
    }
    assert found == declared


def _flat(node: object, prefix: str = "") -> list[tuple[str, object]]:
    if not isinstance(node, dict):
        return [(prefix[:-1], node)]
    return [row for key, value in node.items() for row in _flat(value, f"{prefix}{key}.")]


def test_the_composed_configuration_is_typed_and_can_be_changed() -> None:
    with hydra.initialize_config_module("gfpup.conf", version_base="1.3"):
        config = hydra.compose("run")
    assert OmegaConf.get_type(config, "restore").__name__ == "Restore"
    try:
        config.restore.upscale = 3
    except ReadonlyConfigError:
        pytest.fail("a frozen dataclass makes a configuration that nothing can override")
    register()  # again: the store holds one schema
    assert [name for name in hydra.core.config_store.ConfigStore.instance().repo if name.startswith(SCHEMA)] == ["schema.yaml"]


def test_every_flag_has_a_section_and_a_help_that_asks_for_something() -> None:
    for flag, wanted in FLAGS.values():
        assert wanted.section in SECTIONS, flag.name
        text = describe(flag, wanted)
        assert text[0].islower() and not text.endswith("."), flag.name
        assert flag.is_switch or flag.metavar, flag.name


def test_ten_flags_are_shown_first() -> None:
    assert len({flag.name for flag, _ in FLAGS.values() if flag.common}) == 10


def test_the_faces_of_the_schema_are_a_choice_of_faces() -> None:
    assert [item.name for item in fields(Faces)] == [item.name for item in fields(FaceChoice)]
    assert isinstance(request().faces, FaceChoice) and asdict(request().faces) == asdict(FaceChoice())


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("restore.upscale", "a number from 0.0625 to 16"),
        ("detect.size", "a whole number of 0 or more, in px"),
        ("paste.mask", "one of auto, feather, bisenet, parsenet"),
        ("dry_run", "true or false"),
        ("weights.dir", "a path"),
        ("ensemble.weights", "a list of numbers"),
    ],
)
def test_what_is_expected_is_said_in_words(key: str, says: str) -> None:
    assert expected(OPTIONS[key]) == says


WRONG = {
    "restore.upscale=100": "invalid value '100' for restore.upscale: expected a number from 0.0625 to 16.",
    "detect.name=scrfd": "invalid value 'scrfd' for detect.name: expected one of auto, retinaface-resnet50",
    "hardware.devices=0": "invalid value '0' for hardware.devices: expected auto or a whole number of 1 or more.",
    "faces.which=some": "invalid value 'some' for faces.which: expected all, largest, center or a number of faces.",
    "faces.leave_alone=[[4,1,2,3]]": "expected boxes [x0,y0,x1,y1] in photo pixels",
    "weights.files=[x]": "invalid value 'x' for weights.files: expected NAME=FILE",
    "write.png_compression=10": "expected a whole number from 0 to 9.",
    "source.paths=[]": "there is nothing to restore",
    "restore.fidelty=1": "there is no key of restore 'fidelty': did you mean 'fidelity'?",
}


@pytest.mark.parametrize("override", WRONG)
def test_wrong_values_are_refused(override: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ARGV_VARIABLE, raising=False)
    with pytest.raises(GfpupError) as error:
        request(override)
    assert WRONG[override] in str(error.value)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--upscale", "100"], "--upscale"),
        (["--upscale=100"], "--upscale"),
        (["restore.upscale=100"], "restore.upscale"),
        (["--experiment", "mine"], "restore.upscale"),
    ],
)
def test_the_flag_that_was_typed_is_named(words: list[str], named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ARGV_VARIABLE, json.dumps(["gfpup", "run", *words]))
    with pytest.raises(GfpupError, match=f"for {named}: expected"):
        request("restore.upscale=100")


def test_a_key_that_was_taken_out_has_its_default() -> None:
    assert read_settings({"source": {"paths": ["a"]}}).detect == request().detect


def test_parameters_of_a_method_are_checked_by_name() -> None:
    assert request("restore.fidelity=0.3").restore.parameters == {"fidelity": 0.3}
    assert request("restore.version=1.3").restore.parameters == {"version": "1.3"}
