"""A photo's scores: whole and by face, against reference or input and never one for the other, and missing with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfpup.core.errors import CheckpointError, LicenceError
from gfpup.core.types import AlignedCrop, Face, FaceResult, Float64, Metadata, Photo, RestoredPhoto, Score, UInt8, as_8_bit
from gfpup.evaluation.metrics import POLYFORM, MetricError
from gfpup.evaluation.metrics.full_reference import psnr, ssim
from gfpup.evaluation.scorer import Pictures, Scorer, affines_of, load_scorer, notes, require
from gfpup.ops import geometry
from gfpup.ops.resize import resize
from gfpup.records.photo_record import PhotoRecord


def picture(height: int, width: int, seed: int) -> UInt8:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (max(height // 16, 2), max(width // 16, 2), 3), np.uint8)
    return np.asarray(resize(small, (height, width)), np.uint8)


def absent(name: str) -> Path:
    raise CheckpointError(f"{name} is not there")


class MeanDifference:
    """A metric of faces that the test can reckon by hand; it remembers what it was given."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: list[tuple[UInt8, UInt8 | None]] = []

    def score(self, restored: UInt8, reference: UInt8 | None) -> Score:
        self.seen.append((restored, reference))
        assert reference is not None
        return Score(self.name, float(np.abs(restored.astype(int) - reference).mean()), False)


def scorer_of(*names: str, find: Any = absent) -> Scorer:
    return load_scorer(names, find=find)


def by_key(scores: tuple[Score, ...]) -> dict[tuple[str, int | None], Score]:
    found = {(score.metric, score.face): score for score in scores}
    assert len(found) == len(scores), "a metric was scored twice"
    return found


AFFINE = np.array([[4.0, 0.0, -120.0], [0.0, 4.0, -80.0]])


def test_without_a_reference_names_say_against_the_input() -> None:
    restored, degraded = picture(200, 240, 1), picture(200, 240, 2)
    scores = by_key(scorer_of("psnr", "ssim")(Pictures(restored, degraded)))
    assert set(scores) == {("psnr_to_input", None), ("ssim_to_input", None)}
    assert scores["psnr_to_input", None].value == psnr(restored, degraded)
    assert scores["ssim_to_input", None].value == ssim(restored, degraded)


def test_with_a_reference_the_input_does_not_enter() -> None:
    restored, degraded, reference = (picture(128, 96, seed) for seed in (1, 2, 3))
    scores = by_key(scorer_of("psnr")(Pictures(restored, degraded, reference, affines={0: AFFINE})))
    assert set(scores) == {("psnr", None), ("psnr", 0)}
    assert scores["psnr", None].value == psnr(restored, reference)


def test_identity_is_taken_against_both() -> None:
    restored, degraded, reference = (picture(160, 160, seed) for seed in (1, 2, 3))
    metric = MeanDifference("identity")
    scorer = Scorer({"identity": metric}, {}, ["identity"], device="cpu")
    scores = by_key(scorer(Pictures(restored, degraded, reference, affines={1: AFFINE})))
    assert set(scores) == {("identity", 1), ("identity_to_input", 1)}
    assert set(by_key(scorer(Pictures(restored, degraded, affines={1: AFFINE})))) == {("identity_to_input", 1)}


def test_a_photo_without_faces_says_so_instead_of_being_absent() -> None:
    scorer = Scorer({"identity": MeanDifference("identity")}, {}, ["identity"], device="cpu")
    (score,) = scorer(Pictures(picture(64, 64, 1), picture(64, 64, 2)))
    assert score.metric == "identity_to_input" and score.value is None and "no face" in str(score.missing_reason)


def test_sizes_follow_one_protocol() -> None:
    degraded, restored = picture(80, 60, 1), picture(160, 120, 2)
    to_input = by_key(scorer_of("psnr")(Pictures(restored, degraded)))
    assert to_input["psnr_to_input", None].value == psnr(restored, resize(degraded, (160, 120)))
    for side in (80, 320):
        reference = picture(side, side * 3 // 4, 3)
        pictures = Pictures(restored, degraded, reference)
        score = by_key(scorer_of("psnr")(pictures))["psnr", None]
        assert score.value == psnr(resize(restored, reference.shape[:2]), reference)
        assert f"{side * 3 // 4}x{side}" in notes(pictures)[0]
    assert notes(Pictures(restored, degraded, picture(160, 120, 4))) == () == notes(Pictures(restored, degraded))


def test_pictures_of_different_shape_are_not_compared() -> None:
    (score,) = scorer_of("psnr")(Pictures(picture(160, 120, 1), None, picture(120, 160, 2), affines={0: AFFINE}))
    assert score.value is None and "120x160" in str(score.missing_reason) and "different shape" in str(score.missing_reason)


@pytest.mark.parametrize("upscale", [1, 2, 3])
def test_faces_are_cut_along_one_affine_whatever_the_sizes(upscale: int) -> None:
    degraded = picture(240, 320, 5)
    restored = np.asarray(resize(degraded, (240 * upscale, 320 * upscale)), np.uint8)
    metric = MeanDifference("identity")
    scorer = Scorer({"identity": metric}, {}, ["identity"], device="cpu")
    affine = geometry.fit_similarity(np.array([[120.0, 90], [160, 92], [140, 112], [124, 130], [158, 131]]))
    assert affine is not None
    (score,) = scorer(Pictures(restored, degraded, affines={0: affine}))
    ((restored_crop, degraded_crop),) = metric.seen
    assert restored_crop.shape == (512, 512, 3) and degraded_crop is not None
    # The same picture at another size shows the same face at the same place; a pixel's shift would cost 5 levels and more.
    assert score.value is not None and score.value < (1e-9 if upscale == 1 else 1.0)
    shifted = scorer(Pictures(np.roll(restored, 2 * upscale, axis=1), degraded, affines={0: affine}))
    assert shifted[0].value is not None and shifted[0].value > 3 * max(score.value, 0.5)


def test_aligned_faces_of_any_input_size_are_themselves() -> None:
    restored, reference = picture(512, 512, 6), picture(512, 512, 7)
    degraded = picture(256, 256, 8)
    metric = MeanDifference("deg")
    scorer = Scorer({"deg": metric}, {}, ["deg"], device="cpu")
    scorer(Pictures(restored, degraded, reference, affines={0: geometry.resize_affine((256, 256), (512, 512))}))
    ((restored_crop, reference_crop),) = metric.seen
    assert reference_crop is not None
    assert np.array_equal(restored_crop, restored) and np.array_equal(reference_crop, reference)


def test_missing_metrics_are_scores_with_reasons_and_can_be_required() -> None:
    scorer = scorer_of("psnr", "identity", "fid")
    scores = by_key(scorer(Pictures(picture(64, 64, 1), picture(64, 64, 2), affines={0: AFFINE})))
    assert scores["identity_to_input", None].missing_reason == "arcface-ir-se50 is not there"
    assert scores["psnr_to_input", None].value is not None
    run = by_key(scorer.finish())
    assert run["fid", None].missing_reason and run["fid", None].value is None
    with pytest.raises(MetricError, match=r"2 cannot be computed: identity: arcface-ir-se50 is not there; fid"):
        require(scorer)
    require(scorer_of("psnr"))


def test_the_licence_of_a_package_is_asked_for_before_it_is_loaded() -> None:
    asked = []

    def refuse(licence_id: str, what: str) -> None:
        asked.append((licence_id, what))
        raise LicenceError("consent once with --accept-licence")

    scorer = load_scorer(["psnr", "niqe_pyiqa"], find=absent, allow=refuse)
    assert [licence for licence, _ in asked] == [POLYFORM] and "niqe_pyiqa" in asked[0][1]
    assert scorer.missing == {"niqe_pyiqa": "consent once with --accept-licence"}


def test_seconds_and_memory() -> None:
    scorer = scorer_of("seconds", "peak_memory")
    (score,) = scorer(Pictures(picture(32, 32, 1), stages={"detect": 0.5, "restore": 1.0, "read": 3.0}))
    assert score.metric == "seconds" and score.value == pytest.approx(1.5)
    (memory,) = scorer.finish()
    assert memory.metric == "peak_memory" and memory.value is not None and memory.value > 1e7


def test_the_set_gathers_every_face() -> None:
    class Sets:
        restored = 0
        reference = 0

        def add_restored(self, crop: UInt8, *, of: object) -> None:
            self.restored += 1

        def add_reference(self, crop: UInt8, *, of: object) -> None:
            self.reference += 1

        def scores(self) -> tuple[Score, ...]:
            return (Score("fid", 1.0, False),)

    scorer = Scorer({}, {}, ["fid"], device="cpu")
    scorer.sets = Sets()
    scorer(Pictures(picture(64, 64, 1), picture(64, 64, 2), affines={0: AFFINE, 3: AFFINE}))
    scorer(Pictures(picture(64, 64, 1), None, picture(64, 64, 2), affines={0: AFFINE}))
    assert (scorer.sets.restored, scorer.sets.reference) == (3, 1)
    assert scorer.finish() == (Score("fid", 1.0, False),)


def test_affines_are_of_restored_faces_by_their_number() -> None:
    def result(affine: Float64 | None, restored: bool) -> FaceResult:
        face = Face((0, 0, 1, 1), 1.0, np.zeros((5, 2)))
        crop = None if affine is None else AlignedCrop(face, np.zeros((512, 512, 3), np.uint8), affine)
        return FaceResult(face, restored=restored, crop=crop)

    pixels = np.zeros((2, 2, 3), np.uint8)
    faces = (result(None, False), result(AFFINE, True), result(AFFINE, False))
    photo = RestoredPhoto(Photo(Path("x.png"), pixels, Metadata("PNG")), pixels, None, faces, {})
    line = {
        "name": "x.png",
        "faces": [
            {"restored": face.restored, "affine": None if face.crop is None else face.crop.affine.tolist()} for face in faces
        ],
    }
    for found in (affines_of(photo), PhotoRecord.of(line).affines):
        assert list(found) == [1] and np.array_equal(found[1], AFFINE)


def test_16_bits_are_rounded() -> None:
    deep = np.array([[[0, 128, 129], [65535, 257 * 7, 257 * 7 + 129]]], np.uint16)
    assert as_8_bit(deep).tolist() == [[[0, 0, 1], [255, 7, 8]]]
    assert as_8_bit(picture(32, 32, 1)).dtype == np.uint8


def test_an_aligned_photo_is_measured_once_and_said_of_both() -> None:
    metric = MeanDifference("psnr")
    scorer = Scorer({"psnr": metric}, {}, ["psnr"], device="cpu")
    restored, degraded = picture(512, 512, 1), picture(512, 512, 2)
    scores = by_key(scorer(Pictures(restored, degraded, affines={0: np.eye(2, 3)})))
    assert len(metric.seen) == 1
    assert scores["psnr_to_input", None].value == scores["psnr_to_input", 0].value
    scorer(Pictures(restored, degraded, affines={0: AFFINE}))
    assert len(metric.seen) == 3


def test_a_photo_that_cannot_be_measured_has_a_reason_for_each_score() -> None:
    scorer = Scorer({}, {}, ["psnr", "identity", "niqe", "seconds", "fid", "peak_memory"], device="cpu")
    alone = scorer.unmeasured("a.png", "torn", referenced=False)
    assert [score.metric for score in alone] == ["psnr_to_input", "identity_to_input", "niqe", "seconds"]
    assert {(score.photo, score.value, score.missing_reason) for score in alone} == {("a.png", None, "torn")}
    assert [score.higher_is_better for score in alone] == [True, True, False, False]
    paired = scorer.unmeasured("a.png", "torn", referenced=True)
    assert [score.metric for score in paired] == ["psnr", "identity", "identity_to_input", "niqe", "seconds"]


def test_guarded_faces_are_scored_though_they_were_not_restored() -> None:
    faces = [
        {"restored": False, "guarded": True, "affine": AFFINE.tolist()},
        {"restored": True, "guarded": False, "affine": None},
    ]
    assert list(PhotoRecord.of({"name": "x.png", "faces": faces}).affines) == [0]


def test_seconds_that_cannot_be_given_have_their_reason() -> None:
    scorer = Scorer({}, {"seconds": "not timed"}, ["seconds"], device="cpu")
    (score,) = scorer(Pictures(picture(32, 32, 1), stages={"detect": 0.5}, photo="a.png"))
    assert (score.value, score.missing_reason, score.photo) == (None, "not timed", "a.png")


def test_pictures_of_nearly_one_shape_are_compared() -> None:
    restored, reference = picture(200, 300, 1), picture(100, 150, 2)
    (same,) = scorer_of("psnr")(Pictures(restored, None, reference))
    assert same.value is not None
    for shape in ((100, 140), (100, 160)):
        (other,) = scorer_of("psnr")(Pictures(restored, None, picture(*shape, 2)))
        assert other.value is None and "different shape" in str(other.missing_reason)


def test_a_metric_that_is_missing_is_missing_against_both_with_its_reason() -> None:
    restored, degraded, reference = (picture(160, 160, seed) for seed in (1, 2, 3))
    scorer = Scorer({}, {"identity": "no weights", "seconds": "not timed"}, ["identity", "seconds"], device="cpu")
    scores = by_key(scorer(Pictures(restored, degraded, reference, affines={1: AFFINE})))
    assert {key: score.missing_reason for key, score in scores.items()} == {
        ("identity", None): "no weights",
        ("identity_to_input", None): "no weights",
        ("seconds", None): "not timed",
    }
    assert scores["seconds", None].higher_is_better is False


class Gathered:
    """Stands in for the metrics of a set, and notes what it is given."""

    def __init__(self) -> None:
        self.restored: list[tuple[str, int]] = []
        self.reference: list[tuple[str, int]] = []
        self.means: list[str] = []

    def add_restored(self, crop: UInt8, *, of: tuple[str, int]) -> None:
        self.restored.append(of)

    def add_reference(self, crop: UInt8, *, of: tuple[str, int]) -> None:
        self.reference.append(of)

    def add_posterior_mean(self, restored: UInt8, mean: UInt8, *, of: str) -> None:
        self.means.append(of)

    def scores(self) -> tuple[Score, ...]:
        return ()


def test_the_set_knows_each_face_and_takes_a_posterior_mean_of_the_results_shape_only() -> None:
    scorer = Scorer({}, {"kid": "too few", "identity": "no file"}, ["fid", "kid", "identity"], device="cpu")
    scorer.sets = sets = Gathered()  # type: ignore[assignment]
    restored, other = picture(64, 64, 1), picture(64, 48, 2)
    scorer.remember(Pictures(restored, None, restored, {2: AFFINE, 5: AFFINE}, photo="a.png", posterior_mean=restored))
    scorer.remember(Pictures(restored, restored, None, {0: AFFINE}, photo="b.png", posterior_mean=other))
    assert (sets.restored, sets.reference) == ([("a.png", 2), ("a.png", 5), ("b.png", 0)], [("a.png", 2), ("a.png", 5)])
    assert sets.means == ["a.png"]
    assert [(score.metric, score.missing_reason) for score in scorer.finish()] == [("kid", "too few")]


def test_metrics_of_one_network_load_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    class Network:
        protocol, statistics = "inception", None

    monkeypatch.setattr("gfpup.evaluation.scorer.catalogue.load", lambda name, *_, **__: loaded.append(name) or Network())  # type: ignore[func-returns-value]
    scorer = load_scorer(["fid_torchmetrics", "kid", "fid_fidelity"], find=Path)
    assert loaded == ["fid_torchmetrics", "fid_fidelity"] and scorer.sets is not None
    extractors = scorer.sets.extractors
    assert extractors["kid"] is extractors["fid_torchmetrics"] is not extractors["fid_fidelity"]


def test_each_score_says_of_which_photo_and_from_which_pixels() -> None:
    degraded = picture(64, 64, 2)
    for referenced in (False, True):
        pictures = Pictures(
            picture(64, 64, 1), degraded, degraded if referenced else None, {3: AFFINE}, {"restore": 1.0}, "a.png", "JPEG 90"
        )
        scores = scorer_of("psnr", "seconds", "identity")(pictures)
        assert {score.photo for score in scores} == {"a.png"} and scores[0].face is None and scores[1].face == 3
        assert all(score.taken_from == "JPEG 90" for score in scores if score.metric != "seconds")
