"""A method for each photo: measurements follow the damage they are named for, the rules do what they say."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from gfpup.core.errors import GfpupError
from gfpup.core.plan import FaceChoice
from gfpup.core.types import Face, Metadata, Photo, UInt8
from gfpup.models import backends
from gfpup.ops import degrade
from gfpup.ops.geometry import TEMPLATE_512_XY
from gfpup.photos import jpeg_quality
from gfpup.photos.jpeg_quality import file_jpeg_quality
from gfpup.restoration.align import aligned_crop
from gfpup.restoration.auto import AutoRestorer, Choice, choose, rules
from gfpup.restoration.damage import Damage, measure_damage
from gfpup.restoration.restorer import Restorer

ALL = tuple(rules()["methods"])
CLEAN = Damage(faces=1, face_px=300, sharpness=0.4, noise=0.3, blockiness=1.05, colours=15)


def scene(seed: int = 0, side: int = 512) -> UInt8:
    """A picture with edges of every size, flat parts and colours: a stand-in for a face."""
    rng = np.random.default_rng(seed)
    picture = np.full((side, side, 3), 120, np.uint8)
    for _ in range(150):
        centre = tuple(int(v) for v in rng.integers(0, side * 2 // 3, 2))
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        cv2.circle(picture, centre, int(rng.integers(3, side // 10)), colour, -1, cv2.LINE_AA)
    return picture


def measured(picture: UInt8, **facts: int) -> Damage:
    return measure_damage(picture, [aligned_crop(picture).face], **facts)


def test_each_measure_follows_its_damage_and_not_another() -> None:
    rng = np.random.default_rng(1)
    clean = scene()
    blurred = [measured(cv2.GaussianBlur(clean, (0, 0), sigma)).sharpness for sigma in (1, 4, 8, 16)]
    assert blurred == sorted(blurred, reverse=True) and blurred[0] > 4 * blurred[-1]
    noisy = [measured(np.clip(clean + rng.normal(0, s, clean.shape), 0, 255).astype(np.uint8)) for s in (0, 4, 8, 16)]
    noises = [damage.noise for damage in noisy]
    assert noises == sorted(noises) and noises[-1] > noises[0] + 2
    assert noisy[-1].sharpness == pytest.approx(noisy[0].sharpness, rel=0.15)
    dark = measured((clean // 2 + 60).astype(np.uint8))
    assert dark.sharpness == pytest.approx(measured(clean).sharpness, rel=0.05)


@pytest.mark.parametrize("phase", [(0, 0), (3, 5)])
def test_blocks_are_seen_wherever_their_grid_begins(phase: tuple[int, int], tmp_path: Path) -> None:
    soft = cv2.GaussianBlur(scene(2), (0, 0), 2)
    Image.fromarray(soft).save(tmp_path / "a.jpg", quality=12)
    blocky = np.asarray(Image.open(tmp_path / "a.jpg"))[phase[0] :, phase[1] :]
    before, after = measured(soft[phase[0] :, phase[1] :]).blockiness, measured(blocky).blockiness
    assert before is not None and after is not None and before < 1.15 and after > 1.3
    assert measured(blocky, jpeg_quality=12).blockiness is None


def test_grey_and_sepia_are_one_line_of_colours_and_photos_are_not() -> None:
    grey = np.repeat(cv2.cvtColor(scene(), cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
    sepia = np.clip(grey * np.array([1.07, 0.9, 0.7]) + np.array([0, 5, 0]), 0, 255).astype(np.uint8)
    assert measured(grey).colours == pytest.approx(0, abs=0.01)
    sepia_colours, colours = measured(sepia).colours, measured(scene()).colours
    assert sepia_colours is not None and colours is not None and sepia_colours < 3 < colours
    assert choose(measured(sepia), ALL).rule == "grey"


@pytest.mark.parametrize("quality", [1, 7, 25, 49, 50, 51, 75, 90, 100])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality: int, tmp_path: Path) -> None:
    Image.fromarray(scene(side=64)).save(tmp_path / "a.jpg", quality=quality)
    (tmp_path / "a.jpg").rename(tmp_path / "misnamed.png")
    assert file_jpeg_quality(tmp_path / "misnamed.png") == quality


def test_what_is_no_jpeg_has_no_quality(tmp_path: Path) -> None:
    Image.fromarray(scene(side=64)).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    assert [file_jpeg_quality(tmp_path / name) for name in ("a.png", "b.jpg", "missing.jpg")] == [None, None, None]


def test_the_largest_face_decides() -> None:
    picture = np.full((600, 1200, 3), 120, np.uint8)
    picture[:512, :512] = scene()
    picture[:100, 600:700] = cv2.resize(cv2.GaussianBlur(scene(3), (0, 0), 12), (100, 100), interpolation=cv2.INTER_AREA)
    large = Face((0, 0, 511, 511), 0.9, TEMPLATE_512_XY.copy())
    small = Face((600, 0, 699, 99), 0.99, TEMPLATE_512_XY * (100 / 512) + np.array([600, 0]))
    both = measure_damage(picture, [small, large])
    assert both.faces == 2 and both.face_px == 511 and both.sharpness == measure_damage(picture, [large]).sharpness
    unfit = Face((0, 0, 800, 599), 0.9, np.full((5, 2), 5.0))
    assert measure_damage(picture, [unfit, large]).face_px == 511
    assert measure_damage(picture, [unfit]) == Damage(faces=1)


@pytest.mark.parametrize(
    ("damage", "rule", "method"),
    [
        (CLEAN, "light damage", "classical"),
        (Damage(faces=0), "no face", "identity"),
        (Damage(faces=2), "light damage", "classical"),
        (Damage(**{**vars(CLEAN), "sharpness": 0.05, "noise": 3.0}), "strong damage", "codeformer-0.5"),
        (Damage(**{**vars(CLEAN), "jpeg_quality": 39}), "strong damage", "codeformer-0.5"),
        (Damage(**{**vars(CLEAN), "jpeg_quality": 40}), "noise or compression", "restoreformerpp"),
        (Damage(**{**vars(CLEAN), "jpeg_quality": 60}), "light damage", "classical"),
        (Damage(**{**vars(CLEAN), "face_px": 30}), "strong damage", "codeformer-0.5"),
        (Damage(**{**vars(CLEAN), "face_px": 100}), "soft", "gfpgan-1.4"),
        (Damage(**{**vars(CLEAN), "colours": 0.0, "sharpness": 0.2}), "grey", "gfpgan-1.3"),
        (Damage(**{**vars(CLEAN), "noise": 1.0}), "noise or compression", "restoreformerpp"),
        (Damage(**{**vars(CLEAN), "blockiness": 1.4}), "noise or compression", "restoreformerpp"),
        (Damage(**{**vars(CLEAN), "sharpness": 0.2}), "soft", "gfpgan-1.4"),
    ],
)
def test_the_rules_say_what_they_do(damage: Damage, rule: str, method: str) -> None:
    choice = choose(damage, ALL)
    assert (choice.rule, choice.method) == (rule, method)
    assert choice.reason.startswith(f"{method} was chosen: ") and "None" not in choice.reason


def test_what_cannot_run_is_passed_over_aloud_and_nothing_left_is_an_error() -> None:
    strong = Damage(**{**vars(CLEAN), "sharpness": 0.05})
    choice = choose(strong, ("identity", "classical", "gfpgan-1.4"))
    assert (choice.backend, choice.parameters) == ("gfpgan", {"version": "1.4"})
    assert "sharpness 0.05, under 0.08" in choice.reason and "codeformer-0.5 cannot run here" in choice.reason
    with pytest.raises(GfpupError, match="no method of the rule 'strong damage'"):
        choose(strong, ("identity",))


def test_the_shipped_rules_name_methods_and_parameters_that_exist() -> None:
    table = rules()
    for name, method in table["methods"].items():
        facts = backends.facts(method["backend"])
        assert set(method["parameters"]) <= set(facts.parameters), name
        assert method["parameters"].get("version", facts.default_version) in {*facts.versions, facts.default_version}
    facts_of = set(Damage.__dataclass_fields__)
    for rule in table["rules"]:
        assert set(rule["take"]) <= set(table["methods"])
        assert {condition["fact"] for condition in rule["any"]} <= facts_of
        assert rule["take"][-1] in ("classical", "identity") or not rule["any"]  # what needs no weights can always run
    assert table["rules"][-1]["any"] == []


def test_strong_damage_of_real_faces_is_told_from_mild(shared: Path) -> None:
    faces = [Image.open(path).convert("RGB").resize((512, 512)) for path in sorted((shared / "data/reference_faces").iterdir())]
    counts = {}
    for protocol in ("mild", "codeformer-stage2"):
        drawn = [
            (face, degrade.draw(protocol, seed=seed, name=f"{i}.png")) for i, face in enumerate(faces) for seed in (91, 92, 93)
        ]
        chosen = [choose(measured(degrade.apply(np.asarray(face), damage)), ALL).rule for face, damage in drawn]
        counts[protocol] = chosen.count("strong damage") / len(chosen)
    assert counts["mild"] == 0 and counts["codeformer-stage2"] > 0.7


class Found:
    """Finds one face of the size of the picture's short side, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def detect(self, rgb: UInt8) -> list[Face]:
        self.asked += 1
        side = min(rgb.shape[:2])
        return [Face((0, 0, side - 1, side - 1), 0.99, TEMPLATE_512_XY * (side / 512))] if rgb.max() else []


class Paint:
    def __init__(self, value: float) -> None:
        self.value = value
        self.faces = 0

    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        self.faces += len(crops)
        return torch.full_like(crops, self.value)


class Never:
    def detect(self, rgb: UInt8) -> list[Face]:
        raise AssertionError("the faces are known already")


def photo(pixels: UInt8, name: str = "p.png", kind: str = "PNG") -> Photo:
    return Photo(Path(name), pixels, Metadata(kind))


def by_brightness(damage: Damage, available: Collection[str]) -> Choice:
    """A rule for tests: sharp faces get "white", others "black", photos without a face "grey"."""
    method = "grey" if damage.faces == 0 else "white" if (damage.sharpness or 0) > 0.05 else "black"
    assert method in available
    return Choice(method, method, {}, "test", f"{method} was chosen: so says the test")


def test_photos_get_their_method_in_their_order_and_their_faces_are_found_once() -> None:
    made: list[str] = []
    paints = {"white": Paint(1.0), "black": Paint(0.0), "grey": Paint(0.5), "unused": Paint(0.2)}

    def maker(name: str) -> Restorer:
        made.append(name)
        return Restorer(paints[name], Never(), upscale=1)

    detector = Found()
    restorer = AutoRestorer(detector, {name: lambda name=name: maker(name) for name in paints}, rule=by_brightness)
    sharp, soft, none = scene(), cv2.GaussianBlur(scene(), (0, 0), 20), np.zeros((300, 300, 3), np.uint8)
    for _ in range(2):
        results = restorer([photo(soft), photo(sharp), photo(none), photo(soft)])
    assert made == ["black", "white", "grey"]  # each loaded when first needed, once
    assert detector.asked == 8
    assert [int(result.pixels[256, 256, 0]) for result in results[:2]] == [0, 255] and results[3].pixels[256, 256, 0] == 0
    assert [len(result.faces) for result in results] == [1, 1, 0, 1]
    assert results[1].notes == ("white was chosen: so says the test",) and results[1].warnings == ()
    assert [result.method for result in results] == ["black", "white", "grey", "black"]
    assert "no face was found" in results[2].warnings[0] and results[2].notes[0].startswith("grey was chosen")
    assert {"detect", "choose", "align", "restore", "paste"} <= set(results[0].seconds)
    np.testing.assert_array_equal(restorer([photo(sharp)])[0].pixels, results[1].pixels)  # alone as in company


def test_a_face_that_is_left_alone_does_not_choose() -> None:
    seen: list[Damage] = []

    def rule(damage: Damage, available: Collection[str]) -> Choice:
        seen.append(damage)
        return Choice("only", "identity", {}, "test", "only was chosen")

    selection = FaceChoice(min_px=1000)
    makers = {"only": lambda: Restorer(Paint(1.0), Never(), upscale=1, choice=selection)}
    result = AutoRestorer(Found(), makers, selection=selection, rule=rule)([photo(scene())])[0]
    assert seen == [Damage(faces=0)] and not result.faces[0].restored


def test_aligned_faces_and_the_quality_of_their_files(tmp_path: Path) -> None:
    Image.fromarray(scene()).save(tmp_path / "a.jpg", quality=30)
    pixels = np.asarray(Image.open(tmp_path / "a.jpg"))
    makers = {name: lambda: Restorer(Paint(1.0), None) for name in ALL}
    job = photo(pixels, str(tmp_path / "a.jpg"), "JPEG")
    strong = AutoRestorer(None, makers)([job])[0]
    assert "jpeg_quality 30, under 40" in strong.notes[-1] and strong.pixels.min() == 255
    made_on_the_fly = AutoRestorer(None, makers, from_files=False)([job])[0]
    assert "jpeg_quality" not in made_on_the_fly.notes[-1] and "detect" not in made_on_the_fly.seconds


def test_rules_without_an_end_are_refused() -> None:
    with pytest.raises(GfpupError, match="no rule fits"):
        choose(CLEAN, ALL, given={**rules(), "rules": rules()["rules"][:1]})


def test_tables_scale_as_libjpeg_scales_them() -> None:
    assert jpeg_quality._table(50)[0] == 16 and jpeg_quality._table(100).max() == 1 and jpeg_quality._table(25)[0] == 32


@pytest.mark.parametrize(("side", "measured_there"), [(31, False), (32, True), (60, True)])
def test_blocks_are_looked_for_where_a_face_has_four_of_them(side: int, measured_there: bool) -> None:
    picture = cv2.resize(scene(), (side, side), interpolation=cv2.INTER_AREA)
    face = Face((0, 0, side - 1, side - 1), 0.9, TEMPLATE_512_XY * (side / 512))
    damage = measure_damage(picture, [face])
    assert (damage.blockiness is not None) == measured_there and damage.face_px == side - 1


def test_a_condition_holds_from_its_number_on_or_under_it_and_every_one_that_holds_is_said() -> None:
    table = {
        "methods": {name: {"backend": name, "parameters": {}} for name in ("strong", "light")},
        "rules": [
            {
                "name": "bad",
                "any": [
                    {"fact": "noise", "from": 2, "say": "it is noisy"},
                    {"fact": "face_px", "under": 100, "say": "it is small"},
                ],
                "take": ["strong"],
                "because": "it needs help",
            },
            {"name": "good", "any": [], "take": ["light"], "because": "little is to be done"},
        ],
    }

    def reason(noise: float, face_px: float) -> str:
        return choose(Damage(1, face_px=face_px, noise=noise), ("strong", "light"), given=table).reason

    assert reason(1.999, 100) == "light was chosen: no rule for damage holds; little is to be done"
    assert reason(2, 100) == "strong was chosen: it is noisy (noise 2, from 2); it needs help"
    assert reason(0, 99.9) == "strong was chosen: it is small (face_px 99.9, under 100); it needs help"
    assert reason(3, 50).startswith("strong was chosen: it is noisy (noise 3, from 2); it is small (face_px 50, under 100); ")
    assert reason(1.9996, 100).startswith("strong"), "numbers count as they are shown, to three decimals"
