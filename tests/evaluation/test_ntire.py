"""A challenge's score and gate equal the organisers' arithmetic, written down a second time, and never mix terms."""

from __future__ import annotations

import dataclasses
import statistics

import numpy as np
import pytest

from gfpup.evaluation.ntire import ALLOWED, CHALLENGES, COUNTS, MEASURED, QALIGN, JudgedFace, judge, named_set


def results(seed: int = 0, *, qalign: bool = True) -> list[JudgedFace]:
    rng = np.random.default_rng(seed)
    faces = []
    for of_set, count in COUNTS.items():
        for i in range(count):
            values = {"clipiqa": rng.uniform(0.3, 0.9), "maniqa": rng.uniform(0.3, 0.8), "musiq": rng.uniform(40, 80)}
            values |= {"niqe_pyiqa": rng.uniform(3, 12)} | ({QALIGN: rng.uniform(2, 5)} if qalign else {})
            faces.append(JudgedFace(f"{of_set}/{i}.png", of_set, values, 0.9))
    return faces


@pytest.mark.parametrize("qalign", [True, False])
def test_the_score_is_the_organisers(qalign: bool) -> None:
    faces = results(qalign=qalign)
    verdict = judge(CHALLENGES["ntire-2026"], faces, fid=57.25, qalign=qalign)
    # As their eval.py adds up: the mean of each set, weighted by its count, over 450.
    means = {}
    for metric in (*MEASURED, *((QALIGN,) if qalign else ())):
        total = 0.0
        for of_set, count in COUNTS.items():
            total += statistics.fmean(face.values[metric] for face in faces if face.of_set == of_set) * count
        means[metric] = total / 450
    expected = means["clipiqa"] + means["maniqa"] + means["musiq"] / 100 + max(0, (10 - means["niqe_pyiqa"]) / 10)
    expected += max(0, (100 - 57.25) / 100) + (means[QALIGN] / 5 if qalign else 0)
    assert verdict.total == pytest.approx(expected, rel=1e-12) and verdict.lacks == ()
    assert verdict.metric == ("ntire_2026" if qalign else "ntire_2026_five_terms")
    assert len(verdict.terms) == (6 if qalign else 5) and verdict.means == pytest.approx(means | {"fid": 57.25})
    assert verdict.passed and not verdict.fallen


def test_weights_are_of_sets_and_not_of_faces() -> None:
    faces = [
        dataclasses.replace(face, values=face.values | {"musiq": 50 + 10 * (face.of_set == "CelebChild-Test")})
        for face in results()
    ]
    assert judge(CHALLENGES["ntire-2025"], faces, fid=0, qalign=True).means["musiq"] == pytest.approx(50 + 10 * 50 / 450)


def test_bad_terms_are_zero_and_not_negative() -> None:
    faces = [dataclasses.replace(face, values=face.values | {"niqe_pyiqa": 15.0}) for face in results()]
    verdict = judge(CHALLENGES["ntire-2026"], faces, fid=130.0, qalign=True)
    assert verdict.terms["niqe_pyiqa"] == verdict.terms["fid"] == 0


@pytest.mark.parametrize(("year", "wider", "web"), [("ntire-2025", 0.3, 0.3), ("ntire-2026", 0.2, 0.25)])
def test_the_gate_has_each_years_thresholds(year: str, wider: float, web: float) -> None:
    thresholds = {"CelebA": 0.5, "LFW-Test": 0.6, "CelebChild-Test": 0.6, "WIDER-Test": wider, "WebPhoto-Test": web}
    assert CHALLENGES[year].thresholds == thresholds
    for of_set, threshold in thresholds.items():
        faces = results()
        places = [i for i, face in enumerate(faces) if face.of_set == of_set]
        for n, i in enumerate(places[: ALLOWED + 1]):
            faces[i] = dataclasses.replace(faces[i], identity=np.nextafter(threshold, 0))
            verdict = judge(CHALLENGES[year], faces, fid=1.0, qalign=True)
            assert len(verdict.fallen) == n + 1 and verdict.passed is (n + 1 <= ALLOWED)
        assert {face.of_set for face in verdict.fallen} == {of_set}
        at_it = [dataclasses.replace(face, identity=threshold) if face.of_set == of_set else face for face in results()]
        assert judge(CHALLENGES[year], at_it, fid=1.0, qalign=True).fallen == ()  # below, not at


def test_what_is_missing_is_said_and_no_score_given() -> None:
    faces = results()
    few = judge(CHALLENGES["ntire-2026"], faces[:120], fid=3.0, qalign=True)
    assert few.total is None and few.passed is None and "LFW-Test has 20 of its 100 faces" in few.lacks
    lost = [dataclasses.replace(faces[0], values={}, identity=None), *faces[1:]]
    verdict = judge(CHALLENGES["ntire-2026"], lost, fid=None, qalign=True)
    assert verdict.total is None and verdict.passed is None
    assert "fid is missing" in verdict.lacks and any("musiq is missing for 1 faces" in lack for lack in verdict.lacks)
    fallen = [dataclasses.replace(face, identity=0.0) for face in faces[:11]]
    assert judge(CHALLENGES["ntire-2026"], fallen, fid=None).passed is False  # no further face can save it


def test_sets_are_known_in_any_case() -> None:
    assert named_set("Wider-Test") == "WIDER-Test" and named_set("debug") is None


def test_ten_faces_may_have_lost_their_identity_and_eleven_may_not() -> None:
    def passed(lost: int, unknown: int = 0) -> bool | None:
        identities = [0.0] * lost + [None] * unknown
        faces = results()
        for i, identity in enumerate(identities):
            faces[i] = dataclasses.replace(faces[i], identity=identity)
        return judge(CHALLENGES["ntire-2025"], faces, fid=1.0, qalign=True).passed

    assert (passed(0), passed(10), passed(11)) == (True, True, False)
    assert (passed(10, unknown=1), passed(11, unknown=1)) == (None, False)
