from __future__ import annotations

import hashlib
import math
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import portrait

from gfpup.core.errors import GfpupError
from gfpup.ops.degrade import PROTOCOLS, Damage, Patch, apply, draw, kernel

NOTHING = Damage(sigma_xy=(0.05, 0.05), angle=0.0, scale=1.0, noise=0.0, noise_seed=1, jpeg=100)


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    return portrait()


def test_the_table_is_the_published_one(shared) -> None:
    yaml = pytest.importorskip("yaml")
    published = yaml.safe_load((shared / "reference" / "degradation.yaml").read_text())
    for name in ("vqfr", "restoreformer", "restoreformerpp"):
        published[name] = published["gfpgan"]
    assert set(PROTOCOLS) == {*published, "mild"}
    for name, entry in published.items():
        if name != "difface-test-grid":
            ours = PROTOCOLS[name]
            assert [list(getattr(ours, key)) for key in ("sigma", "scale", "noise", "jpeg")] == [
                entry[key] for key in ("sigma", "scale", "noise", "jpeg")
            ]


def test_what_the_table_adds_in_words_is_in_the_protocols() -> None:
    """The remarks of degradation.yaml: who shifts colours, turns gray, adds haze, damages unevenly, and which kernels."""
    remarks = {
        name: (row.colour_shift, row.gray, row.haze, row.uneven, row.kernels_px)
        for name, row in PROTOCOLS.items()
        if (row.colour_shift, row.gray, row.haze, row.uneven, row.kernels_px) != (0, 0, 0, 0, (41,))
    }
    assert remarks == {
        "gfpgan": (0.3, 0.01, 0, 0, (41,)),
        "restoreformer": (0, 0, 0, 0, (39, 41)),
        "restoreformerpp": (0, 0.008, 0.008, 0.1, (39, 41)),
        "daefr": (0, 0, 0, 0, (39, 41)),
        "difface-train": (0, 0.01, 0, 0, (41,)),
    }


def test_the_documented_rows_are_the_protocols() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    table = page.split("## Synthetic damage")[1].split("\n## ")[0]
    rows = {cells[1].strip(" `"): cells[2:] for line in table.splitlines() if len(cells := line.split("|")) > 5}
    assert set(PROTOCOLS) == set(rows) - {"protocol", "---"}
    for name, row in PROTOCOLS.items():
        sigma, scale, noise, jpeg, also = (cell.strip() for cell in rows[name][:5])
        if name != "difface-test-grid":
            told = [[float(word) for word in cell.split(" to ")] for cell in (sigma, scale, noise, jpeg)]
            assert told == [list(getattr(row, key)) for key in ("sigma", "scale", "noise", "jpeg")]
        for word, chance in (("gray", row.gray), ("haze", row.haze), ("colours shifted", row.colour_shift)):
            assert (f"{word} ({chance * 100:g} %)" in also) == (chance > 0)
        assert ("39 or 41" in also) == (row.kernels_px == (39, 41)) and ("uneven (10 %)" in also) == (row.uneven == 0.1)


def test_a_draw_depends_on_name_and_seed_alone() -> None:
    first = draw("gfpgan", seed=5, name="a.png")
    draw("gfpgan", seed=9, name="b.png")
    assert draw("gfpgan", seed=5, name="a.png") == first
    assert draw("gfpgan", seed=6, name="a.png") != first
    assert draw("gfpgan", seed=5, name="b.png") != first


def test_a_draw_is_the_same_on_every_machine() -> None:
    drawn = draw("mild", seed=1, name="face.png")
    assert drawn.noise_seed == int.from_bytes(hashlib.sha256(b"1\0face.png").digest()[16:24], "big")
    assert (drawn.jpeg, round(drawn.scale, 9), round(drawn.noise, 9)) == (95, 3.379192232, 7.439321208)


def test_a_name_in_another_unicode_form_is_the_same_name() -> None:
    composed, apart = unicodedata.normalize("NFC", "Zoë.jpg"), unicodedata.normalize("NFD", "Zoë.jpg")
    assert composed != apart and draw("mild", seed=0, name=composed) == draw("mild", seed=0, name=apart)


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name != "difface-test-grid"])
def test_values_are_uniform_over_the_protocols_ranges(name: str) -> None:
    protocol = PROTOCOLS[name]
    drawn = [draw(name, seed=17, name=f"{i}.png") for i in range(3000)]
    for range_, values in (
        (protocol.sigma, [d.sigma_xy[0] for d in drawn]),
        (protocol.scale, [d.scale for d in drawn]),
        (protocol.noise, [d.noise for d in drawn]),
        (protocol.jpeg, [d.jpeg + 0.5 for d in drawn]),
    ):
        low, high = range_
        place = (np.array(values) - low) / (high - low)
        assert place.min() >= -1e-9 and place.max() <= 1.0
        # Kolmogorov-Smirnov: 1.95 / sqrt(n) is passed once in a thousand; whole JPEG qualities add a step of their own.
        steps = np.abs(np.sort(place) - (np.arange(3000) + 0.5) / 3000).max()
        assert steps < 1.95 / math.sqrt(3000) + (0.5 / (high - low) if range_ is protocol.jpeg else 0)
    isotropic = np.mean([d.sigma_xy[0] == d.sigma_xy[1] for d in drawn])
    assert abs(isotropic - 0.5) < 0.04


def test_only_gfpgan_shifts_colours() -> None:
    drawn = [draw("gfpgan", seed=2, name=str(i)) for i in range(4000)]
    shifts = np.array([d.colour_shift for d in drawn if any(d.colour_shift)])
    assert abs(len(shifts) / 4000 - 0.3) < 0.03 and 19 < np.abs(shifts).max() <= 20
    assert 0.003 < np.mean([d.gray for d in drawn]) < 0.02
    assert not any(any(d.colour_shift) or d.gray for d in (draw("mild", seed=2, name=str(i)) for i in range(300)))


def test_restoreformerpp_adds_haze_and_uneven_squares() -> None:
    drawn = [draw("restoreformerpp", seed=4, name=str(i)) for i in range(6000)]
    hazy = [d.haze for d in drawn if d.haze]
    assert 0.003 < len(hazy) / 6000 < 0.014 and min(hazy) >= 0.05 and max(hazy) <= 0.25
    patches = [d.patch for d in drawn if d.patch is not None]
    assert abs(len(patches) / 6000 - 0.1) < 0.015
    assert 128 <= min(p.side_px for p in patches) < 135 and 249 < max(p.side_px for p in patches) <= 256
    assert all(p.damage.patch is None and p.damage.noise_seed != d.noise_seed for d in drawn if (p := d.patch))
    kernels = [d.kernel_px for d in drawn]
    assert set(kernels) == {39, 41} and abs(np.mean(kernels) - 40) < 0.04


def test_a_protocol_of_the_same_ranges_draws_the_same_blur_noise_and_jpeg() -> None:
    for name in ("vqfr", "restoreformer", "restoreformerpp"):
        ours, theirs = draw(name, seed=3, name="a.png"), draw("gfpgan", seed=3, name="a.png")
        for key in ("sigma_xy", "angle", "scale", "noise", "noise_seed", "jpeg"):
            assert getattr(ours, key) == getattr(theirs, key)


def test_a_name_that_is_not_utf8_is_drawn_like_any_other() -> None:
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert draw("gfpgan", seed=0, name=name) == draw("gfpgan", seed=0, name=name) != draw("gfpgan", seed=0, name="caf.jpg")


def test_the_grid_is_drawn_evenly() -> None:
    drawn = [draw("difface-test-grid", seed=0, name=str(i)) for i in range(2000)]
    assert {d.scale for d in drawn} == set(range(4, 41, 4))
    assert {d.jpeg for d in drawn} == {30, 40, 50, 60, 70} and {d.noise for d in drawn} == {1, 5, 10, 15, 20}
    counts = np.unique([d.sigma_xy for d in drawn], return_counts=True)
    assert counts[0].tolist() == [4, 8, 12, 16] and counts[1].min() > 0.22 * 4000
    assert len({d.angle for d in drawn}) == 4


def test_an_unknown_protocol_is_refused_by_name() -> None:
    with pytest.raises(GfpupError, match=r"'gfpgn'.*mild"):
        draw("gfpgn", seed=0, name="a")


def test_the_kernel_is_a_turned_gaussian() -> None:
    turned = kernel((4.0, 1.5), math.pi / 2)
    assert turned.shape == (41, 41) and turned.sum() == pytest.approx(1.0)
    y, x = np.mgrid[-20:21, -20:21]
    assert (turned * y * y).sum() == pytest.approx(16.0, rel=1e-3) and (turned * x * x).sum() == pytest.approx(2.25, rel=1e-3)
    assert np.allclose(kernel((2.0, 3.0), 0.3), kernel((2.0, 3.0), 0.3)[::-1, ::-1])
    assert kernel((9.0, 9.0), 0.0, side_px=39).shape == (39, 39)


def test_no_damage_changes_no_more_than_a_perfect_jpeg(face: np.ndarray) -> None:
    smooth = apply(face, replace(NOTHING, sigma_xy=(3.0, 3.0)))
    assert np.abs(apply(smooth, NOTHING).astype(int) - smooth).mean() < 1


def test_size_and_low_resolution(face: np.ndarray) -> None:
    odd = face[:201, :155]
    damage = replace(NOTHING, scale=3.3, jpeg=80)
    assert apply(odd, damage).shape == odd.shape and apply(odd, damage).dtype == np.uint8
    assert apply(odd, damage, resize_back=False).shape == (int(201 // 3.3), int(155 // 3.3), 3)
    assert apply(odd[:9, :9], replace(NOTHING, scale=40.0)).shape == (9, 9, 3)
    assert apply(odd, replace(NOTHING, scale=0.8), resize_back=False).shape == (251, 193, 3)


def test_noise_has_the_drawn_strength_and_repeats() -> None:
    grey = np.full((256, 256, 3), 128, dtype=np.uint8)
    noisy = apply(grey, replace(NOTHING, noise=8.0))
    assert noisy.astype(float) @ [0.299, 0.587, 0.114] == pytest.approx(128, abs=40)
    # Luma of three independent channels: 8 times the length of the luma weights.
    assert (noisy.astype(float) @ [0.299, 0.587, 0.114]).std() == pytest.approx(8 * math.sqrt(0.447), rel=0.1)
    assert np.array_equal(noisy, apply(grey, replace(NOTHING, noise=8.0)))
    assert not np.array_equal(noisy, apply(grey, replace(NOTHING, noise=8.0, noise_seed=2)))


def test_gray_and_colour_shift() -> None:
    colour = np.full((64, 64, 3), (100, 150, 60), dtype=np.uint8)
    assert np.abs(apply(colour, replace(NOTHING, colour_shift=(10.0, -20.0, 5.0))).astype(int) - [110, 130, 65]).max() <= 2
    gray = apply(colour, replace(NOTHING, gray=True))
    assert np.ptp(gray, axis=2).max() == 0 and abs(int(gray[5, 5, 0]) - 125) <= 2


def test_haze_whitens_and_a_patch_changes_its_square_alone(face: np.ndarray) -> None:
    plain = apply(face, NOTHING)
    hazy = apply(face, replace(NOTHING, haze=0.25))
    assert np.abs(hazy.astype(float) - (plain * 0.75 + 255 * 0.25)).mean() < 1.5
    patched = apply(face, replace(NOTHING, patch=Patch(100, (0.0, 1.0), replace(NOTHING, sigma_xy=(8.0, 8.0)))))
    assert (patched[-100:, :100] != plain[-100:, :100]).mean() > 0.5
    patched[-100:, :100] = plain[-100:, :100]
    assert np.array_equal(patched, plain)
    whole = apply(face[:50, :40], replace(NOTHING, patch=Patch(100, (0.5, 0.5), NOTHING)))
    assert whole.shape == (50, 40, 3)


def test_more_damage_leaves_less(face: np.ndarray) -> None:
    def error(damage: Damage) -> float:
        return float(((apply(face, damage).astype(float) - face) ** 2).mean())

    for worse in ({"sigma_xy": (4.0, 4.0)}, {"scale": 6.0}, {"noise": 15.0}, {"jpeg": 20}):
        assert error(replace(NOTHING, **worse)) > 2 * error(NOTHING)


def test_each_value_has_its_own_place_among_the_random_numbers() -> None:
    """So that a protocol that adds something, or draws it from another range, shifts nothing else."""
    protocol, name = (
        PROTOCOLS["restoreformerpp"],
        next(str(i) for i in range(500) if draw("restoreformerpp", seed=4, name=str(i)).patch is not None),
    )
    digest = hashlib.sha256(f"4\0{name}".encode()).digest()
    u = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big"))).random(29)
    drawn = draw("restoreformerpp", seed=4, name=name)
    assert drawn.patch is not None and drawn.colour_shift == (0.0, 0.0, 0.0) and u[15] < protocol.uneven
    assert drawn.patch.side_px == int(128 + 128 * u[16]) and drawn.patch.place_xy == (u[17], u[18])
    for damage, own in ((drawn, [*u[:7], *u[12:15]]), (drawn.patch.damage, u[19:29])):
        sigma = (0.1 + 9.9 * own[0], 0.1 + 9.9 * own[1])
        turned = own[3] < 0.5
        assert damage.sigma_xy == pytest.approx(sigma if turned else (sigma[0], sigma[0]))
        assert damage.angle == pytest.approx(math.pi * (2 * own[2] - 1) if turned else 0.0)
        assert (damage.scale, damage.noise) == (pytest.approx(0.8 + 7.2 * own[4]), pytest.approx(20 * own[5]))
        assert (damage.jpeg, damage.kernel_px) == (int(60 + 40 * own[6]), 39 if own[7] < 0.5 else 41)
        assert damage.haze == (pytest.approx(0.05 + 0.2 * own[9]) if own[8] < protocol.haze else 0.0)
    assert drawn.patch.damage.noise_seed == int.from_bytes(digest[24:], "big")
    shifted = next(d for i in range(99) if any((d := draw("gfpgan", seed=4, name=str(i))).colour_shift))
    at = next(i for i in range(99) if draw("gfpgan", seed=4, name=str(i)) == shifted)
    digest = hashlib.sha256(f"4\0{at}".encode()).digest()
    u = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big"))).random(29)
    assert u[7] < 0.3 and shifted.colour_shift == pytest.approx([40 * value - 20 for value in u[8:11]])


def test_a_shift_is_counted_in_levels_and_grey_by_bt601() -> None:
    black = np.zeros((64, 64, 3), np.uint8)
    shifted = apply(black, replace(NOTHING, colour_shift=(200.0, 100.0, -5.0)))
    assert (shifted == [200, 100, 0]).all()
    assert (apply(black, replace(NOTHING, colour_shift=(250.0, 200.0, 100.0), gray=True)) == 204).all()
    assert (apply(black, replace(NOTHING, haze=0.2)) == 51).all()


def test_a_patch_lies_where_it_was_drawn() -> None:
    black = np.zeros((60, 100, 3), np.uint8)
    for place, (x, y) in (((0.0, 0.0), (0, 0)), ((0.999, 0.0), (80, 0)), ((0.0, 0.999), (0, 40)), ((0.5, 0.5), (40, 20))):
        made = apply(black, replace(NOTHING, patch=Patch(20, place, replace(NOTHING, haze=0.4))))
        rows, columns = np.nonzero(made[..., 0])
        assert (columns.min(), rows.min(), columns.max(), rows.max()) == (x, y, x + 19, y + 19)


def test_the_test_grid_is_always_turned_to_one_of_four_angles() -> None:
    drawn = [draw("difface-test-grid", seed=0, name=str(i)) for i in range(300)]
    assert {round(d.angle / math.pi, 9) for d in drawn} == {0.0, 0.25, 0.5, 0.75}
    assert len({d.sigma_xy for d in drawn}) == 16
